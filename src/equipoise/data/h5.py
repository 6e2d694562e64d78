"""Arrays of HDF5 files, which need the extra `hdf5`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from equipoise.data import npz
from equipoise.errors import InputError


@contextmanager
def open_arrays(path: Path, *names: str, expected: str) -> Iterator[list[Any]]:
    """The arrays of an HDF5 file with these names, not read yet.

    Raises `InputError`, which ends with what is `expected`, if one of them is missing; and for a damaged file.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"{path}: {path.suffix} files need h5py; pip install equipoise[hdf5]") from error
    with npz.naming(path):
        file = h5py.File(path, "r")
    with file:
        arrays = [file.get(name) for name in names]
        if not all(isinstance(array, h5py.Dataset) for array in arrays):
            raise InputError(f"{path}: {' and '.join(names)} are not both there; {expected}")
        yield arrays
