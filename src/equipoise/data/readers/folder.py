"""A folder of image files."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from equipoise import progress
from equipoise.data import pictures
from equipoise.data.pictures import Form
from equipoise.data.pixels import Bytes, Shape
from equipoise.data.readers import tiff
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError

_BLOCK = 512  # files whose heads are read at once
_READING = 2  # counted up when files are decoded to other pixels than before, which are in the cache


def read(path: Path) -> Source:
    """The image files of a folder and its sub-folders, in the natural order of their names: frame2 before frame10.

    Other and hidden files are left out, and links to folders are not followed. Raises `InputError` for a folder without
    images.
    """
    names = listing(path)

    def read_from(first: int, rows: int) -> Iterator[list[Picture]]:
        for start in range(first, len(names), rows):
            yield [partial(_decode, path / name) for name in names[start : start + rows]]

    return Source(
        str(path),
        len(names),
        lambda: heads(path, names),
        read_from,
        label=names.__getitem__,
        plural="files",
        in_threads=True,
        folder=path,
        files=names,
        key=(str(path.resolve()), state(path, names), _READING),
        origin=str(path),
    )


def _decode(file: Path, form: Form, channels: int) -> Bytes:
    with pictures.reading(str(file)):
        pixels = tiff.read(file, str(file)) if tiff.is_tiff(file) else None
    if pixels is not None:
        return form.prepare_pixels(pixels, channels, str(file))
    return pictures.decode(file, channels=channels, crop=form.crop, size=form.size, name=str(file))


def heads(path: Path, names: Sequence[str]) -> Iterator[tuple[str, Shape]]:
    """Name and shape of each file, without those that are damaged, which are reported when they are decoded."""

    def head_of(name: str) -> Shape | None:
        file, label = path / name, str(path / name)
        try:
            with pictures.reading(label):
                shape = tiff.head(file, label) if tiff.is_tiff(file) else None
            if shape is not None:
                return shape
            head = pictures.head(file, name=label)
            return 1 if head.grey else 3, head.height, head.width
        except pictures.Damaged:
            return None

    with ThreadPoolExecutor() as pool, progress.bar(f"looking at {path}", len(names), "files") as advance:
        for start in range(0, len(names), _BLOCK):
            some = names[start : start + _BLOCK]
            for name, shape in zip(some, pool.map(head_of, some), strict=True):
                if shape is not None:
                    yield name, shape
            advance(len(some))


def listing(path: Path) -> list[str]:
    """Paths of the image files relative to the folder, in natural order. Raises `InputError` if there are none."""

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} may not be read by you ({error.strerror}); change its permissions")

    names: list[str] = []
    for place, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [folder for folder in folders if _is_visible(folder)]
        inside = os.path.relpath(place, path).replace(os.sep, "/") + "/"
        inside = "" if inside == "./" else inside
        names += [
            inside + file for file in files if _is_visible(file) and os.path.splitext(file)[1].lower() in pictures.KINDS
        ]
    if not names:
        kinds = ", ".join(kind[1:] for kind in pictures.KINDS)
        raise InputError(f"{path}: there are no images in this folder; expected {kinds} files")
    return sorted(names, key=_natural)


def _is_visible(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


def _natural(name: str) -> tuple[str, str]:
    """Sort key: runs of digits by their number, upper and lower case together, then the plain name.

    The key is a text, since lists of words and numbers take ten times the memory: a number becomes the count of its
    digits, followed by them. The end of a folder's name and the beginning of a number sort before any letter.
    """
    key = re.sub(r"\d+", lambda run: "\1" + chr(len(number := str(int(run[0])))) + number, name.casefold())
    return key.replace("/", "\0"), name


def state(path: Path, names: Sequence[str]) -> str:
    """Digest of the files' names, sizes and times of change."""
    digest = hashlib.sha256()
    for name in names:
        try:
            about = os.stat(os.path.join(path, name))
            known = (about.st_size, about.st_mtime_ns)
        except OSError:  # such as a broken link, which is reported when it is decoded
            known = (-1, -1)
        digest.update(os.fsencode(f"{name}\0{known}\0"))
    return digest.hexdigest()
