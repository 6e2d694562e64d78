"""MPI3D: a robot arm that holds an object, rendered simply, rendered realistically, photographed, with real objects."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from equipoise.data import npz
from equipoise.data.converters import published
from equipoise.data.dataset import Dataset
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError


def convert(dataset: Dataset, source: Path, folder: Path, *, file: str, other_sizes: Sequence[int] = ()) -> None:
    """Convert the published .npz `file`, or its folder.

    other_sizes: other factor sizes than those of the set; those that the number of images fills are used.

    The file is read once from front to back. No digest is published for the files at today's addresses, so the
    checksum of the zip format, compared at its end, is the only sign of damage. Raises `InputError` for other files.
    """
    path = published.file_of(source, file)
    header = npz.headers(path).get("images")
    if header is None or header.dtype != np.uint8 or header.shape[1:] != (64, 64, 3) or header.fortran:
        actual = "none" if header is None else f"{header.dtype} {list(header.shape)}"
        raise InputError(
            f"{path}: {dataset.name} is one array images, uint8 [N, 64, 64, 3], and here is {actual}; get {file}"
        )
    n, grids = header.shape[0], [dataset.factor_sizes, *([tuple(other_sizes)] if other_sizes else [])]
    sizes = next((grid for grid in grids if math.prod(grid) == n), None)
    if sizes is None:
        expected = " or ".join(f"{math.prod(grid):,} = {' x '.join(map(str, grid))}" for grid in grids)
        raise InputError(f"{path}: {n:,} images, and {dataset.name} has {expected}; get {file} as published")
    dataset = replace(dataset, images=n, factor_sizes=sizes)
    published.write(dataset, folder, source=path, blocks=lambda first: _blocks(path, first))


def _blocks(path: Path, first: int) -> Iterator[Bytes]:
    """The images from `first` on; the last of them only after the checksum of the whole file was compared."""
    previous: Bytes | None = None
    for slab in npz.slabs(path, "images", published.BLOCK):
        if previous is not None:
            yield previous
            previous = None
        if first < len(slab):
            previous = np.moveaxis(slab[first:], 3, 1)
        first = max(first - len(slab), 0)
    if previous is not None:
        yield previous
