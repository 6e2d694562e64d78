"""What the converters of published sets share: pictures by name, blocks, and checks against the grid of factors."""

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import pictures, store
from equipoise.data.converters import archives
from equipoise.data.converters.archives import Files
from equipoise.data.dataset import Dataset
from equipoise.data.pictures import Form
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

BLOCK = 256  # pictures in memory at a time


def from_pictures(
    dataset: Dataset,
    source: Path,
    folder: Path,
    order: Callable[[Files], Sequence[str]],
    *,
    crop: int | None = None,
    size: int = 64,
    expected: tuple[int, int] | None = None,
) -> None:
    """Convert the image files of a folder, .zip or .tar to the channels of the set, each cropped and resized.

    order: from the files, the names of the pictures in the order of the set. expected: width and height of a file;
    None: any square. Raises `InputError` for pictures of another size.
    """
    with archives.open_files(source) as files:
        names = order(files)
        form, channels = Form(size, crop), dataset.shape[0]

        def blocks(first: int) -> Iterator[Bytes]:
            for start in range(first, len(names), BLOCK):
                block_names = names[start : start + BLOCK]
                yield np.stack([picture(files, name, channels, form, expected) for name in block_names])

        steps = ["grey"] * (channels == 1) + [f"centred square of {crop} pixels"] * bool(crop)
        write(
            dataset,
            folder,
            source=source,
            shape=(channels, size, size),
            preparation=", ".join([*steps, f"resized to {size} x {size}"]),
            blocks=blocks,
        )


def names_by_number(files: Files, suffix: str, first: int, images: int) -> list[str]:
    """Names of the files that six digits number from `first` on, in that order. Raises `InputError` for a gap."""
    pattern = re.compile(rf"(?:.*/)?(\d{{6}})\.{suffix}")
    numbers = {name: int(match[1]) for name in files.names if (match := pattern.fullmatch(name))}
    names = sorted(numbers, key=lambda name: numbers[name])
    if [numbers[name] for name in names] != list(range(first, first + images)):
        raise InputError(
            f"{files.source}: {len(names):,} pictures where {first:06}.{suffix} to {first + images - 1:06}.{suffix} "
            "are expected, once each; give the whole set as published, and nothing else"
        )
    return names


def picture(files: Files, name: str, channels: int, form: Form, expected: tuple[int, int] | None) -> Bytes:
    """One picture in a form, uint8 [C, size, size]; `expected` as in `from_pictures`.

    Raises `InputError` for a picture of another size.
    """
    data, label = io.BytesIO(files.read(name)), f"{files.source}/{name}"
    _, height, width = pictures.head(data, name=label)
    if (width, height) != (expected or (width, width)):
        size_of_set = f"{expected[0]} x {expected[1]}" if expected else "square"
        raise InputError(
            f"{label} is {width} x {height}, and pictures of this set are {size_of_set}; get them as published"
        )
    data.seek(0)
    return form.prepare(pictures.read(data, name=label), channels, label)


def in_blocks(pixels: Bytes, first: int = 0) -> Iterator[Bytes]:
    """The blocks from image `first` on of pixels [N, C, H, W]."""
    for start in range(first, len(pixels), BLOCK):
        yield pixels[start : start + BLOCK]


def write(
    dataset: Dataset,
    folder: Path,
    *,
    source: Path,
    blocks: Callable[[int], Iterator[Bytes]],
    table: npt.NDArray[np.int64] | None = None,
    shape: tuple[int, int, int] | None = None,
    preparation: str = "",
) -> None:
    """`store.write` with the properties of the data set: its factors fill their grid unless there is a `table`.

    preparation: what was done to the pictures. An interrupted conversion resumes only if this and the file are the
        same.
    """
    origin = str(source)
    if source.is_file():
        state = source.stat()
        origin += f" of {datetime.fromtimestamp(state.st_mtime, UTC):%Y-%m-%d %H:%M:%S} UTC, {state.st_size:,} bytes"
    store.write(
        folder,
        images=dataset.images,
        shape=shape or dataset.shape,
        blocks=blocks,
        source=f"{origin}; {preparation}" if preparation else origin,
        name=dataset.name,
        factors=table if table is not None else "grid" if dataset.factor_sizes else None,
        factor_names=dataset.factor_names,
        factor_sizes=dataset.factor_sizes,
        licence=dataset.licence,
        citation=dataset.citation,
    )


def file_of(source: Path, name: str) -> Path:
    """The file `source`, or the file of this name in the folder `source`. Raises `InputError` if there is none."""
    file = source / name if source.is_dir() else source
    if not file.is_file():
        raise InputError(f"{file} does not exist; give {name} as published, or its folder")
    return file


def archive_of(source: Path, name: str) -> Path:
    """The archive of this name in the folder `source` if there is one, otherwise `source`."""
    return source / name if (source / name).is_file() else source


def check_number(source: Path, images: int, sizes: Sequence[int]) -> None:
    """Raises `InputError` if the images do not fill the grid of factor sizes."""
    if images != math.prod(sizes):
        raise InputError(
            f"{source}: {images:,} images, and the factor sizes {' x '.join(map(str, sizes))} make "
            f"{math.prod(sizes):,}; get the whole set again"
        )


def check_labels(source: str, labels: npt.NDArray[Any], names: Sequence[str], sizes: Sequence[int]) -> None:
    """Raises `InputError` if labels [N, K] are not in the order of the grid, the last factor fastest.

    A code is the rank of a value in its column, in whatever unit: normalised, degrees or whole numbers.
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
