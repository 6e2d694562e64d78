"""Shapes3D: an object in a room, in the colours of the rainbow, from the published .h5 file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data import npz
from equipoise.data.array_files import open_hdf5
from equipoise.data.converters import published
from equipoise.data.dataset import Dataset
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FILE = "3dshapes.h5"

_STEP = 32_768  # images read at once, 400 MB: chunks of the published file may contain parts of as many


def convert(dataset: Dataset, source: Path, folder: Path) -> None:
    """Convert 3dshapes.h5, or its folder; needs the extra `hdf5`. Raises `InputError` for other images and labels."""
    path = published.file_of(source, FILE)
    with open_hdf5(path) as file:
        images, labels = file.get("images"), file.get("labels")
        if not all(hasattr(array, "dtype") for array in (images, labels)):
            raise InputError(f"{path}: images and labels are not both there; give {FILE} as published")
        if images.shape[1:] != (64, 64, 3) or images.dtype != np.uint8:
            raise InputError(
                f"{path}: images are {images.dtype} {list(images.shape)}, not uint8 [N, 64, 64, 3]; give {FILE}"
            )
        published.check_number(path, len(images), dataset.factor_sizes)
        with npz.naming(path):
            values = labels[:]
        published.check_labels(str(path), values, dataset.factor_names, dataset.factor_sizes)
        published.write(dataset, folder, source=path, blocks=lambda first: _blocks(path, images, first))


def _blocks(path: Path, images: Any, first: int) -> Iterator[Bytes]:
    """The images from `first` on; each chunk of the file is decompressed once if it has up to `_STEP` images."""
    step = min(images.chunks[0] if images.chunks else 1, _STEP)
    step *= -(-published.BLOCK // step)  # small chunks: several at a time
    for start in range(first - first % step, len(images), step):
        with npz.naming(path):
            slab = np.moveaxis(images[max(start, first) : start + step], 3, 1)
        yield from published.in_blocks(slab)
