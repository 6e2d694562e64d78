"""dSprites from the files that its authors published, .npz or .hdf5."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from equipoise.data import array_files
from equipoise.data.images import Images
from equipoise.data.npz import Header
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


def name_of_classes(path: Path) -> str:
    """The name of the array of latent classes in the published file of this kind."""
    return "latents_classes" if array_files.is_npz(path) else "latents/classes"


def read(path: Path, headers: Mapping[str, Header]) -> Images:
    """dSprites from the published .npz file, whose pickled `metadata` is never opened, or from the .hdf5.

    This takes ten seconds and 450 MB, or 20 seconds and 620 MB: the pixels are packed to bits as they are read. A file
    of fewer images than the published 737,280 is read as a part of the set if it has the latent classes of each. Raises
    `InputError` for other files, before an array is read if its header differs.
    """
    imgs, classes = headers["imgs"], headers[name_of_classes(path)]
    n = imgs.shape[0] if imgs.shape else 0
    if imgs.shape != (n, 64, 64) or imgs.dtype != np.uint8 or not 0 < n <= N:
        raise InputError(f"{path}: imgs is {imgs.dtype} {list(imgs.shape)}; {_EXPECTED}")
    if classes.shape != (n, 6) or classes.dtype.kind not in "iu":
        raise InputError(
            f"{path}: the latent classes are {classes.dtype} {list(classes.shape)} for {n:,} images; {_EXPECTED}"
        )
    step = NPZ_STEP if array_files.is_npz(path) else HDF5_STEP
    codes = np.concatenate(list(array_files.slabs(path, name_of_classes(path), step)))  # colour, then the factors
    if codes[:, 0].any() or codes.min() < 0 or (codes[:, 1:] >= FACTOR_SIZES).any():
        raise InputError(f"{path}: the latent classes exceed the sizes 1, 3, 6, 40, 32, 32 of dSprites; {_EXPECTED}")
    rows = np.empty((n, ROW), np.uint8)
    first = 0
    for slab in array_files.slabs(path, "imgs", step):
        if slab.max() > 1:
            raise InputError(f"{path}: imgs has the pixel value {slab.max()}; {_EXPECTED}")
        rows[first : first + len(slab)] = np.packbits(slab.reshape(len(slab), -1), axis=1)
        first += len(slab)
    return of_rows(rows, codes[:, 1:].astype(np.int64), source=str(path))
