"""Falcor3D and Isaac3D: NVIDIA's numbered pictures and, in the smaller archives, their labels."""

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from equipoise.data import npz
from equipoise.data.converters import published
from equipoise.data.converters.archives import Files
from equipoise.data.dataset import Dataset


def convert(dataset: Dataset, source: Path, folder: Path, *, labels: str) -> None:
    """Convert a folder, .zip or .tar of 000000.png and so on, square and of any size, to 64 x 64 pixels.

    The numbers follow the grid of the factors. The file `labels`, if there is one, must agree with that order.
    Raises `InputError` for anything else.
    """
    published.from_pictures(dataset, source, folder, partial(_order, dataset, labels))


def _order(dataset: Dataset, labels: str, files: Files) -> Sequence[str]:
    names = published.names_by_number(files, "png", 0, dataset.images)
    for name in files.names:
        if name.split("/")[-1] == labels:
            with npz.naming(files.source / name):
                values = np.load(io.BytesIO(files.read(name)), allow_pickle=False)
            published.check_labels(f"{files.source}/{name}", values, dataset.factor_names, dataset.factor_sizes)
            break
    return names
