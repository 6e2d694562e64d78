"""HDF5 files of any names, and `data.key` for them and for .npz files."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.data import cache as pixel_cache
from equipoise.data import load_data, stored_shapes
from equipoise.errors import InputError

h5py = pytest.importorskip("h5py")

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 10, 12), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 10, 12, 3), dtype=np.uint8)
ALL = np.arange(6)


def write(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            chunks = (2, *array.shape[1:]) if "chunked" in name else None
            file.create_dataset(name, data=array, chunks=chunks, compression="gzip" if chunks else None)
    return path


@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
@pytest.mark.parametrize("name", ["images", "x", "the_only_one", "chunked", "group/deep/pixels"])
def test_the_array_of_images_is_found(name: str, suffix: str, tmp_path: Path) -> None:
    images = load_data(write(tmp_path / f"a.{suffix}", **{name: COLOUR}))
    assert np.array_equal(images.pixels(ALL), COLOUR.transpose(0, 3, 1, 2))


def test_key_chooses_among_several(tmp_path: Path) -> None:
    arrays = {"train/pixels": GREY, "test/pixels": GREY[:2], "train/labels": ALL % 2}
    path = write(tmp_path / "a.h5", **arrays)
    with pytest.raises(
        InputError, match=r"a\.h5: cannot tell which array .* among test/pixels, .*or choose it with data\.key"
    ):
        load_data(path)
    with pytest.warns(UserWarning, match=r"the arrays test/pixels are not read"):
        images = load_data(path, key="train/pixels")
    assert np.array_equal(images.pixels(ALL)[:, 0], GREY)
    assert images.factors is not None
    assert (images.factor_names, images.factors[:, 0].tolist()) == (("labels",), [0, 1, 0, 1, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(load_data(path, key="/test/pixels")) == 2
        with pytest.raises(
            InputError, match=r"has no array 'test/pixel', which data\.key names; did you mean test/pixels"
        ):
            load_data(path, key="test/pixel")
        np.savez(tmp_path / "a.npz", first=GREY, second=255 - GREY)
        assert np.array_equal(load_data(tmp_path / "a.npz", key="second").pixels(ALL)[:, 0], 255 - GREY)
    with pytest.raises(
        InputError, match=r"data\.key: only for \.npz and HDF5 files and pictures in Parquet files; remove it"
    ):
        load_data(GREY, key="images")
    with pytest.raises(InputError, match=r"data\.key: only for"):
        next(stored_shapes(GREY, key="images"))


def test_factors_may_be_words_and_have_names(tmp_path: Path) -> None:
    words = np.array(["b", "a", "c", "b", "a", "c"], dtype=h5py.string_dtype())
    images = load_data(write(tmp_path / "a.h5", images=GREY, labels=words))
    assert images.factors is not None
    assert images.factors[:, 0].tolist() == [1, 0, 2, 1, 0, 2]
    names = np.array(["row", "column"], dtype=h5py.string_dtype())
    images = load_data(
        write(tmp_path / "b.h5", images=GREY, factors=np.stack([ALL // 3, ALL % 3], 1), factor_names=names)
    )
    assert (images.factor_names, images.factor_sizes) == (("row", "column"), (2, 3))


@pytest.mark.parametrize("kind", ["uint16", "float32", "bool"])
def test_types_follow_the_rules_of_arrays(kind: str, tmp_path: Path) -> None:
    array = GREY > 99 if kind == "bool" else (GREY * np.float64(257 if kind == "uint16" else 1 / 255)).astype(kind)
    expected = (GREY > 99) * 255 if kind == "bool" else GREY
    assert np.array_equal(load_data(write(tmp_path / "a.h5", images=array)).pixels(ALL)[:, 0], expected)
    if kind == "uint16":
        images = load_data(tmp_path / "a.h5", range="0:32767")
        assert np.array_equal(images.pixels(ALL)[:, 0], np.rint((array.astype(float) / 32767).clip(0, 1) * 255))


def test_large_files_are_read_in_slabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "LIMIT", 500)
    monkeypatch.setattr(pixel_cache, "BLOCK", 4)
    images = load_data(write(tmp_path / "a.h5", chunked=COLOUR, labels=ALL))
    assert np.array_equal(images.pixels(ALL), COLOUR.transpose(0, 3, 1, 2))
    assert np.array_equal(load_data(tmp_path / "a.h5", size=8).pixels(ALL), load_data(COLOUR, size=8).pixels(ALL))


def test_damaged_and_other_files_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", images=GREY)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"a\.h5 is damaged, or its content does not match its suffix"):
        load_data(path)
    with pytest.raises(InputError, match=r"b\.h5: cannot tell which array has the images or vectors among table"):
        load_data(write(tmp_path / "b.h5", table=GREY[0]))


@pytest.mark.parametrize("kind", ["zarr", "mat", "pkl", "pickle", "pt", "pth"])
def test_kinds_that_are_not_read_say_what_to_do(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{kind}").write_bytes(b"?")
    with pytest.raises(InputError, match=rf"a\.{kind} is not a kind of file that is read; .*np\.save"):
        load_data(tmp_path / f"a.{kind}")
