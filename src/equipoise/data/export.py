"""Export images for other programs: to an .npz, or to a folder of .png with a table of factors."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise import progress
from equipoise.data import sheet, store
from equipoise.data.factors import column_names
from equipoise.data.images import Images
from equipoise.data.pictures import image_of
from equipoise.data.pixels import Bytes, blocks
from equipoise.data.tables import check_packages
from equipoise.errors import InputError
from equipoise.files import replacing, replacing_folder, write_bytes, write_columns

_BLOCK = 1000  # images in memory at a time
_GRID = 10_000  # images in one picture


def to_path(images: Images, path: Path) -> None:
    """Write images by the ending of the path: one .png of all, an .npy, an .npz as `to_npz`, else as `to_folder`.

    Vectors are written in the units of the data: an .npy [N, V], an .npz as `to_npz`, or a table as `to_table`.
    """
    check_path(path, images.scaling is not None, len(images))
    match path.suffix.lower():
        case ".csv" | ".parquet":
            to_table(images, path)
        case ".png":
            _check_channels(images)
            write_bytes(path, sheet.png(images.pixels(np.arange(len(images)))))
        case ".npz":
            to_npz(images, path)
        case ".npy":
            with replacing(path) as file:
                array = images.pixels(np.arange(len(images))) if images.scaling is None else images.vectors()
                np.save(file, array, allow_pickle=False)
        case _:
            to_folder(images, path)


def check_path(path: Path, of_vectors: bool = False, count: int = 0) -> None:
    """Raise `InputError` for a file that `to_path` does not write, a folder with files, and a missing package.

    Also for a .png of more than 10,000 images, if their `count` is given.
    """
    kind = path.suffix.lower()
    if of_vectors:
        if kind not in (".csv", ".npy", ".npz", ".parquet"):
            raise InputError(f"{path}: vectors are written to a .csv, .parquet, .npy or .npz; give one of these")
        if kind == ".parquet":
            check_packages(path, ", or write a .csv")
        return
    if not path.name:
        raise InputError(f"{path.resolve()} cannot be replaced; give a file or a new folder, such as {path / 'images'}")
    if kind in (".csv", ".zip", ".h5", ".hdf5", ".parquet", ".jpg", ".jpeg", ".gif", ".tif", ".tiff"):
        raise InputError(f"{path}: images are written to a .png, .npz or .npy, or to a folder; give one of these")
    if kind == ".png" and count > _GRID:
        raise InputError(f"{path}: a .png holds up to {_GRID:,} images, not {count:,}; write a folder or an .npz")
    if kind not in (".png", ".npz", ".npy") and path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists already; give a new or empty folder")


def to_table(vectors: Images, path: Path) -> None:
    """Write vectors to a .csv or .parquet: their columns in the units of the data, and one for each factor."""
    assert vectors.scaling is not None
    columns = dict(zip(vectors.scaling.names, vectors.vectors().T, strict=True))
    if vectors.factors is not None:
        columns |= dict(zip(column_names(vectors.factor_names, columns), vectors.factors.T, strict=True))
    write_columns(path, columns)


def to_npz(images: Images, path: Path) -> None:
    """Write `images` uint8 [N, C, H, W] to an .npz, with `factors` [N, K] and `factor_names` if they are known.

    Of vectors: `vectors` [N, V] in the units of the data, and `columns`, their names.
    """
    arrays: dict[str, npt.NDArray[Any]] = {}
    if images.factors is not None:
        arrays = {"factors": images.factors, "factor_names": np.array(images.factor_names)}
    with store.reporting_full_disk(path.parent, path.name), replacing(path) as file:
        if images.scaling is not None:
            arrays = {"vectors": images.vectors(), "columns": np.array(images.scaling.names)} | arrays
            np.savez_compressed(file, allow_pickle=False, **arrays)
            return
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            with archive.open("images.npy", "w", force_zip64=True) as member:
                shape = (len(images), *images.shape)
                np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
                for _, pixels in _blocks(images, path):
                    member.write(pixels.data)
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def to_folder(images: Images, folder: Path) -> None:
    """Write a .png for each image and, if factors are known, factors.csv with a column `file` and one for each factor.

    The folder has to be new or empty, and appears when all is written. Raises `InputError` for a folder with files, and
    for images with other numbers of channels than 1 and 3.
    """
    check_path(folder)
    _check_channels(images)
    digits = len(str(len(images) - 1))
    names = [f"{number:0{digits}}.png" for number in range(len(images))]
    with store.reporting_full_disk(folder.parent, folder.name), replacing_folder(folder) as part:
        for first, pixels in _blocks(images, folder):
            for name, picture in zip(names[first:], pixels, strict=False):
                image_of(picture).save(part / name)
        if images.factors is not None:
            factors = zip(column_names(images.factor_names, ["file"]), images.factors.T, strict=True)
            write_columns(part / "factors.csv", {"file": names, **dict(factors)})
        check_path(folder)  # files that were added while the images were written are not deleted


def _check_channels(images: Images) -> None:
    if images.shape[0] not in (1, 3):
        raise InputError(
            f"{images.name}: images of {images.shape[0]} channels cannot be written as pictures; write an .npz instead"
        )


def _blocks(images: Images, path: Path) -> Iterator[tuple[int, Bytes]]:
    """Number of the first image, and pixels [n, C, H, W]."""
    with progress.bar(f"writing {path.name}", len(images), "images") as advance:
        for first, pixels in blocks(images.pixels, len(images), _BLOCK):
            yield first, pixels
            advance(len(pixels))
