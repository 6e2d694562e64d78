import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.data import Images, load_data
from equipoise.errors import InputError

AT = np.array([0, 1, 40_961, 245_760, 500_000, 737_279])


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


def published(dsprites: Images) -> dict[str, Any]:
    """The arrays of the published file, for a few of its images."""
    assert dsprites.factors is not None
    classes = np.concatenate([np.zeros((len(AT), 1), np.int64), dsprites.factors[AT]], axis=1)
    values = classes.astype(np.float64)
    imgs = (dsprites.pixels(AT)[:, 0] > 0).astype(np.uint8)
    return {"imgs": imgs, "latents_classes": classes, "latents_values": values}


def test_published_npz_is_read_and_its_pickled_metadata_is_not(tmp_path: Path, dsprites: Images) -> None:
    trap = np.array(Trap(tmp_path / "sprung"), dtype=object)
    np.savez_compressed(tmp_path / "d.npz", metadata=trap, **published(dsprites))
    images = load_data(tmp_path / "d.npz")
    assert not (tmp_path / "sprung").exists()
    assert np.array_equal(images.pixels(np.arange(len(AT))), dsprites.pixels(AT))
    assert images.factors is not None
    assert dsprites.factors is not None
    assert np.array_equal(images.factors, dsprites.factors[AT])
    assert images.factor_names == dsprites.factor_names
    assert images.factor_sizes == dsprites.factor_sizes
    assert images.describe()["licence"] == "Apache-2.0"
    with np.load(tmp_path / "d.npz", allow_pickle=True) as file:
        file["metadata"]
    assert (tmp_path / "sprung").exists()  # the trap was armed


def test_header_as_python_2_wrote_it_is_read(tmp_path: Path, dsprites: Images) -> None:
    arrays = published(dsprites)
    np.savez(tmp_path / "new.npz", **arrays)
    with zipfile.ZipFile(tmp_path / "new.npz") as new, zipfile.ZipFile(tmp_path / "old.npz", "w") as old:
        for member in new.namelist():
            old.writestr(member, new.read(member).replace(b"(6, 64, 64), }   ", b"(6L, 64L, 64L), }"))
    assert np.array_equal(load_data(tmp_path / "old.npz").pixels(np.arange(6)), dsprites.pixels(AT))
    assert b"6L, 64L" in (tmp_path / "old.npz").read_bytes()


@pytest.mark.extra
def test_published_hdf5_is_read(tmp_path: Path, dsprites: Images) -> None:
    import h5py

    arrays = published(dsprites)
    with h5py.File(tmp_path / "d.hdf5", "w") as file:
        file.create_dataset("imgs", data=arrays["imgs"], chunks=(4, 2, 4), compression="gzip")
        file["latents/classes"], file["latents/values"] = arrays["latents_classes"], arrays["latents_values"]
    images = load_data(tmp_path / "d.hdf5")
    assert np.array_equal(images.pixels(np.arange(len(AT))), dsprites.pixels(AT))
    assert images.factors is not None
    assert dsprites.factors is not None
    assert np.array_equal(images.factors, dsprites.factors[AT])

    whole = (tmp_path / "d.hdf5").read_bytes()
    (tmp_path / "torn.hdf5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"torn.hdf5 is damaged, .*copy"):
        load_data(tmp_path / "torn.hdf5")
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["imgs"] = arrays["imgs"]
    with pytest.raises(InputError, match=r"other.hdf5: uint8 pixels run from 0 to 255, but these are 0 and 1"):
        load_data(tmp_path / "other.hdf5")


def test_hdf5_without_h5py_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "d.hdf5").write_bytes(b"")
    with pytest.raises(InputError, match=r"pip install equipoise\[hdf5\]"):
        load_data(tmp_path / "d.hdf5")


WRONG: dict[str, tuple[str, Any, str]] = {
    "grey levels": ("imgs", lambda a: a * 255, "imgs has the pixel value 255; .*0 and 1"),
    "other size": ("imgs", lambda a: a[:, :32, :32], r"imgs is uint8 \[6, 32, 32\]; .*\[N, 64, 64\]"),
    "other type": ("imgs", lambda a: a.astype(np.float32), "imgs is float32 .*uint8"),
    "empty": ("imgs", lambda a: a[:0], r"imgs is uint8 \[0, 64, 64\]"),
    "one class short": ("latents_classes", lambda a: a[:-1], r"classes are int64 \[5, 6\] for 6 images"),
    "class too large": (
        "latents_classes",
        lambda a: a + np.array([0, 3, 0, 0, 0, 0]),
        "latent classes exceed the sizes",
    ),
    "negative class": (
        "latents_classes",
        lambda a: a - np.array([0, 1, 0, 0, 0, 0]),
        "latent classes exceed the sizes",
    ),
    "two colours": ("latents_classes", lambda a: a + np.array([1, 0, 0, 0, 0, 0]), "latent classes exceed the sizes"),
    "pickled images": ("imgs", lambda a: a.astype(object), "imgs is object"),
}


@pytest.mark.parametrize("case", WRONG)
def test_file_that_is_not_as_published_is_refused(case: str, tmp_path: Path, dsprites: Images) -> None:
    member, spoil, sentence = WRONG[case]
    arrays = published(dsprites)
    arrays[member] = spoil(arrays[member])
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(InputError, match=f"d.npz: .*{sentence}"):
        load_data(tmp_path / "d.npz")


def test_pixels_that_changed_on_the_disk_are_noticed(tmp_path: Path, dsprites: Images) -> None:
    np.savez(tmp_path / "d.npz", **published(dsprites))
    whole = bytearray((tmp_path / "d.npz").read_bytes())
    whole[whole.index(b"\x01" * 10)] = 0
    (tmp_path / "d.npz").write_bytes(whole)
    with pytest.raises(InputError, match=r"d\.npz is damaged, .*Bad CRC"):
        load_data(tmp_path / "d.npz")
