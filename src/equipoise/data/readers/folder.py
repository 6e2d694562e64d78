"""Image files: a folder of them, one of them, or a list of their paths."""

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from equipoise import progress
from equipoise.data import pictures, tables
from equipoise.data.intensity import Raw
from equipoise.data.pixels import Shape
from equipoise.data.readers import tiff
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError
from equipoise.files import user_path
from equipoise.natural import natural_key

_BLOCK = 512  # files whose heads are read at once
_STACK_BLOCK = 32  # pictures at once where files have several, which are read one after the other
_READING = 3  # counted up when files are decoded to other pixels than before, which are in the cache
_RESULTS = (frozenset(("config.toml", "meta.json")), frozenset(("study.toml",)))  # files of a run, and of a study
_PLAIN = frozenset(  # suffixes of tables and text, which are left out without a warning
    ".csv .tsv .parquet .txt .md .json .jsonl .yaml .yml .toml .xml .html .log .ini .db".split()  # noqa: SIM905
)


def read(path: Path) -> Source:
    """The image files of a folder and its sub-folders, in the natural order of their names: frame2 before frame10.

    Hidden files are left out, and so are runs and studies, whose pictures are results. Warns of links to folders, which
    are not followed, and of files of other kinds unless they hold text. Raises `InputError` for a folder without
    images.
    """
    source = _of_files(path, listing(path), str(path), place="")
    return replace(source, folder=path, origin=str(path))


def read_one(path: Path) -> Source:
    """The picture in one image file, or those in a stack of pages."""
    return replace(_of_files(path.parent, [path.name], str(path), place=path.name), origin=str(path))


def read_paths(paths: Iterable[str | os.PathLike[str]]) -> Source:
    """The pictures in files anywhere, in the order of their paths."""
    files = [str(user_path(path)) for path in paths]
    return _of_files(Path(), files, "files", place="\0".join(files))


def read_frame(frame: Any) -> Source:
    """The pictures in the files that a column of a data frame names, and the other columns."""
    paths, others = tables.paths_of(frame)
    return replace(read_paths(paths), frame=others)


def _of_files(folder: Path, files: Sequence[str], title: str, place: str) -> Source:
    """The pictures in files, whose paths are relative to a folder. Those of a stack of pages are a.tif[0], a.tif[1].

    place: distinguishes several sources of the same folder in the cache.
    """
    stacks = {file: shapes for file in files if (shapes := _stack(folder / file))}
    names = [name for file in files for name in ([f"{file}[{i}]" for i in range(len(stacks.get(file, ())))] or [file])]

    def read_from(first: int) -> Iterator[Picture]:
        for file in files:
            count = len(stacks.get(file, (file,)))
            if first >= count:
                first -= count
                continue
            if file in stacks:
                stack = tiff.read_stack(folder / file, str(folder / file), first)
                yield from (partial(_raw_or_error, raw) for raw in stack)
            else:
                yield partial(read_file, folder / file)
            first = 0

    return Source(
        title,
        len(names),
        lambda: heads(folder, files, stacks, title),
        read_from,
        label=names.__getitem__,
        plural="files",
        in_threads=True,
        block=_STACK_BLOCK if stacks else None,
        files=names,
        key=((str(folder.resolve()), place), state(folder, files), _READING),
    )


def _stack(file: Path) -> list[Shape]:
    """The shapes of the pictures in a TIFF of several pages; empty for other and for damaged files."""
    with suppress(OSError, pictures.Damaged):  # reported when it is decoded
        if tiff.has_several_pages(file):
            return tiff.stack(file, str(file))
    return []


def _raw_or_error(raw: Raw | pictures.Damaged) -> Raw:
    if isinstance(raw, pictures.Damaged):
        raise raw
    return raw


def read_file(file: Path) -> Raw:
    """The picture in an image file."""
    with pictures.reading(str(file)):
        picture = tiff.read(file, str(file)) if tiff.is_tiff(file) else None
    return pictures.read(file, name=str(file)) if picture is None else picture


def heads(
    folder: Path, files: Sequence[str], stacks: Mapping[str, Sequence[Shape]], title: str
) -> Iterator[tuple[str, Shape]]:
    """Name and shape of each picture, without the damaged ones, which are reported when they are decoded."""

    def shapes_of(name: str) -> Sequence[Shape]:
        if name in stacks:
            return stacks[name]
        file, label = folder / name, str(folder / name)
        try:
            with pictures.reading(label):
                shape = tiff.head(file, label) if tiff.is_tiff(file) else None
            return [shape or pictures.head(file, name=label)]
        except pictures.Damaged:
            return []

    with ThreadPoolExecutor() as pool, progress.bar(f"looking at {title}", len(files), "files") as advance:
        for start in range(0, len(files), _BLOCK):
            part = files[start : start + _BLOCK]
            for name, shapes in zip(part, pool.map(shapes_of, part), strict=True):
                yield from ((name, shape) for shape in shapes)
            advance(len(part))


def listing(path: Path) -> list[str]:
    """Paths of the image files relative to the folder, in natural order.

    The folders of runs and studies are left out: their pictures are results. Warns of files of other kinds and of links
    to folders. Raises `InputError` if there is no image.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename} cannot be read ({error.strerror}); change its permissions")

    names: list[str] = []
    other_kinds: Counter[str] = Counter()
    links: list[str] = []
    parquet: list[str] = []
    for place, folders, files in os.walk(path, onerror=refuse):
        if place != str(path) and any(marks <= {*files} for marks in _RESULTS):
            folders.clear()
            continue
        folders[:] = [folder for folder in folders if _is_visible(folder)]
        links += [folder for folder in folders if os.path.islink(os.path.join(place, folder))]
        inside = os.path.relpath(place, path).replace(os.sep, "/") + "/"
        inside = "" if inside == "./" else inside
        for file in filter(_is_visible, files):
            kind = os.path.splitext(file)[1].lower()
            if kind in pictures.KINDS:
                names.append(inside + file)
            elif kind == ".parquet":
                parquet.append(inside + file)
            elif kind not in _PLAIN:
                other_kinds[kind or "without a suffix"] += 1
    kinds_text = ", ".join(f"{count:,} {kind}" for kind, count in other_kinds.most_common())
    tables = f"; give one of its .parquet files as data, such as {parquet[0]}" if parquet else ""
    links_text = (
        f"links to folders are not followed ({', '.join(sorted(links))}). Give a folder with the images themselves"
    )
    if not names:
        kinds = ", ".join(kind[1:] for kind in pictures.KINDS)
        instead = f", and here are {kinds_text}; convert them to png" if kinds_text else ""
        instead += tables + (f"; {links_text}" if links else "")
        raise InputError(f"{path}: there are no images in this folder; expected {kinds} files{instead}")
    if links:
        warnings.warn(f"{path}: {links_text}", stacklevel=5)
    if other_kinds:
        warnings.warn(
            f"{path}: files of other kinds are left out ({kinds_text}). Convert them to png to use them",
            stacklevel=5,
        )
    return in_order(names)


def _is_visible(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


def in_order(names: Iterable[str]) -> list[str]:
    """Names in the order of `natural`, upper and lower case together, then by the plain name.

    The end of a folder's name sorts before any letter.
    """
    names = list(names)
    key = natural_key(name.casefold() for name in names)
    return sorted(names, key=lambda name: (key(name.casefold()).replace("/", "\0"), name))


def state(path: Path, names: Sequence[str]) -> str:
    """Digest of the files' names, sizes and times of change."""
    digest = hashlib.sha256()
    for name in names:
        try:
            status = os.stat(os.path.join(path, name))
            size_and_time = (status.st_size, status.st_mtime_ns)
        except OSError:  # such as a broken link, which is reported when it is decoded
            size_and_time = (-1, -1)
        digest.update(os.fsencode(f"{name}\0{size_and_time}\0"))
    return digest.hexdigest()
