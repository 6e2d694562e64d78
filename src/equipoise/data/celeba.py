"""CelebA: faces of celebrities, cut and resized, with their forty attributes as labels."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise.data import npz, published, store
from equipoise.data.dataset import Dataset
from equipoise.errors import InputError
from equipoise.files import replacing

N = 202_599
CROP = 148  # centred square, pixels: the habit of those who generate such faces; it leaves most of the background out
SIZE = 64
ATTRIBUTES, PARTITION = "list_attr_celeba", "list_eval_partition"  # .txt as published, or .csv
_NUMBERED = re.compile(r"(?:.*/)?(\d{6})\.jpg")


def convert(source: Path, folder: Path, *, images: int = N, crop: int | None = CROP, size: int = SIZE) -> None:
    """Convert the aligned pictures, img_align_celeba.zip or a folder of them, with the labels among or beside them.

    crop: side of the centred square that is cut out first; None squeezes the whole of 178 x 218 pixels. size: pixels a
    side in the end. `labels` gives the labels of a set so made.
    """
    if source.is_dir() and (source / "img_align_celeba.zip").is_file():
        source = source / "img_align_celeba.zip"
    with published.opened(source) as files:
        found = {name: int(match[1]) for name in files.names if (match := _NUMBERED.fullmatch(name))}
        in_order = sorted(found, key=lambda name: found[name])
        if [found[name] for name in in_order] != list(range(1, images + 1)):
            raise InputError(
                f"{source}: {len(found):,} pictures where 000001.jpg to {images:06}.jpg are expected; "
                "give img_align_celeba.zip as published"
            )
        names, attributes = _table(files, ATTRIBUTES, images, {"-1", "1"})
        _, parts = _table(files, PARTITION, images, {"0", "1", "2"})
        if attributes.shape[1] != len(names) or parts.shape[1] != 1:
            raise InputError(
                f"{source}: {ATTRIBUTES} has {len(names)} names for {attributes.shape[1]} columns, and {PARTITION} "
                f"{parts.shape[1]} columns, expected 1; get them again"
            )
        with replacing(folder / "labels.npz") as file:
            np.savez(file, names=[*names, "partition"], values=np.concatenate([attributes > 0, parts], axis=1))
        published.write(
            CELEBA,
            folder,
            source=source,
            images=images,
            shape=(3, size, size),
            prepared=(f"centred square of {crop} pixels, " if crop else "") + f"resized to {size} x {size}",
            blocks=published.in_blocks(
                images,
                lambda rows: np.stack(
                    [
                        published.picture(files, in_order[row], channels=3, crop=crop, size=size, expected=(178, 218))
                        for row in rows
                    ]
                ),
            ),
        )


def labels(folder: Path | None = None) -> tuple[tuple[str, ...], npt.NDArray[np.int8]]:
    """Names and values, int8 [N, 41], of what is known of each picture: forty attributes, 0 or 1, and its partition.

    The partition is 0 for training, 1 for validation, 2 for test. No attribute is a factor of variation: several of
    them change together. `folder`: of a set converted elsewhere. InputError when CelebA is not there.
    """
    folder = folder or store.set_folder("celeba")
    if store.describe(folder) is None:
        raise InputError(f"{folder} does not hold CelebA; add it with `equipoise data add celeba --from FOLDER`")
    with npz.naming(folder / "labels.npz"), np.load(folder / "labels.npz", allow_pickle=False) as file:
        return tuple(map(str, file["names"])), file["values"]


def _table(files: published.Files, name: str, images: int, words: set[str]) -> tuple[list[str], npt.NDArray[np.int8]]:
    """Names of the columns, if any, and numbers, a row for each picture, of the .txt or .csv file called `name`."""
    lines = _lines(files, name)
    heading: list[str] = []
    rows: list[npt.NDArray[np.int8]] = []
    for line in lines:
        first, *rest = line.replace(",", " ").split() or [""]
        if first.endswith(".jpg"):
            if first != f"{len(rows) + 1:06}.jpg":
                raise InputError(f"{files.source}: {name} has {first} in row {len(rows) + 1:,}; get it again")
            wrong = set(rest) - words
            if wrong or len(rest) != len(rows[0] if rows else rest):
                found = repr(min(wrong)) if wrong else f"{len(rest)} values"
                wanted = ", ".join(sorted(words)) if wrong else f"{len(rows[0])} as before"
                raise InputError(f"{files.source}: {name} has {found} for {first}, expected {wanted}; get it again")
            rows.append(np.array(rest, np.int8))
        elif not rows and rest:
            heading = rest if first == "image_id" else [first, *rest]
    if len(rows) != images:
        raise InputError(f"{files.source}: {name} has {len(rows):,} rows for {images:,} pictures; get it again")
    return heading, np.stack(rows)


def _lines(files: published.Files, name: str) -> Iterator[str]:
    for file in (f"{name}.txt", f"{name}.csv"):
        for inside in files.names:
            if inside.split("/")[-1] == file:
                return iter(files.read(inside).decode("utf-8", "replace").splitlines())
        if (beside := files.source.parent / file).is_file():
            return iter(beside.read_text(encoding="utf-8", errors="replace").splitlines())
    raise InputError(f"{files.source}: {name}.txt is neither in it nor beside it; put it there, as published")


CELEBA = Dataset(
    name="celeba",
    summary="202,599 faces, the square of 148 pixels in their middle resized to 64 x 64: 40 attributes, no factors",
    images=N,
    shape=(3, SIZE, SIZE),
    factor_names=(),
    factor_sizes=(),
    home="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    licence="for non-commercial research only, not to be passed on",
    citation="Z. Liu, P. Luo, X. Wang and X. Tang: Deep Learning Face Attributes in the Wild, ICCV 2015",
    by_hand="Its authors allow non-commercial research only: get "
    "img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt from "
    "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html into one folder, then give that with --from.",
    convert=convert,
)
