"""Cars3D: 183 models of cars from all sides, from the published archive of MATLAB files."""

import io
import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from equipoise.data import npz, pictures, published
from equipoise.data.dataset import Dataset, Remote
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FACTOR_NAMES = ("elevation", "azimuth", "object")
FACTOR_SIZES = (4, 24, 183)
_CAR = re.compile(r"(?:.*/)?(car_\d+_mesh)\.mat")


def convert(source: Path, folder: Path, sizes: tuple[int, int, int] = FACTOR_SIZES) -> None:
    """Convert nips2015-analogy-data.tar.gz, or its unpacked folder, or data/cars of it; resized from 128 to 64 pixels.

    Objects have the order of list.txt where it is among the files, else that of their names. Images run through the
    objects fastest and files through them slowest, so all are held in memory before any is written, 216 MB.
    """
    if source.is_dir() and (source / FILE).is_file():
        source = source / FILE
    with published.opened(source, in_order=True) as files:
        order, listed = _order(files)
        if len(order) != sizes[2]:
            raise InputError(f"{source}: {len(order):,} cars where {sizes[2]:,} are expected; get the whole set again")
        note = "list.txt" if listed else "their names, for there is no list.txt: others may number them differently"
        published.write(
            CARS3D,
            folder,
            source=source,
            images=math.prod(sizes),
            sizes=sizes,
            prepared=f"resized to 64 x 64; objects in the order of {note}",
            blocks=lambda first: _blocks(files, order, sizes, first),
        )


def _order(files: published.Files) -> tuple[dict[str, int], bool]:
    """The number of the object in each file, and whether list.txt gave it."""
    named = {match[1]: name for name in files.names if (match := _CAR.fullmatch(name))}
    lists = {name for name in files.names if name.split("/")[-1] == "list.txt"}
    lists &= {str(PurePosixPath(name).parent / "list.txt") for name in named.values()}
    if not lists:
        return {named[car]: i for i, car in enumerate(sorted(named))}, False
    lines = files.read(lists.pop()).decode("ascii", "replace").split()
    cars = [PurePosixPath(line).name.removesuffix(".mat") for line in lines]
    if sorted(cars) != sorted(named):
        wrong = sorted(set(cars) ^ set(named)) or ["a car twice"]
        raise InputError(f"{files.source}: list.txt and the files differ ({wrong[0]}); get the set again")
    return {named[car]: i for i, car in enumerate(cars)}, True


def _blocks(files: published.Files, order: dict[str, int], sizes: tuple[int, int, int], first: int) -> Iterator[Bytes]:
    elevations, azimuths, objects = sizes
    pixels = np.empty((elevations, azimuths, objects, 3, 64, 64), np.uint8)
    for name in files.names:  # in their own order: a .tar.gz has no other
        if name in order:
            im = _read(f"{files.source}/{name}", files.read(name), azimuths, elevations)
            for elevation in range(elevations):
                for azimuth in range(azimuths):
                    picture = pictures.resized(im[..., azimuth, elevation], 64)
                    pixels[elevation, azimuth, order[name]] = np.moveaxis(picture, 2, 0)
    flat = pixels.reshape(-1, 3, 64, 64)
    yield from published.in_blocks(len(flat), lambda rows: flat[rows.start : rows.stop])(first)


def _read(label: str, data: bytes, azimuths: int, elevations: int) -> Bytes:
    """The array `im` of a MATLAB 5 file, uint8 [H, W, 3, azimuths, elevations]."""
    from scipy.io import loadmat, whosmat  # here, for they take a third of a second that all other sets can do without
    from scipy.io.matlab import MatReadError

    with npz.naming(Path(label)):
        try:
            heads = {name: (shape, kind) for name, shape, kind in whosmat(io.BytesIO(data))}  # nothing is unpacked yet
            shape, kind = heads.get("im", ((), "absent"))
            if kind == "uint8" and len(shape) == 5 and shape[0] == shape[1] and shape[2:] == (3, azimuths, elevations):
                im: Bytes = loadmat(io.BytesIO(data), variable_names=["im"])["im"]
                return im
        except (MatReadError, TypeError, LookupError) as error:
            raise ValueError(str(error)) from error
    raise InputError(
        f"{label}: im is {kind} {list(shape)}, expected uint8 [H, H, 3, {azimuths}, {elevations}]; get the set again"
    )


FILE = "nips2015-analogy-data.tar.gz"
CARS3D = Dataset(
    name="cars3d",
    summary="17,568 pictures of cars, resized to 64 x 64: 4 elevations, 24 azimuths, 183 models",
    images=17_568,
    shape=(3, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home="http://www.scottreed.info",
    licence="none stated; for research",
    citation="S. Reed, Y. Zhang, Y. Zhang and H. Lee: Deep Visual Analogy-Making, NIPS 2015",
    files=(
        Remote(
            FILE,
            ("http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",),
            md5="4e866a7919c1beedf53964e6f7a23686",
        ),
    ),
    convert=convert,
)
