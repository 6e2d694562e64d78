"""Images from a folder of image files."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from equipoise import progress
from equipoise.data import factor_table, kept, pictures
from equipoise.data.factor_table import Table
from equipoise.data.images import Images
from equipoise.data.pictures import AS_IT_IS, Form
from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError
from equipoise.files import write_text

_NAMED = 3  # damaged files in a message; all of them are in the record


def from_folder(path: Path, form: Form = AS_IT_IS, *, factors: str | None = None, skip_damaged: bool = False) -> Images:
    """Images of a folder and its sub-folders, in the natural order of their names: frame2 before frame10.

    Read are png, jpg, bmp, gif, webp, tif and pnm; other and hidden files are passed over, and links to folders are not
    followed. The images come out grey (C = 1) if all are grey or the `form` is, in colour (C = 3) otherwise; each is
    cut and resized to the form, and brought to 8 bits, as `equipoise.data.pictures.prepared` says. More than 256 MB of
    pixels are prepared once, kept in the cache for as long as no file changes, and memory-mapped.

    factors: a table of factors (`equipoise.data.factor_table.read`), by default factors.csv or factors.parquet in the
        folder where there is one; or "folders": the first sub-folder of each image is its one factor.
    skip_damaged: leave out files that cannot be read as images; `source` says which.

    InputError, before any pixel is decoded, for a folder without images, factors that do not fit, mixed sizes without
    `form.size`, an image smaller than `form.crop`, animations, and images of more than 89 million pixels. After that
    one that names the files that cannot be read, all of them at once, unless they are to be skipped.
    """
    names = listing(path)
    values, factor_names, sizes = _factors(path, names, factors) or (None, None, ())
    pixels, damaged, record = _pixels(path, names, form)
    said = _said(path, damaged, len(names), record) if damaged else ""
    if len(damaged) == len(names):
        raise InputError(f"{said}; there is no image left: give files that open in another program")
    if damaged and not skip_damaged:
        raise InputError(
            f"{said}; mend or remove {'it' if len(damaged) == 1 else 'them'}, or set data.skip_damaged=true"
        )
    images = Images(
        pixels,
        name=str(path),
        factors=values,
        factor_names=factor_names,
        factor_sizes=sizes,
        digest=kept.digest(record.parent, values, factor_names),
        source=f"{path}; left out: {said}" if damaged else str(path),
    )
    return images.subset([i for i, name in enumerate(names) if name not in damaged]) if damaged else images


# --- which files ------------------------------------------------------------------------------------------------------


def listing(path: Path) -> list[str]:
    """Paths of the image files relative to the folder, in natural order. InputError where there are none."""

    def refused(error: OSError) -> None:
        raise InputError(f"{error.filename} may not be read by you ({error.strerror}); change its permissions")

    names: list[str] = []
    for place, folders, files in os.walk(path, onerror=refused):
        folders[:] = [folder for folder in folders if _shown(folder)]
        inside = os.path.relpath(place, path).replace(os.sep, "/") + "/"
        inside = "" if inside == "./" else inside
        names += [
            inside + file for file in files if _shown(file) and os.path.splitext(file)[1].lower() in pictures.KINDS
        ]
    if not names:
        kinds = ", ".join(kind[1:] for kind in pictures.KINDS)
        raise InputError(f"{path}: there are no images in this folder; expected {kinds} files")
    return sorted(names, key=_natural)


def _shown(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


def _natural(name: str) -> tuple[str, str]:
    """Sorts runs of digits by their number; upper and lower case together; the plain name decides what is left.

    A text rather than a list of words and numbers, which takes ten times the memory: a number is the count of its
    digits, then they. Less than any letter are the end of a folder's name and, after it, the beginning of a number.
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
        except OSError:  # such as a link to nowhere, which is named when it is read
            known = (-1, -1)
        digest.update(os.fsencode(f"{name}\0{known}\0"))
    return digest.hexdigest()


def _factors(path: Path, names: Sequence[str], factors: str | None) -> Table | None:
    if factors == factor_table.FOLDERS:
        return factor_table.of_folders(path, names)
    table = factor_table.beside(path) if factors is None else Path(factors).expanduser()
    return None if table is None else factor_table.read(table, names)


# --- their pixels -----------------------------------------------------------------------------------------------------


def _pixels(path: Path, names: Sequence[str], form: Form) -> tuple[Bytes, dict[str, str], Path]:
    """All pictures, uint8 [N, C, H, W], black where a file is damaged; those files with the reasons, and their list."""
    folder = kept.place(str(path.resolve()), tuple(form), state(path, names))
    record = folder / "damaged.json"
    if (pixels := kept.opened(folder)) is not None:
        return pixels, _recorded(record), record

    def blocks(first: int) -> Iterator[Bytes]:
        if not first:
            record.unlink(missing_ok=True)
        damaged = _recorded(record)  # what goes on after a kill knows of those before it

        def picture(name: str) -> Bytes:
            try:
                return pictures.decode(
                    path / name, channels=shape[0], crop=form.crop, size=form.size, name=str(path / name)
                )
            except pictures.Damaged as error:
                damaged[name] = error.why
                return np.zeros(shape, np.uint8)

        step = kept.block(shape)
        with ThreadPoolExecutor() as pool:
            for start in range(first, len(names), step):
                block = np.stack(list(pool.map(picture, names[start : start + step])))
                if damaged:
                    write_text(record, json.dumps(damaged, indent=1))
                yield block

    with _bombs_unremarked():
        shape = shape_of(path, names, form)
        pixels = kept.gathered(len(names), shape, blocks, name=str(path.resolve()), folder=folder)
    return pixels, _recorded(record), record


def shape_of(path: Path, names: Sequence[str], form: Form) -> Shape:
    """Channels, height and width that the images will have, from their heads alone."""

    def head_of(name: str) -> pictures.Head | None:
        try:
            return pictures.head(path / name, name=str(path / name))
        except pictures.Damaged:  # it is met again when it is decoded
            return None

    first: tuple[str, Shape] | None = None
    channels = 1
    with ThreadPoolExecutor() as pool, progress.bar(f"looking at {path}", len(names), "files") as advance:
        for start in range(0, len(names), kept.BLOCK):
            some = names[start : start + kept.BLOCK]
            for name, head in zip(some, pool.map(head_of, some), strict=True):
                if head is None:
                    continue
                shape = form.of((1 if head.grey else 3, head.height, head.width), str(path / name))
                channels = max(channels, shape[0])
                first = first or (name, shape)
                if shape[1:] != first[1][1:]:
                    (_, high, wide), (_, height, width) = first[1], shape
                    raise InputError(
                        f"{path}: images of different sizes, {first[0]} {wide} x {high} and {name} {width} x {height}; "
                        "bring them to one with data.size=64"
                    )
            advance(len(some))
    _, height, width = first[1] if first else (1, 1, 1)  # where none can be read, which is said later
    return channels, height, width


@contextmanager
def _bombs_unremarked() -> Iterator[None]:
    """Pillow is not to warn of large images, which are refused anyway; said here, since its threads cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


# --- what cannot be read ----------------------------------------------------------------------------------------------


def _recorded(record: Path) -> dict[str, str]:
    """The damaged files that were met when the pixels were last prepared, with the reasons."""
    if not record.exists():
        return {}
    damaged: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))
    return damaged


def _said(path: Path, damaged: dict[str, str], files: int, record: Path) -> str:
    """`12 of 3,000 files cannot be read as images: a.png (why), b.png (why), c.png (why) and 9 more, listed in ...`."""
    first = sorted(damaged, key=_natural)[:_NAMED]  # threads met them in any order
    named = ", ".join(f"{name} ({damaged[name]})" for name in first)
    if len(damaged) == 1:
        name, why = next(iter(damaged.items()))
        return f"{path / name} cannot be read as an image ({why})"
    more = f" and {len(damaged) - _NAMED:,} more, listed in {record}" if len(damaged) > _NAMED else ""
    return f"{path}: {len(damaged):,} of {files:,} files cannot be read as images: {named}{more}"
