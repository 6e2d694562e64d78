"""smallNORB: photographs of fifty toys under six lights, from the published binary matrices."""

import gzip
import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import npz, pictures, published
from equipoise.data.dataset import Dataset, Remote
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FACTOR_NAMES = ("category", "instance", "elevation", "azimuth", "lighting")
FACTOR_SIZES = (5, 10, 9, 18, 6)
PARTS = ("smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing")
HOME = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"

# What the numbers of a matrix are, by its first four bytes (the home page of the set lists six kinds; it uses these).
_TYPES = {0x1E3D4C55: np.dtype("u1"), 0x1E3D4C54: np.dtype("<i4")}


def convert(source: Path, folder: Path, sizes: tuple[int, ...] = FACTOR_SIZES, side: int = 96) -> None:
    """Convert the folder of the six published files, .mat.gz or unpacked to .mat; resized from 96 to 64 pixels.

    Taken is the first picture of each stereo pair. The order is that of the files, training before testing. All are
    held in memory before any is written, 199 MB: the checksum of a .gz comes at its end.
    """
    paths = {(part, kind): _file(source, f"{part}-{kind}.mat") for part in PARTS for kind in ("dat", "cat", "info")}
    categories = [np.stack(list(_rows(paths[part, "cat"], "<i4", (None,)))) for part in PARTS]
    info = np.concatenate(
        [
            np.stack(list(_rows(paths[part, "info"], "<i4", (len(category), 4))))
            for part, category in zip(PARTS, categories, strict=True)
        ]
    )
    table = np.column_stack([np.concatenate(categories), info]).astype(np.int64)
    published.check_number(source, len(table), sizes)
    odd = (table[:, 3] % 2).any()  # azimuths are counted in steps of 10 degrees and taken every 20
    table[:, 3] //= 2
    if odd or (table < 0).any() or (table >= sizes).any() or len(np.unique(table, axis=0)) != len(table):
        raise InputError(
            f"{source}: the labels do not name every combination of {', '.join(FACTOR_NAMES)} once; get the set again"
        )
    dats = [(paths[part, "dat"], (len(each), 2, side, side)) for part, each in zip(PARTS, categories, strict=True)]
    published.write(
        SMALLNORB,
        folder,
        source=source,
        images=len(table),
        sizes=sizes,
        table=table,
        prepared="resized to 64 x 64",
        blocks=lambda first: _blocks(dats, len(table), first),
    )


def _file(source: Path, name: str) -> Path:
    for file in (source / f"{name}.gz", source / name):
        if file.is_file():
            return file
    raise InputError(f"{source}: {name}.gz is not there; give the folder that holds all six files of smallNORB")


def _rows(path: Path, kind: str, shape: tuple[int | None, ...]) -> Iterator[npt.NDArray[Any]]:
    """One row after the other of a binary matrix, .gz or not, of this type and shape; None is any length.

    Little-endian: int32 magic, int32 number of axes, their sizes, int32, three or more, and the numbers in C order.
    """
    with npz.naming(path), gzip.open(path) if published.is_gzip(path) else open(path, "rb") as file:
        magic, axes = struct.unpack("<ii", file.read(8))
        known = magic in _TYPES and 0 < axes <= 4
        found = struct.unpack(f"<{max(3, axes)}i", file.read(4 * max(3, axes)))[:axes] if known else ()
        if (
            not known
            or _TYPES[magic] != kind
            or len(found) != len(shape)
            or any(b not in (None, a) or a < 1 for a, b in zip(found, shape, strict=True))
        ):
            raise InputError(
                f"{path}: a matrix {_TYPES.get(magic, 'of no known kind')} {list(found)}, expected {np.dtype(kind)} "
                f"[{', '.join('N' if side is None else str(side) for side in shape)}]; get it as published"
            )
        row = math.prod(found[1:]) * np.dtype(kind).itemsize
        for _ in range(found[0]):
            yield np.frombuffer(file.read(row), kind).reshape(found[1:])
        if file.read(1):  # at the end gzip compares its checksum
            raise InputError(f"{path} goes on after its {found[0]:,} rows; get it as published")


def _blocks(dats: Sequence[tuple[Path, tuple[int, ...]]], images: int, first: int) -> Iterator[Bytes]:
    pixels = np.empty((images, 1, 64, 64), np.uint8)
    pairs = (pair for path, shape in dats for pair in _rows(path, "u1", shape))
    for row, pair in enumerate(pairs):
        pixels[row, 0] = pictures.resized(pair[0], 64)
    yield from published.in_blocks(images, lambda rows: pixels[rows.start : rows.stop])(first)


# Name, bytes, sha256 and md5 of the published files.
_PUBLISHED = """
training-dat 131896188 5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873 66054832f9accfe74a0f4c36a75bc0a2
training-cat 348 2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa 23c8b86101fbf0904a000b43d3ed2fd9
training-info 71052 de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32 51dee1210a742582ff607dfd94e332e3
testing-dat 130799817 cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474 e4ad715691ed5a3a5f138751a4ceb071
testing-cat 347 ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff 5aa791cd7e6016cf957ce9bdb93b8603
testing-info 10428 16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2 a9454f3864d7fd4bb3ea7fc3eb84924e
"""


def _remote(line: str) -> Remote:
    name, length, sha256, md5 = line.split()
    file = f"{PARTS[name.startswith('testing')].rsplit('-', 1)[0]}-{name}.mat.gz"
    return Remote(file, (HOME + file,), int(length), sha256, md5)


SMALLNORB = Dataset(
    name="smallnorb",
    summary="48,600 grey photographs of toys, resized to 64 x 64: 5 categories, 10 instances, 9 x 18 views, 6 lights",
    images=48_600,
    shape=(1, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home=HOME,
    licence="free for research, no commercial use",
    citation="Y. LeCun, F. J. Huang and L. Bottou: Learning Methods for Generic Object Recognition with Invariance to "
    "Pose and Lighting, CVPR 2004",
    files=tuple(map(_remote, _PUBLISHED.split("\n")[1:-1])),
    convert=convert,
)
