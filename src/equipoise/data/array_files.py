"""Arrays of .npz and HDF5 files by their names; HDF5 needs the extra `hdf5`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import npz
from equipoise.data.npz import Header
from equipoise.errors import import_package

KINDS = (".npz", ".hdf5", ".h5")


def is_npz(path: Path) -> bool:
    """Whether a file is an .npz, by its suffix."""
    return path.suffix.lower() == ".npz"


def headers(path: Path) -> dict[str, Header]:
    """The headers of all arrays; the names in an HDF5 file are paths in it. Raises `InputError` for a damaged file."""
    if is_npz(path):
        return npz.headers(path)
    with npz.naming(path), open_hdf5(path) as file:
        names: list[str] = []
        file.visit(names.append)
        arrays = {name: file[name] for name in names if hasattr(file.get(name), "dtype")}
        return {
            # Text has the type of objects in h5py, although nothing is unpickled.
            name: Header(array.shape, False, np.dtype("S1") if array.dtype.metadata else array.dtype)
            for name, array in arrays.items()
            if array.shape
        }


def load(path: Path, name: str) -> npt.NDArray[Any]:
    """A whole array."""
    array: npt.NDArray[Any]
    with npz.naming(path), np.load(path, allow_pickle=False) if is_npz(path) else open_hdf5(path) as file:
        array = file[name] if is_npz(path) else file[name][()]
    return array


def slabs(path: Path, name: str, rows: int, first: int = 0) -> Iterator[npt.NDArray[Any]]:
    """An array from row `first` on, up to `rows` at a time."""
    if is_npz(path):
        yield from npz.slabs(path, name, rows, first)
        return
    with npz.naming(path), open_hdf5(path) as file:
        for start in range(first, len(file[name]), rows):
            yield file[name][start : start + rows]


def open_hdf5(path: Path) -> Any:
    """Open an HDF5 file. Raises `InputError` for a damaged file, and without h5py."""
    h5py = import_package("h5py", f"{path}: {path.suffix} files need h5py; pip install equipoise[hdf5]")
    with npz.naming(path):
        return h5py.File(path, "r")
