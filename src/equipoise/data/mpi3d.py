"""MPI3D: a robot arm that holds an object, simply rendered, rendered like life, photographed, and with real objects."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from equipoise.data import npz, published
from equipoise.data.dataset import Dataset, Remote
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FACTOR_NAMES = (
    "object_color",
    "object_shape",
    "object_size",
    "camera_height",
    "background_color",
    "horizontal_axis",
    "vertical_axis",
)
SIX = (6, 6, 2, 3, 3, 40, 40)
FOUR = (4, 4, 2, 3, 3, 40, 40)  # the complex version; and toy and realistic as first released for a challenge

_HOME = "https://github.com/rr-learning/disentanglement_dataset"
_ADDRESS = "https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main/"
_LICENCE = "CC BY 4.0"
_CITATION = (
    "M. W. Gondal, M. Wüthrich, Đ. Miladinović, F. Locatello, M. Breidt, V. Volchkov, J. Akpo, O. Bachem, "
    "B. Schölkopf and S. Bauer: On the Transfer of Inductive Bias from Simulation to the Real World: a New "
    "Disentanglement Dataset, NeurIPS 2019, https://arxiv.org/abs/1906.03292"
)


def convert(source: Path, folder: Path, *, version: str, grids: tuple[tuple[int, ...], ...] | None = None) -> None:
    """Convert the published .npz of a version, or the folder it lies in; its number of images says which grid it is.

    The file is read once from front to back, whether it is compressed or not: there is no published digest of the files
    at today's addresses, so the checksum of the zip format, compared at its end, is all that tells of damage.
    """
    file, known = _FILES[version]
    path = published.file_of(source, file)
    grids = grids or known
    header = npz.headers(path).get("images")
    if header is None or header.dtype != np.uint8 or header.shape[1:] != (64, 64, 3) or header.fortran:
        found = "none" if header is None else f"{header.dtype} {list(header.shape)}"
        raise InputError(
            f"{path}: {version} is one array images, uint8 [N, 64, 64, 3], and here is {found}; get {file}"
        )
    n = header.shape[0]
    sizes = next((grid for grid in grids if math.prod(grid) == n), None)
    if sizes is None:
        wanted = " or ".join(f"{math.prod(grid):,} = {' x '.join(map(str, grid))}" for grid in grids)
        raise InputError(f"{path}: {n:,} images, and {version} has {wanted}; get {file} as published")
    published.write(
        DATASETS[version], folder, source=path, images=n, sizes=sizes, blocks=lambda first: _blocks(path, first)
    )


def _blocks(path: Path, first: int) -> Iterator[Bytes]:
    """The images from `first` on; the last of them only after the checksum of the whole was found right."""
    held: Bytes | None = None
    for slab in npz.slabs(path, "images", published.BLOCK):
        if held is not None:
            yield held
            held = None
        if first < len(slab):
            held = np.moveaxis(slab[first:], 3, 1)
        first = max(first - len(slab), 0)
    if held is not None:
        yield held


# The published file of each version, and the grids of factors it may hold, today's first.
_FILES = {
    "mpi3d-toy": ("mpi3d_toy.npz", (SIX, FOUR)),
    "mpi3d-realistic": ("mpi3d_realistic.npz", (SIX, FOUR)),
    "mpi3d-real": ("mpi3d_real.npz", (SIX,)),
    "mpi3d-complex": ("real3d_complicated_shapes_ordered.npz", (FOUR,)),
}


def _dataset(version: str, summary: str, by_hand: str = "") -> Dataset:
    file, (sizes, *_) = _FILES[version]
    return Dataset(
        name=version,
        summary=f"{math.prod(sizes):,} pictures of a robot arm, {summary}: 7 factors",
        images=math.prod(sizes),
        shape=(3, 64, 64),
        factor_names=FACTOR_NAMES,
        factor_sizes=sizes,
        home=_HOME,
        licence=_LICENCE,
        citation=_CITATION,
        files=() if by_hand else (Remote(file, (_ADDRESS + file,)),),
        by_hand=by_hand,
        convert=partial(convert, version=version),
    )


MPI3D_TOY = _dataset("mpi3d-toy", "simply rendered")
MPI3D_REALISTIC = _dataset("mpi3d-realistic", "rendered like life")
MPI3D_REAL = _dataset("mpi3d-real", "photographed")
MPI3D_COMPLEX = _dataset(
    "mpi3d-complex",
    "photographed with real objects",
    "It lies on Google Drive: open "
    "https://drive.google.com/file/d/1Tp8eTdHxgUMtsZv5uAoYAbJR1BOa_OQm in a browser (5.7 GB), then give the file with "
    "--from.",
)
DATASETS = {dataset.name: dataset for dataset in (MPI3D_TOY, MPI3D_REALISTIC, MPI3D_REAL, MPI3D_COMPLEX)}
