"""The files in a folder, a .zip or a .tar, read one by one; nothing is unpacked to the disk."""

import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from equipoise.data import npz
from equipoise.errors import InputError

LARGEST = 64 << 20  # bytes; larger than any picture or matrix of a published set, so larger files are refused


@dataclass(frozen=True)
class Files:
    """The files in a folder or an archive: their names, "/" between folders, and how to read one of them whole."""

    source: Path
    names: list[str]
    read: Callable[[str], bytes]


@contextmanager
def open_files(source: Path, *, in_order: bool = False) -> Iterator[Files]:
    """Open the files of a folder, .zip or .tar, in its own order, without hidden files and links.

    in_order: whether they will be read in that order. A .tar.gz is accepted only then: reading an earlier file would
        decompress it from its beginning.
    Raises `InputError` for other files, for damaged ones, and for a name that leads out of its folder.
    """
    if not source.exists():
        raise InputError(f"{source} does not exist; check the path")
    if source.is_dir():
        names = (file.relative_to(source).as_posix() for file in source.rglob("*") if file.is_file())
        yield Files(source, _visible_names(names), lambda name: _read(source / name))
    elif zipfile.is_zipfile(source):
        with _naming(source):
            archive = zipfile.ZipFile(source)
        with archive:
            lengths = {info.filename: info.file_size for info in archive.infolist() if not info.is_dir()}
            yield _archive_files(source, lengths, archive.read)
    else:
        compressed = is_gzip(source)
        if compressed and not in_order:
            raise InputError(f"{source} is compressed as a whole, so its pictures cannot be read one by one; unpack it")
        with _naming(source):
            tar = tarfile.open(source, "r:gz" if compressed else "r:")  # noqa: SIM115 (closed in the next line)
        with tar:
            with _naming(source):
                members = {info.name.removeprefix("./"): info for info in tar.getmembers() if info.isreg()}

            def read(name: str) -> bytes:
                file = tar.extractfile(members[name])
                assert file is not None  # only folders and links have none
                return file.read()

            yield _archive_files(source, {name: info.size for name, info in members.items()}, read)


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does (RFC 1952, section 2.3.1)."""
    with npz.naming(path), open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _read(path: Path) -> bytes:
    with npz.naming(path):
        return path.read_bytes()


def _archive_files(source: Path, lengths: Mapping[str, int], read_member: Callable[[str], bytes]) -> Files:
    """The files of an archive, whose names and lengths are checked."""
    for name in lengths:
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise InputError(
                f"{source} contains {name!r}, a name that leads out of its folder; "
                "download the archive again from where the set is published"
            )

    def read(name: str) -> bytes:
        if lengths[name] > LARGEST:
            raise InputError(
                f"{source}: {name} would unpack to {lengths[name]:,} bytes, more than any file of a published set; "
                "download the archive again from where the set is published"
            )
        with _naming(source):
            return read_member(name)

    return Files(source, _visible_names(lengths), read)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn errors of reading an archive into one `InputError` with its path."""
    with npz.naming(path):
        try:
            yield
        except (tarfile.TarError, lzma.LZMAError) as error:
            raise ValueError(str(error)) from error


def _visible_names(names: Iterable[str]) -> list[str]:
    return [name for name in names if not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]
