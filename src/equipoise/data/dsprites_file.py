"""dSprites from the files its authors publish, .npz or .hdf5, for those who want these very bits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import npz
from equipoise.data.dsprites import FACTOR_SIZES, ROW, N, named
from equipoise.data.images import Images
from equipoise.errors import InputError

# Images read in one go. The published .hdf5 keeps 23,040 images in a chunk (x 2 rows x 4 columns): so each chunk is
# unpacked once. Python's zipfile glues what it reads from small pieces, which costs with the square of the length.
HDF5_STEP = 23_040
NPZ_STEP = 1024

_EXPECTED = (
    "the file dsprites_ndarray_co1sh3sc6or40x32y32_64x64 as published holds imgs uint8 [N, 64, 64] of 0 and 1 and "
    "classes of the latents int64 [N, 6], N = 737,280"
)


def in_npz(path: Path) -> bool:
    """Whether a .npz file has the arrays of the published dSprites file."""
    return {"imgs", "latents_classes"} <= npz.headers(path).keys()


def read_npz(path: Path) -> Images:
    """dSprites from the published .npz file; its `metadata`, which is pickled, is never opened.

    Takes about ten seconds and 450 MB: the pixels are packed to bits as they are read. A file of fewer images than the
    published 737,280 is taken for a part of the set if it lists the latent classes of each. InputError for any other.
    """
    header = npz.headers(path)
    imgs, classes = header["imgs"], header["latents_classes"]
    _check(path, imgs.shape, imgs.dtype, classes.shape, classes.dtype)
    table = np.concatenate(list(npz.slabs(path, "latents_classes", NPZ_STEP)))
    return _images(path, npz.slabs(path, "imgs", NPZ_STEP), table)


def read_hdf5(path: Path) -> Images:
    """dSprites from the published .hdf5 file, as `read_npz`: 20 seconds and 620 MB; needs the extra `hdf5`."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: .hdf5 files need h5py; pip install equipoise[hdf5]") from error
    with npz.naming(path), h5py.File(path, "r") as file:
        imgs, classes = file.get("imgs"), file.get("latents/classes")
        if not isinstance(imgs, h5py.Dataset) or not isinstance(classes, h5py.Dataset):
            raise InputError(f"{path}: imgs and latents/classes are not both there; {_EXPECTED}")
        _check(path, imgs.shape, imgs.dtype, classes.shape, classes.dtype)
        slabs = (imgs[first : first + HDF5_STEP] for first in range(0, len(imgs), HDF5_STEP))
        return _images(path, slabs, classes[:])


def _check(
    path: Path,
    imgs: tuple[int, ...],
    imgs_type: np.dtype[Any],
    classes: tuple[int, ...],
    classes_type: np.dtype[Any],
) -> None:
    """Shapes and types of both arrays, before any is read."""
    n = imgs[0] if imgs else 0
    if imgs != (n, 64, 64) or imgs_type != np.uint8 or not 0 < n <= N:
        raise InputError(f"{path}: imgs is {imgs_type} {list(imgs)}; {_EXPECTED}")
    if classes != (n, 6) or classes_type.kind not in "iu":
        raise InputError(f"{path}: the latent classes are {classes_type} {list(classes)} for {n:,} images; {_EXPECTED}")


def _images(path: Path, slabs: Iterable[npt.NDArray[np.uint8]], classes: npt.NDArray[Any]) -> Images:
    """Images of 0/1 pixels [n, 64, 64] given in slabs, and their classes [N, 6]: colour, then the five factors."""
    if classes[:, 0].any() or classes.min() < 0 or (classes[:, 1:] >= FACTOR_SIZES).any():
        raise InputError(f"{path}: the latent classes leave the sizes 1, 3, 6, 40, 32, 32 of dSprites; {_EXPECTED}")
    rows = np.empty((len(classes), ROW), np.uint8)
    first = 0
    for slab in slabs:
        if slab.max() > 1:
            raise InputError(f"{path}: imgs has the pixel value {slab.max()}; {_EXPECTED}")
        rows[first : first + len(slab)] = np.packbits(slab.reshape(len(slab), -1), axis=1)
        first += len(slab)
    codes = classes[:, 1:].astype(np.int64)
    return named(rows, codes, source=str(path))
