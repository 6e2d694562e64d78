"""Cars3D: 183 models of cars from all sides, from the published archive of MATLAB files."""

import io
import re
from pathlib import Path, PurePosixPath

import numpy as np

from equipoise.data import npz, pictures
from equipoise.data.converters import archives, published
from equipoise.data.converters.archives import Files
from equipoise.data.dataset import Dataset
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FILE = "nips2015-analogy-data.tar.gz"
_CAR = re.compile(r"(?:.*/)?(car_\d+_mesh)\.mat")


def convert(dataset: Dataset, source: Path, folder: Path) -> None:
    """Convert nips2015-analogy-data.tar.gz, or its unpacked folder, or data/cars of it, from 128 to 64 pixels.

    Objects are in the order of list.txt if it is among the files, otherwise of their names. The objects vary fastest in
    the set but slowest in the files, so all images are in memory before any is written, 216 MB. Raises `InputError`
    for other files.
    """
    source = published.archive_of(source, FILE)
    with archives.open_files(source, in_order=True) as files:
        order, has_list = _order(files)
        cars = dataset.factor_sizes[2]
        if len(order) != cars:
            raise InputError(f"{source}: {len(order):,} cars where {cars:,} are expected; get the whole set again")
        note = "list.txt" if has_list else "their names, without a list.txt: other programs may number them differently"
        published.write(
            dataset,
            folder,
            source=source,
            preparation=f"resized to 64 x 64; objects in the order of {note}",
            blocks=lambda first: published.in_blocks(_images(dataset, files, order), first),
        )


def _order(files: Files) -> tuple[dict[str, int], bool]:
    """The number of the object in each file, and whether it is from list.txt."""
    names = {match[1]: name for name in files.names if (match := _CAR.fullmatch(name))}
    lists = {name for name in files.names if name.split("/")[-1] == "list.txt"}
    lists &= {str(PurePosixPath(name).parent / "list.txt") for name in names.values()}
    if not lists:
        return {names[car]: i for i, car in enumerate(sorted(names))}, False
    lines = files.read(lists.pop()).decode("ascii", "replace").split()
    cars = [PurePosixPath(line).name.removesuffix(".mat") for line in lines]
    if sorted(cars) != sorted(names):
        strays = sorted(set(cars) ^ set(names)) or ["a car twice"]
        raise InputError(f"{files.source}: list.txt and the files differ ({strays[0]}); get the set again")
    return {names[car]: i for i, car in enumerate(cars)}, True


def _images(dataset: Dataset, files: Files, order: dict[str, int]) -> Bytes:
    elevations, azimuths, objects = dataset.factor_sizes
    pixels = np.empty((elevations, azimuths, objects, 3, 64, 64), np.uint8)
    for name in files.names:  # in their own order: a .tar.gz has no other
        if name in order:
            im = _read(f"{files.source}/{name}", files.read(name), azimuths, elevations)
            for elevation, azimuth in np.ndindex(elevations, azimuths):
                picture = np.moveaxis(im[..., azimuth, elevation], 2, 0)
                pixels[elevation, azimuth, order[name]] = pictures.resize(picture, 64)
    return pixels.reshape(-1, 3, 64, 64)


def _read(label: str, data: bytes, azimuths: int, elevations: int) -> Bytes:
    """The array `im` of a MATLAB 5 file, uint8 [H, W, 3, azimuths, elevations]."""
    from scipy.io import loadmat, whosmat  # imported here: it takes a third of a second, and no other set needs it
    from scipy.io.matlab import MatReadError

    with npz.naming(Path(label)):
        try:
            heads = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(data))}  # reads no data yet
            shape, kind = heads.get("im", ((), "absent"))
            if kind == "uint8" and len(shape) == 5 and shape[0] == shape[1] and shape[2:] == (3, azimuths, elevations):
                im: Bytes = loadmat(io.BytesIO(data), variable_names=["im"])["im"]
                return im
        except (MatReadError, TypeError, LookupError) as error:
            raise ValueError(str(error)) from error
    raise InputError(
        f"{label}: im is {kind} {list(shape)}, expected uint8 [H, H, 3, {azimuths}, {elevations}]; get the set again"
    )
