"""Arrays of HDF5 files, which need the extra `hdf5`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data import npz
from equipoise.data.npz import Header
from equipoise.errors import InputError


def headers(path: Path) -> dict[str, Header]:
    """Shape and type of all arrays of an HDF5 file by their path in it. Raises `InputError` for a damaged file."""
    with npz.naming(path), open_file(path) as file:
        names: list[str] = []
        file.visit(names.append)
        arrays = {name: file[name] for name in names if hasattr(file.get(name), "dtype")}
        return {
            # Text has the type of objects in h5py, although nothing is unpickled.
            name: Header(array.shape, False, np.dtype("S1") if array.dtype.metadata else array.dtype)
            for name, array in arrays.items()
            if array.shape
        }


@contextmanager
def open_arrays(path: Path, *names: str, expected: str) -> Iterator[list[Any]]:
    """The arrays of an HDF5 file with these names, not read yet.

    Raises `InputError`, which ends with what is `expected`, if one of them is missing; and for a damaged file.
    """
    with open_file(path) as file:
        arrays = [file.get(name) for name in names]
        if not all(hasattr(array, "dtype") for array in arrays):
            raise InputError(f"{path}: {' and '.join(names)} are not both there; {expected}")
        yield arrays


def open_file(path: Path) -> Any:
    """Open an HDF5 file. Raises `InputError` for a damaged file, and without h5py."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: {path.suffix} files need h5py; pip install equipoise[hdf5]") from error
    with npz.naming(path):
        return h5py.File(path, "r")
