"""Export images for other programs: to an .npz, or to a folder of .png with a table of factors."""

import csv
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from equipoise import progress
from equipoise.data import store
from equipoise.data.images import Images
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError
from equipoise.files import replacing

_BLOCK = 1000  # images in memory at a time


def to_npz(images: Images, path: Path) -> None:
    """Write `images` uint8 [N, C, H, W] to an .npz, with `factors` [N, K] and `factor_names` if they are known."""
    with (
        store.reporting_full_disk(path.parent, path.name),
        replacing(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        with archive.open("images.npy", "w", force_zip64=True) as member:
            shape = (len(images), *images.shape)
            np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for _, pixels in _blocks(images, path):
                member.write(pixels.data)
        if images.factors is not None:
            for name, array in (("factors", images.factors), ("factor_names", np.array(images.factor_names))):
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def to_folder(images: Images, folder: Path) -> None:
    """Write a .png for each image and, if factors are known, factors.csv with a column `file` and one for each factor.

    The folder has to be new or empty, and appears when all is written. Raises `InputError` for a folder with files, and
    for images with other numbers of channels than 1 and 3.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists already; give a new or empty folder")
    if images.shape[0] not in (1, 3):
        raise InputError(
            f"{images.name}: images of {images.shape[0]} channels cannot be written as pictures; write an .npz instead"
        )
    digits = len(str(len(images) - 1))
    names = [f"{number:0{digits}}.png" for number in range(len(images))]
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        with store.reporting_full_disk(folder.parent, folder.name):
            part.mkdir()
            for first, pixels in _blocks(images, folder):
                for name, picture in zip(names[first:], pixels, strict=False):
                    plain = picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, 2)
                    Image.fromarray(np.ascontiguousarray(plain)).save(part / name)
            if images.factors is not None:
                with open(part / "factors.csv", "w", newline="", encoding="utf-8") as file:
                    writer = csv.writer(file)
                    writer.writerow(("file", *images.factor_names))
                    writer.writerows((name, *row) for name, row in zip(names, images.factors.tolist(), strict=True))
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _blocks(images: Images, path: Path) -> Iterator[tuple[int, Bytes]]:
    """Number of the first image, and pixels [n, C, H, W]."""
    with progress.bar(f"writing {path.name}", len(images), "images") as advance:
        for first in range(0, len(images), _BLOCK):
            pixels = images.pixels(np.arange(first, min(first + _BLOCK, len(images))))
            yield first, pixels
            advance(len(pixels))
