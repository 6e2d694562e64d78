"""dSprites from the files that its authors published, .npz or .hdf5."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import h5, npz
from equipoise.data.images import Images
from equipoise.data.sets.dsprites import FACTOR_SIZES, ROW, N, of_rows
from equipoise.errors import InputError

# Images read at once. A chunk of the published .hdf5 has 23,040 images x 2 rows x 4 columns and is unpacked once.
# Python's zipfile joins small pieces, at a cost that grows with the square of the length.
HDF5_STEP = 23_040
NPZ_STEP = 1024

_EXPECTED = (
    "the published file dsprites_ndarray_co1sh3sc6or40x32y32_64x64 has imgs uint8 [N, 64, 64] of 0 and 1 and "
    "classes of the latents int64 [N, 6], N = 737,280"
)


def read_npz(path: Path) -> Images:
    """dSprites from the published .npz file; its `metadata`, which is pickled, is never opened.

    This takes about ten seconds and 450 MB: the pixels are packed to bits as they are read. A file of fewer images than
    the published 737,280 is read as a part of the set if it has the latent classes of each. Raises `InputError` for
    other files.
    """
    header = npz.headers(path)
    imgs, classes = header["imgs"], header["latents_classes"]
    _check(path, imgs, classes)
    table = np.concatenate(list(npz.slabs(path, "latents_classes", NPZ_STEP)))
    return _images(path, npz.slabs(path, "imgs", NPZ_STEP), table)


def read_hdf5(path: Path) -> Images:
    """dSprites from the published .hdf5 file, as `read_npz`, in 20 seconds and 620 MB; needs the extra `hdf5`."""
    with npz.naming(path), h5.open_arrays(path, "imgs", "latents/classes", expected=_EXPECTED) as (imgs, classes):
        _check(path, imgs, classes)
        slabs = (imgs[first : first + HDF5_STEP] for first in range(0, len(imgs), HDF5_STEP))
        return _images(path, slabs, classes[:])


def _check(path: Path, imgs: Any, classes: Any) -> None:
    """Check `shape` and `dtype` of both arrays before either is read."""
    n = imgs.shape[0] if imgs.shape else 0
    if imgs.shape != (n, 64, 64) or imgs.dtype != np.uint8 or not 0 < n <= N:
        raise InputError(f"{path}: imgs is {imgs.dtype} {list(imgs.shape)}; {_EXPECTED}")
    if classes.shape != (n, 6) or classes.dtype.kind not in "iu":
        raise InputError(
            f"{path}: the latent classes are {classes.dtype} {list(classes.shape)} for {n:,} images; {_EXPECTED}"
        )


def _images(path: Path, slabs: Iterable[npt.NDArray[np.uint8]], classes: npt.NDArray[Any]) -> Images:
    """Images of 0/1 pixels [n, 64, 64] given in slabs, and their classes [N, 6]: colour, then the five factors."""
    if classes[:, 0].any() or classes.min() < 0 or (classes[:, 1:] >= FACTOR_SIZES).any():
        raise InputError(f"{path}: the latent classes exceed the sizes 1, 3, 6, 40, 32, 32 of dSprites; {_EXPECTED}")
    rows = np.empty((len(classes), ROW), np.uint8)
    first = 0
    for slab in slabs:
        if slab.max() > 1:
            raise InputError(f"{path}: imgs has the pixel value {slab.max()}; {_EXPECTED}")
        rows[first : first + len(slab)] = np.packbits(slab.reshape(len(slab), -1), axis=1)
        first += len(slab)
    codes = classes[:, 1:].astype(np.int64)
    return of_rows(rows, codes, source=str(path))
