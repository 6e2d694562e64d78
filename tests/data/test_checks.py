"""Sets that are read from end to end: what a whole one passes, and which check sees which damage."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from equipoise.data import Dataset, Images, checks, load_data, store
from equipoise.data.dataset import Remote
from equipoise.errors import InputError

SHAPE = (3, 12, 12)
SIZES = (5, 4, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (60, *SHAPE), np.uint8)
TABLE = np.stack(np.unravel_index(np.arange(60), SIZES), axis=1)

LITTLE = Dataset(
    name="little",
    summary="60 little pictures",
    images=60,
    shape=SHAPE,
    factor_names=("a", "b", "c"),
    factor_sizes=SIZES,
    home="https://example.org/little",
    licence="CC0",
    citation="nobody, 2026",
    files=(Remote("little.npy", ("https://example.org/little.npy",)),),
)


@pytest.fixture
def folder(cache: Path) -> Path:
    """The folder of the set, which is there."""
    store.write(
        cache / "data" / "little",
        images=60,
        shape=SHAPE,
        blocks=lambda first: iter([PIXELS[first:]]),
        source="a test",
        name="little",
        factors=TABLE,
        factor_names=("a", "b", "c"),
        factor_sizes=SIZES,
    )
    return cache / "data" / "little"


def failed(dataset: Dataset) -> list[str]:
    return [check.name for check in checks.of_dataset(dataset) if not check.passed]


def test_a_set_is_drawn_or_read_from_its_folder_or_said_to_be_missing(cache: Path) -> None:
    drawn = Images(PIXELS, name="drawn")
    by_hand = replace(LITTLE, files=(), by_hand="Ask its authors.")
    sketch = replace(LITTLE, draw=lambda: drawn)
    assert sketch.load() is drawn
    assert (sketch.state, LITTLE.state) == ("rendered", "not here")
    for use in (Dataset.load, failed):
        with pytest.raises(
            InputError, match="little is not available locally; add it once with `equipoise data add little`"
        ):
            use(LITTLE)
        with pytest.raises(InputError, match="`equipoise data add little --from PATH`"):
            use(by_hand)
    assert store.set_folder("little") == cache / "data" / "little"
    assert not cache.exists()


@pytest.mark.usefixtures("folder")
def test_a_set_that_is_here_is_mapped() -> None:
    assert LITTLE.state == "here"
    assert np.array_equal(LITTLE.load().pixels(np.arange(60)), PIXELS)


def test_a_whole_set_passes_every_check(folder: Path) -> None:
    digest = json.loads((folder / "about.json").read_text())["digest"]
    assert list(checks.of_dataset(LITTLE)) == [
        ("files", True, "of the lengths in about.json"),
        ("digest", True, f"{digest}, as when it was added"),
        ("images", True, "60 of 3 x 12 x 12; 60 of 3 x 12 x 12 are published"),
        ("names", True, "a, b, c"),
        ("pixels", True, "60 images of 3 x 12 x 12 read, from 0 to 255"),
        ("factors", True, "60 rows of 3"),
        ("duplicates", True, "every combination once"),
    ]


def test_a_drawn_set_is_held_against_what_it_should_be() -> None:
    drawn = Images(PIXELS, name="drawn", factors="grid", factor_names=("a", "b", "c"), factor_sizes=SIZES)
    assert failed(replace(LITTLE, draw=lambda: drawn)) == []
    assert failed(replace(LITTLE, draw=lambda: drawn.subset(np.arange(59)))) == ["images"]


def _flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "images.npy").read_bytes())
    data[-1] ^= 1
    (folder / "images.npy").write_bytes(data)


def _cut(folder: Path) -> None:
    (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes()[:-1])


def _change_a_factor(folder: Path) -> None:
    table = TABLE.copy()
    table[0] = table[1]
    np.save(folder / "factors.npy", table)


def _rename_factors(folder: Path) -> None:
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps(about | {"factor_names": ["b", "a", "c"]}))


def _blacken(folder: Path) -> None:
    np.save(folder / "images.npy", np.zeros_like(PIXELS))


@pytest.mark.parametrize(
    ("damage", "seen_by"),
    [
        (_flip_a_bit, ["digest"]),
        (_cut, ["files"]),
        (_change_a_factor, ["digest", "duplicates"]),
        (_rename_factors, ["digest", "names"]),
        (_blacken, ["digest", "pixels"]),
    ],
)
def test_a_damaged_set_fails_the_checks_that_see_it(
    damage: Callable[[Path], None], seen_by: list[str], folder: Path
) -> None:
    damage(folder)
    assert failed(LITTLE) == seen_by


@pytest.mark.usefixtures("folder")
def test_another_shape_than_published_fails_and_so_does_another_number_that_fills_no_grid() -> None:
    assert failed(replace(LITTLE, shape=(1, 12, 12))) == ["images"]
    assert failed(replace(LITTLE, images=61)) == []  # 60 are the grid of their factors, published in another size


def test_own_images_may_have_rows_twice_and_codes_that_none_has() -> None:
    few = Images(PIXELS[:3], name="few", factors=np.array([[0, 0], [0, 0], [3, 0]]))
    found = {check.name: check for check in checks.of_images(few)}
    assert all(check.passed for check in found.values())
    assert found["factors"].result == "3 rows of 2; no image has factor_0 [1, 2]"
    assert found["duplicates"].result == "1 rows equal an earlier one"
    assert [check.name for check in checks.of_images(Images(PIXELS, name="x"))] == ["pixels", "factors"]


def test_vectors_are_not_read_as_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = load_data(np.random.default_rng(0).normal(size=(5, 3)))
    monkeypatch.setattr(Images, "pixels", None)  # which would be called
    assert [check.name for check in checks.of_images(vectors)] == ["vectors", "factors"]
