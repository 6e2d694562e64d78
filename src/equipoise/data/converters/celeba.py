"""CelebA: faces of celebrities, cropped and resized, with their forty attributes as labels."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise.data import npz, store
from equipoise.data.converters import published
from equipoise.data.converters.archives import Files
from equipoise.data.dataset import Dataset
from equipoise.errors import InputError
from equipoise.files import replacing

CROP = 148  # centred square, pixels: customary for generative models of these faces, without most of the background
ARCHIVE = "img_align_celeba.zip"
ATTRIBUTES, PARTITION = "list_attr_celeba", "list_eval_partition"  # .txt as published, or .csv


def convert(dataset: Dataset, source: Path, folder: Path, *, crop: int | None = CROP, size: int = 64) -> None:
    """Convert the aligned pictures, img_align_celeba.zip or a folder of them, with the labels among or beside them.

    crop: side of the centred square that is cut out first; None: the whole 178 x 218 pixels, squeezed. size: the final
    side in pixels. `labels` returns the labels of the converted set. Raises `InputError` for other files.
    """
    source = published.archive_of(source, ARCHIVE)
    order = partial(_order, dataset.images, folder)
    published.from_pictures(dataset, source, folder, order, crop=crop, size=size, expected=(178, 218))


def _order(images: int, folder: Path, files: Files) -> Sequence[str]:
    """The pictures by their numbers; the labels are checked and written into `folder`."""
    order = published.names_by_number(files, "jpg", 1, images)
    names, attributes = _table(files, ATTRIBUTES, images, {"-1", "1"})
    _, parts = _table(files, PARTITION, images, {"0", "1", "2"})
    if attributes.shape[1] != len(names) or parts.shape[1] != 1:
        raise InputError(
            f"{files.source}: {ATTRIBUTES} has {len(names)} names for {attributes.shape[1]} columns, and {PARTITION} "
            f"{parts.shape[1]} columns, expected 1; get them again"
        )
    with replacing(folder / "labels.npz") as file:
        np.savez(file, names=[*names, "partition"], values=np.concatenate([attributes > 0, parts], axis=1))
    return order


def labels(folder: Path | None = None) -> tuple[tuple[str, ...], npt.NDArray[np.int8]]:
    """Names and values, int8 [N, 41], of the labels of each picture: forty attributes, 0 or 1, and its partition.

    The partition is 0 for training, 1 for validation, 2 for test. No attribute is a factor of variation: several of
    them change together. `folder`: of a set converted elsewhere. Raises `InputError` if CelebA is not there.
    """
    folder = folder or store.set_folder("celeba")
    if store.describe(folder) is None:
        raise InputError(f"{folder} does not contain CelebA; add it with `equipoise data add celeba --from FOLDER`")
    with npz.naming(folder / "labels.npz"), np.load(folder / "labels.npz", allow_pickle=False) as file:
        return tuple(map(str, file["names"])), file["values"]


def _table(files: Files, name: str, images: int, words: set[str]) -> tuple[list[str], npt.NDArray[np.int8]]:
    """Names of the columns, if any, and numbers, a row for each picture, of the .txt or .csv file called `name`."""
    heading: list[str] = []
    rows: list[npt.NDArray[np.int8]] = []
    for line in _text(files, name).splitlines():
        first, *cells = line.replace(",", " ").split() or [""]
        if first.endswith(".jpg"):
            if first != f"{len(rows) + 1:06}.jpg":
                raise InputError(f"{files.source}: {name} has {first} in row {len(rows) + 1:,}; get it again")
            unknown = set(cells) - words
            if unknown or len(cells) != len(rows[0] if rows else cells):
                actual = repr(min(unknown)) if unknown else f"{len(cells)} values"
                expected = ", ".join(sorted(words)) if unknown else f"{len(rows[0])} as before"
                raise InputError(f"{files.source}: {name} has {actual} for {first}, expected {expected}; get it again")
            rows.append(np.array(cells, np.int8))
        elif not rows and cells:
            heading = cells if first == "image_id" else [first, *cells]
    if len(rows) != images:
        raise InputError(f"{files.source}: {name} has {len(rows):,} rows for {images:,} pictures; get it again")
    return heading, np.stack(rows)


def _text(files: Files, name: str) -> str:
    for file in (f"{name}.txt", f"{name}.csv"):
        for inside in files.names:
            if inside.split("/")[-1] == file:
                return files.read(inside).decode("utf-8", "replace")
        if (neighbour := files.source.parent / file).is_file():
            return neighbour.read_text(encoding="utf-8", errors="replace")
    raise InputError(f"{files.source}: {name}.txt is neither in it nor beside it; put it there, as published")
