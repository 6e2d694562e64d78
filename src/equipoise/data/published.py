"""What the readers of published sets share: files in folders and archives, pictures one by one, and the grid."""

import io
import lzma
import math
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import npz, pictures, store
from equipoise.data.dataset import Dataset
from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError

LARGEST = 64 << 20  # bytes: no picture and no matrix of these sets comes near, so what is larger is none of theirs
BLOCK = 256  # pictures held at a time


@dataclass(frozen=True)
class Files:
    """The files in a folder or an archive: their names, "/" between folders, and how to read one of them whole."""

    source: Path
    names: list[str]
    read: Callable[[str], bytes]


@contextmanager
def opened(source: Path, *, in_order: bool = False) -> Iterator[Files]:
    """The files of a folder, .zip or .tar in its own order; nothing is unpacked, hidden files and links are left out.

    in_order: whether they will be read in that order. Only then is a .tar.gz taken, which starts anew for a step back.
    InputError for what is none of these, is damaged, or holds a name that leads out of its folder.
    """
    if not source.exists():
        raise InputError(f"{source} does not exist; check the path")
    if source.is_dir():
        names = (file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file())
        yield Files(source, _shown(names), lambda name: _whole(source / name))
    elif zipfile.is_zipfile(source):
        with _naming(source):
            archive = zipfile.ZipFile(source)
        with archive:
            yield _in_zip(source, archive)
    else:
        packed = is_gzip(source)
        if packed and not in_order:
            raise InputError(
                f"{source} is compressed as a whole, so its pictures cannot be found one by one; unpack it"
            )
        with _naming(source):
            tar = tarfile.open(source, "r:gz" if packed else "r:")  # noqa: SIM115 (closed in the next line)
        with tar:
            yield _in_tar(source, tar)


def _whole(path: Path) -> bytes:
    with npz.naming(path):
        return path.read_bytes()


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does (RFC 1952, section 2.3.1)."""
    with npz.naming(path), open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _in_zip(source: Path, archive: zipfile.ZipFile) -> Files:
    sizes = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}

    def read(name: str) -> bytes:
        _check_length(source, name, sizes[name])
        with _naming(source):
            return archive.read(name)

    return Files(source, _shown(_inside(source, sizes)), read)


def _in_tar(source: Path, archive: tarfile.TarFile) -> Files:
    with _naming(source):
        infos = {info.name.removeprefix("./"): info for info in archive.getmembers() if info.isreg()}

    def read(name: str) -> bytes:
        _check_length(source, name, infos[name].size)
        with _naming(source):
            file = archive.extractfile(infos[name])
            assert file is not None  # only folders and links have none
            return file.read()

    return Files(source, _shown(_inside(source, infos)), read)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of reading an archive become one `InputError` that names it."""
    with npz.naming(path):
        try:
            yield
        except (tarfile.TarError, lzma.LZMAError) as error:
            raise ValueError(str(error)) from error


def _check_length(source: Path, name: str, length: int) -> None:
    if length > LARGEST:
        raise InputError(
            f"{source}: {name} would unpack to {length:,} bytes, more than any file of a published set; "
            "fetch the archive again from where the set is published"
        )


def _inside(source: Path, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise InputError(
                f"{source} holds {name!r}, a name that leads out of its folder; "
                "fetch the archive again from where the set is published"
            )
        yield name


def _shown(names: Iterable[str]) -> list[str]:
    return [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]


def file_of(source: Path, name: str) -> Path:
    """The file `source`, or the file of this name in the folder `source`; InputError when there is none."""
    file = source / name if source.is_dir() else source
    if not file.is_file():
        raise InputError(f"{file} does not exist; give {name} as published, or the folder that holds it")
    return file


def picture(
    files: Files, name: str, *, channels: int, crop: int | None, size: int, expected: tuple[int, int] | None
) -> Bytes:
    """One picture as uint8 [C, size, size]. `expected` is its width and height in the file; None: any square."""
    data, label = io.BytesIO(files.read(name)), f"{files.source}/{name}"
    head = pictures.head(data, name=label)
    if (head.width, head.height) != (expected or (head.width, head.width)):
        wanted = f"{expected[0]} x {expected[1]}" if expected else "square"
        raise InputError(
            f"{label} is {head.width} x {head.height}, and pictures of this set are {wanted}; get them as published"
        )
    data.seek(0)
    return pictures.decode(data, channels=channels, crop=crop, size=size, name=label)


def in_blocks(images: int, block: Callable[[range], Bytes]) -> Callable[[int], Iterator[Bytes]]:
    """What `store.write` asks for: from a first number on, the images of one range of numbers after the other."""

    def blocks(first: int) -> Iterator[Bytes]:
        for start in range(first, images, BLOCK):
            yield block(range(start, min(start + BLOCK, images)))

    return blocks


def write(
    dataset: Dataset,
    folder: Path,
    *,
    source: Path,
    images: int,
    blocks: Callable[[int], Iterator[Bytes]],
    sizes: Sequence[int] = (),
    table: npt.NDArray[np.int64] | None = None,
    shape: Shape | None = None,
    prepared: str = "",
) -> None:
    """`store.write` with what is known of the set: a grid of the factor `sizes` unless there is a `table`, or no sizes.

    prepared: what was done to the pictures. With it, and the time of a file, a set that broke off is only gone on with
    where file and preparation are those it was begun with.
    """
    origin = str(source)
    if source.is_file():
        state = source.stat()
        origin += f" of {datetime.fromtimestamp(state.st_mtime, UTC):%Y-%m-%d %H:%M:%S} UTC, {state.st_size:,} bytes"
    store.write(
        folder,
        images=images,
        shape=shape or dataset.shape,
        blocks=blocks,
        source=f"{origin}; {prepared}" if prepared else origin,
        name=dataset.name,
        factors=table if table is not None else "grid" if sizes else None,
        factor_names=dataset.factor_names,
        factor_sizes=sizes,
        licence=dataset.licence,
        citation=dataset.citation,
    )


def check_number(source: Path, images: int, sizes: Sequence[int]) -> None:
    """InputError that names both numbers, when the images do not fill the grid of factor sizes."""
    if images != math.prod(sizes):
        raise InputError(
            f"{source}: {images:,} images, and the factor sizes {' x '.join(map(str, sizes))} make "
            f"{math.prod(sizes):,}; get the whole set again"
        )


def check_labels(source: str, labels: npt.NDArray[Any], names: Sequence[str], sizes: Sequence[int]) -> None:
    """InputError when labels [N, K] do not run through the grid in its order, the last factor fastest.

    Codes are the ranks of a column's values, whatever their unit: normalised, degrees or whole numbers.
    """
    images = math.prod(sizes)
    if labels.shape != (images, len(sizes)) or labels.dtype.kind not in "iuf":
        raise InputError(
            f"{source}: labels are {labels.dtype} {list(labels.shape)} and not numbers {[images, len(sizes)]}; "
            "get the file again"
        )
    digits = np.unravel_index(np.arange(images), tuple(sizes))
    for name, size, column, codes in zip(names, sizes, labels.T, digits, strict=True):
        values, ranks = np.unique(np.round(column, 6), return_inverse=True)  # 6: values are a percent apart or more
        if len(values) != size or (ranks != codes).any():
            raise InputError(
                f"{source}: the labels of {name} are not its {size} values in the order of the set; get the file again"
            )
