"""What holds for every published set, on small files of its own format."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.data.small_sets import SETS, Small

from equipoise.data import DATASETS, Images, store
from equipoise.data.converters import published
from equipoise.errors import InputError

PUBLISHED = sorted({name.split()[0] for name in SETS})
NEED_H5PY = ("shapes3d",)


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.extra] * (name in NEED_H5PY)) for name in SETS]
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Small]:
    """The name of a set, and its files, which no test changes."""
    return request.param.split()[0], SETS[request.param](tmp_path_factory.mktemp("files"))


def converted(small: Small, folder: Path) -> Images:
    small.convert(small.source, folder)
    images = store.read(folder)
    assert images is not None
    return images


def test_every_published_set_is_tested() -> None:
    drawn = {name for name, dataset in DATASETS.items() if dataset.draw is not None}
    assert DATASETS.keys() - drawn == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_is_known_of_a_set_fits_together(name: str) -> None:
    dataset = DATASETS[name]
    assert len(dataset.factor_names) == len(dataset.factor_sizes)
    assert not dataset.factor_sizes or math.prod(dataset.factor_sizes) == dataset.images
    assert f"{dataset.images:,}" in dataset.summary
    assert dataset.shape[1:] == (64, 64)
    assert bool(dataset.files) != bool(dataset.by_hand)
    assert dataset.home.startswith("http")
    assert dataset.licence
    assert dataset.citation
    for remote in dataset.files:
        assert all(address.endswith(f"/{remote.name}") for address in remote.addresses)
        assert len(remote.sha256 or "0" * 64) == 64
        assert len(remote.md5 or "0" * 32) == 32


def test_images_and_factors_come_out_as_they_went_in(made: tuple[str, Small], tmp_path: Path) -> None:
    name, small = made
    images = converted(small, tmp_path / "set")
    assert np.array_equal(images.pixels(np.arange(len(images))), small.images)
    assert images.shape == DATASETS[name].shape
    assert images.factor_names == DATASETS[name].factor_names
    if small.factors is None:
        assert images.factors is None
    else:
        assert images.factors is not None
        assert np.array_equal(images.factors, small.factors)
        assert math.prod(images.factor_sizes) == len(images)
    assert images.describe()["name"] == name
    assert images.describe()["licence"] == DATASETS[name].licence
    assert images.describe()["citation"] == DATASETS[name].citation


def test_conversion_is_deterministic(made: tuple[str, Small], tmp_path: Path) -> None:
    _, small = made
    one, two = converted(small, tmp_path / "one"), converted(small, tmp_path / "two")
    assert one.digest() == two.digest()
    assert (tmp_path / "one" / "images.npy").read_bytes() == (tmp_path / "two" / "images.npy").read_bytes()


def test_parts_of_a_split_are_disjoint(made: tuple[str, Small], tmp_path: Path) -> None:
    _, small = made
    images = converted(small, tmp_path / "set")
    parts = images.split((0.5, 0.25, 0.25))
    rows = [row.tobytes() for part in parts for row in part.pixels(np.arange(len(part)))]
    assert sorted(rows) == sorted(row.tobytes() for row in images.pixels(np.arange(len(images))))
    assert sum(map(len, parts)) == len(images)


def test_blocks_begin_at_any_image_and_are_small(
    made: tuple[str, Small], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, small = made
    asked: dict[str, Any] = {}
    monkeypatch.setattr(store, "write", lambda _, **given: asked.update(given, found=list(blocks_of(given))))

    def blocks_of(given: dict[str, Any]) -> Iterator[tuple[int, list[Any]]]:
        for first in (0, 1, 5, given["images"] - 1, given["images"]):
            yield first, list(given["blocks"](first))

    monkeypatch.setattr(published, "BLOCK", 5)
    small.convert(small.source, tmp_path / "set")
    for first, blocks in asked["found"]:
        rest = small.images[first:]
        assert sum(map(len, blocks)) == len(rest)
        assert all(0 < len(block) <= 5 for block in blocks)
        assert not blocks or np.array_equal(np.concatenate(blocks), rest)


def test_set_that_was_added_is_loaded_by_its_name(made: tuple[str, Small]) -> None:
    name, small = made
    with pytest.raises(InputError, match=f"{name} is not available locally; .*equipoise data add {name}"):
        DATASETS[name].load()
    small.convert(small.source, store.set_folder(name))
    assert np.array_equal(DATASETS[name].load().pixels([0]), small.images[:1])


def test_nothing_is_read_from_what_is_not_there(made: tuple[str, Small], tmp_path: Path) -> None:
    _, small = made
    with pytest.raises(InputError, match=r"nowhere.* (does not exist|is not there)"):
        small.convert(tmp_path / "nowhere", tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("kind", ["empty folder", "text"])
def test_folder_or_file_of_something_else_is_refused(kind: str, made: tuple[str, Small], tmp_path: Path) -> None:
    _, small = made
    other = tmp_path / "other"
    if kind == "text":
        other = tmp_path / f"other{small.source.suffix}"
        other.write_text("no images here")
    else:
        other.mkdir()
    with pytest.raises(InputError, match=r"other.*(; |, )(give|get|copy|check|put)"):
        small.convert(other, tmp_path / "set")
    assert not (tmp_path / "set" / "about.json").exists()


# What is published of the place of an image: how far apart neighbours of each factor lie, or one place.
STRIDES = {
    "falcor3d": (46656, 7776, 1296, 216, 36, 6, 1),
    "isaac3d": (245760, 30720, 6144, 1536, 384, 96, 16, 4, 1),
    "shapes3d": (48000, 4800, 480, 60, 15, 1),
    "cars3d": (24 * 183, 183, 1),
}


@pytest.mark.parametrize("name", STRIDES)
def test_order_of_the_factors_has_the_published_strides(name: str) -> None:
    sizes = DATASETS[name].factor_sizes
    assert tuple(math.prod(sizes[k + 1 :]) for k in range(len(sizes))) == STRIDES[name]


def test_table_of_the_docs_is_true() -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(DATASETS)
    for (_, images, channels, factors, way), dataset in zip(rows, DATASETS.values(), strict=True):
        assert images == f"{dataset.images:,}"
        assert channels == str(dataset.shape[0])
        known = zip(dataset.factor_names, dataset.factor_sizes, strict=True)
        assert factors.split(";")[0] == (", ".join(f"{name} {size}" for name, size in known) or "none")
        assert way == ("rendered" if dataset.draw else "downloaded" if dataset.files else "by hand")
        if dataset.draw is None:
            assert f"## {dataset.name}" in text or f", {dataset.name}" in text
