"""Lists, torch data sets, and what behaves as a data set of Hugging Face does."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset

from equipoise.data import cache as pixel_cache
from equipoise.data import load_data
from equipoise.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 10, 12), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 10, 12, 3), dtype=np.uint8)
FIRST = COLOUR.transpose(0, 3, 1, 2)
ALL = np.arange(6)


class Faces(Dataset[tuple[Image.Image, int]]):
    """A data set of the kind that torchvision has: (Pillow image, label)."""

    def __len__(self) -> int:
        return len(COLOUR)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return Image.fromarray(COLOUR[index]), index % 2


class Table:
    """What `datasets.Dataset` does: whole numbers give a row, slices and names give columns, rows are decoded late."""

    def __init__(self, columns: dict[str, Sequence[Any]]) -> None:
        self.columns = columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, key: int | slice | str) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        return {name: values[key] for name, values in self.columns.items()}

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))


def encoded(array: np.ndarray, kind: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def lazily(data: bytes) -> Image.Image:
    """A Pillow image whose pixels are still to be read."""
    return Image.open(io.BytesIO(data))


SOURCES: dict[str, tuple[Any, Any]] = {
    "list of grey arrays": (list(GREY), GREY[:, None]),
    "list of colour arrays": (list(COLOUR), FIRST),
    "list of arrays, channels first": (list(FIRST), FIRST),
    "list of floats": ([picture / 255 for picture in GREY], GREY[:, None]),
    "list of bools": ([picture > 99 for picture in GREY], (GREY > 99)[:, None] * 255),
    "list of tensors": ([torch.from_numpy(picture) for picture in FIRST], FIRST),
    "tuple of Pillow images": (tuple(map(Image.fromarray, COLOUR)), FIRST),
    "list of Pillow images and labels": ([(Image.fromarray(picture), 1) for picture in GREY], GREY[:, None]),
    "torch, Pillow images and labels": (Faces(), FIRST),
    "torch, tensors and labels": (TensorDataset(torch.from_numpy(FIRST / 255), torch.arange(6)), FIRST),
    "torch, a part": (Subset(Faces(), [3, 1]), FIRST[[3, 1]]),
    "Hugging Face, Pillow images": (
        Table({"label": ALL.tolist(), "image": [lazily(encoded(picture)) for picture in COLOUR]}),
        FIRST,
    ),
    "Hugging Face, another name": (
        Table({"label": ALL.tolist(), "photo": list(map(Image.fromarray, COLOUR)), "caption": ["a"] * 6}),
        FIRST,
    ),
    "Hugging Face as tensors": (Table({"label": torch.arange(6), "img": torch.from_numpy(FIRST)}), FIRST),
    "Hugging Face as arrays": (Table({"label": ALL, "image": COLOUR}), FIRST),
    "grey after colour": (
        [*map(Image.fromarray, COLOUR[:2]), Image.fromarray(GREY[0])],
        np.stack([*FIRST[:2], np.stack([GREY[0]] * 3)]),
    ),
}


@pytest.mark.parametrize("case", SOURCES)
def test_sequences_give_their_pictures_in_order(case: str) -> None:
    source, expected = SOURCES[case]
    images = load_data(source)
    assert len(images) == len(source) == len(expected)
    assert np.array_equal(images.pixels(np.arange(len(images))), expected)
    assert images.factors is None


@pytest.mark.parametrize("settings", [{"size": 16}, {"crop": 8}, {"crop": 9, "size": 32, "grey": True}])
def test_sequences_are_brought_to_the_form_of_files(settings: dict[str, Any], tmp_path: Path) -> None:
    for i, picture in enumerate(COLOUR):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    expected = load_data(tmp_path, **settings).pixels(ALL)
    for case in ("list of colour arrays", "tuple of Pillow images", "torch, tensors and labels"):
        assert np.array_equal(load_data(SOURCES[case][0], **settings).pixels(ALL), expected), case


def test_mixed_sizes_need_one_to_be_brought_to() -> None:
    mixed = [GREY[0], GREY[1, :8]]
    with pytest.raises(
        InputError,
        match=r"item 1 of the list has 12 x 8 pixels, those before it 12 x 10; bring all to one size with data.size=64",
    ):
        load_data(mixed)
    assert load_data(mixed, size=8).shape == (1, 8, 8)


def test_large_sequences_lie_on_the_disk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "LIMIT", 500)
    monkeypatch.setattr(pixel_cache, "BLOCK", 4)
    images = load_data(Faces())
    assert isinstance(images._pixels.array.base, np.memmap)
    assert np.array_equal(images.pixels(ALL), FIRST)
    assert list(cache.iterdir()) == []  # the file has no name


def test_each_picture_is_read_once_but_for_the_first() -> None:
    read: list[int] = []

    class Counted(Faces):
        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            read.append(index)
            return super().__getitem__(index)

    load_data(Counted())
    assert read == [0, 0, 1, 2, 3, 4, 5]


def test_table_gives_the_factors_of_a_sequence(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("shape\n" + "".join(f"{'ba'[i % 2]}\n" for i in ALL))
    images = load_data(Faces(), factors=tmp_path / "t.csv")
    assert images.factors is not None
    assert images.factors[:, 0].tolist() == [1, 0, 1, 0, 1, 0]


def test_damaged_pictures_are_all_said_and_left_out_if_asked(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("number\n" + "".join(f"{i}\n" for i in ALL))
    data = [encoded(picture) for picture in GREY]
    data[0] = data[0][:60]
    data[4] = data[4][:70]
    table = Table({"image": [lazily(item) for item in data]})
    with pytest.raises(
        InputError, match=r"2 of 6 items .*: item 0 of the Table \(.*\), item 4 of the Table \(.*\); repair"
    ):
        load_data(table)
    table = Table({"image": [lazily(item) for item in data]})
    images = load_data(table, factors=tmp_path / "t.csv", skip_damaged=True)
    assert np.array_equal(images.pixels(np.arange(4)), GREY[[1, 2, 3, 5], None])
    assert images.factors is not None
    assert images.factors[:, 0].tolist() == [1, 2, 3, 5]
    assert images.source is not None
    assert "left out: Table: 2 of 6 items" in images.source
    with pytest.raises(InputError, match=r"item 0 of the list cannot .*; there is no image left"):
        load_data([lazily(data[0])], skip_damaged=True)


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ([], r"data is a list without items; give at least one image"),
    "splits": ({"train": Faces(), "test": Faces()}, r"data is a dict of train, test; give one of them"),
    "numbers": ([1, 2], r"item 0 of the list is a int; expected a Pillow image, .* pass vectors as one array"),
    "no file": (["a.png"], r"files: a\.png cannot be read as an image \(.*No such file.*\); there is no image left"),
    "vectors": ([[1.0, 2.0], [3.0, 4.0]], r"item 0 of the list is a float; .* pass vectors as one array"),
    "labels first": ([(1, Image.fromarray(GREY[0]))], r"item 0 of the list is a int"),
    "no picture among columns": (
        Table({"a": [1], "b": [2]}),
        r"cannot tell which of a, b is the picture; name it image",
    ),
    "two pictures": (Table({"a": list(GREY), "b": list(GREY)}), r"cannot tell which of a, b is the picture"),
    "undecoded": (Table({"image": [{"bytes": b""}]}), r"item 0 of the Table is a dict"),
    "colour after grey": (
        [GREY[0], COLOUR[0]],
        r"item 1 of the list is in colour, those before it are grey; set data.grey=true",
    ),
    "17 channels": ([np.zeros((20, 20, 17), np.uint8)], r"item 0 of the list: images are .* leave channels out"),
    "signed": ([GREY[0].astype(int)], r"item 0 of the list: pixels of type int64"),
    "objects": ([GREY[0].astype(object)], r"item 0 of the list: pixels of type object"),
    "floats to 255": (
        [GREY[0], GREY[1].astype(float)],
        r"item 1 of the list: pixels from .*, expected 0\.\.1; .*scale them",
    ),
    "NaN": ([np.full((8, 8), np.nan)], r"item 0 of the list: there is NaN or infinity"),
    "zeros and ones": (
        list(GREY % 2),
        r"list: uint8 pixels run from 0 to 255, but these are 0 and 1; give them as bool",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_holds_no_pictures_is_refused_with_its_reason(case: str) -> None:
    source, sentence = WRONG[case]
    with pytest.raises(InputError, match=sentence):
        load_data(source)


def test_item_of_another_size_than_crop_is_named() -> None:
    with pytest.raises(InputError, match=r"item 0 of the list is 12 x 10, too small for data\.crop=11"):
        load_data(list(GREY), crop=11)


def test_dark_pictures_among_others_are_pictures() -> None:
    assert len(load_data([GREY[0] % 2, GREY[1]])) == 2
