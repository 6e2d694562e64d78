"""Shapes3D: an object in a room, in the colours of the rainbow, from the published .h5 file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data import npz, published
from equipoise.data.dataset import Dataset, Remote
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FACTOR_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
FILE = "3dshapes.h5"

_MOST = 32_768  # images read in one go, 400 MB: the chunks of the published file may hold parts of as many


def convert(source: Path, folder: Path, sizes: tuple[int, ...] = FACTOR_SIZES) -> None:
    """Convert 3dshapes.h5, or the folder it lies in; needs the extra `hdf5`. Its labels must be those of the grid."""
    path = published.file_of(source, FILE)
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: .h5 files need h5py; pip install equipoise[hdf5]") from error
    with npz.naming(path):
        file = h5py.File(path, "r")
    with file:
        images, labels = file.get("images"), file.get("labels")
        if not isinstance(images, h5py.Dataset) or not isinstance(labels, h5py.Dataset):
            raise InputError(f"{path}: images and labels are not both there; give {FILE} as published")
        if images.shape[1:] != (64, 64, 3) or images.dtype != np.uint8:
            raise InputError(
                f"{path}: images are {images.dtype} {list(images.shape)}, not uint8 [N, 64, 64, 3]; give {FILE}"
            )
        published.check_number(path, len(images), sizes)
        with npz.naming(path):
            values = labels[:]
        published.check_labels(str(path), values, FACTOR_NAMES, sizes)
        published.write(
            SHAPES3D,
            folder,
            source=path,
            images=len(images),
            sizes=sizes,
            blocks=lambda first: _blocks(path, images, first),
        )


def _blocks(path: Path, images: Any, first: int) -> Iterator[Bytes]:
    """The images from `first` on; a chunk of the file is unpacked once, whatever its form, if it fits into `_MOST`."""
    step = min(images.chunks[0] if images.chunks else 1, _MOST)
    step *= -(-published.BLOCK // step)  # small chunks: several at a time
    for start in range(first - first % step, len(images), step):
        with npz.naming(path):
            slab = images[max(start, first) : start + step]
        for i in range(0, len(slab), published.BLOCK):
            yield np.moveaxis(slab[i : i + published.BLOCK], 3, 1)


SHAPES3D = Dataset(
    name="shapes3d",
    summary="480,000 pictures of an object in a room: hues of floor, wall and object, 8 scales, 4 shapes, 15 views",
    images=480_000,
    shape=(3, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home="https://github.com/google-deepmind/3d-shapes",
    licence="Apache-2.0",
    citation="C. Burgess and H. Kim: 3D Shapes Dataset, 2018, https://github.com/google-deepmind/3d-shapes",
    files=(
        Remote(
            FILE,
            ("https://storage.googleapis.com/3d-shapes/3dshapes.h5",),
            bytes=267_573_662,
            sha256="0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
            md5="099a2078d58cec4daad0702c55d06868",
        ),
    ),
    convert=convert,
)
