"""smallNORB: photographs of fifty toys under six lights, from the published binary matrices."""

import gzip
import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import npz, pictures
from equipoise.data.converters import archives, published
from equipoise.data.dataset import Dataset
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

PARTS = ("smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing")

# The type of a matrix by its first four bytes. The home page of the set lists six types; these two are used.
_TYPES = {0x1E3D4C55: np.dtype("u1"), 0x1E3D4C54: np.dtype("<i4")}


def convert(dataset: Dataset, source: Path, folder: Path, *, side: int = 96) -> None:
    """Convert the folder of the six published files, .mat.gz or unpacked to .mat, from 96 to 64 pixels.

    The first picture of each stereo pair is used, in the order of the files, training before testing. All are in
    memory before any is written, 199 MB: the checksum of a .gz is at its end. Raises `InputError` for other files.
    """
    sizes = dataset.factor_sizes
    paths = {(part, kind): _file(source, f"{part}-{kind}.mat") for part in PARTS for kind in ("dat", "cat", "info")}
    categories = [np.stack(list(_rows(paths[part, "cat"], "<i4", (None,)))) for part in PARTS]
    lengths = [len(category) for category in categories]
    info = [np.stack(list(_rows(paths[part, "info"], "<i4", (n, 4)))) for part, n in zip(PARTS, lengths, strict=True)]
    table = np.column_stack([np.concatenate(categories), np.concatenate(info)]).astype(np.int64)
    published.check_number(source, len(table), sizes)
    has_odd = (table[:, 3] % 2).any()  # azimuths are counted in steps of 10 degrees, but there is one every 20
    table[:, 3] //= 2
    if has_odd or (table < 0).any() or (table >= sizes).any() or len(np.unique(table, axis=0)) != len(table):
        raise InputError(
            f"{source}: the labels are not every combination of {', '.join(dataset.factor_names)} once; "
            "get the set again"
        )
    matrices = [(paths[part, "dat"], (n, 2, side, side)) for part, n in zip(PARTS, lengths, strict=True)]
    published.write(
        dataset,
        folder,
        source=source,
        table=table,
        preparation="resized to 64 x 64",
        blocks=lambda first: published.in_blocks(_images(matrices), first),
    )


def _file(source: Path, name: str) -> Path:
    for file in (source / f"{name}.gz", source / name):
        if file.is_file():
            return file
    raise InputError(f"{source}: {name}.gz is not there; give the folder with all six files of smallNORB")


def _rows(path: Path, kind: str, shape: tuple[int | None, ...]) -> Iterator[npt.NDArray[Any]]:
    """One row after the other of a binary matrix, .gz or not, of this type and shape; None is any length.

    Little-endian: int32 magic, int32 number of axes, their sizes, int32, three or more, and the numbers in C order.
    """
    with npz.naming(path), gzip.open(path) if archives.is_gzip(path) else open(path, "rb") as file:
        magic, axes = struct.unpack("<ii", file.read(8))
        is_known_type = magic in _TYPES and 0 < axes <= 4
        actual = struct.unpack(f"<{max(3, axes)}i", file.read(4 * max(3, axes)))[:axes] if is_known_type else ()
        if (
            not is_known_type
            or _TYPES[magic] != kind
            or len(actual) != len(shape)
            or any(b not in (None, a) or a < 1 for a, b in zip(actual, shape, strict=True))
        ):
            raise InputError(
                f"{path}: a matrix {_TYPES.get(magic, 'of no known kind')} {list(actual)}, expected {np.dtype(kind)} "
                f"[{', '.join('N' if side is None else str(side) for side in shape)}]; get it as published"
            )
        row = math.prod(actual[1:]) * np.dtype(kind).itemsize
        for _ in range(actual[0]):
            yield np.frombuffer(file.read(row), kind).reshape(actual[1:])
        if file.read(1):  # at the end gzip compares its checksum
            raise InputError(f"{path} has more than the {actual[0]:,} rows of its header; get it as published")


def _images(matrices: Sequence[tuple[Path, tuple[int, ...]]]) -> Bytes:
    pairs = (pair for path, shape in matrices for pair in _rows(path, "u1", shape))
    return np.stack([pictures.resize(pair[:1], 64) for pair in pairs])
