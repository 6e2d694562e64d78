"""Arrays of .npy and .npz files: nothing is unpickled, and errors name the file."""

import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from equipoise.errors import InputError


class Header(NamedTuple):
    """Shape, order and type of an array, before its data is read."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


_DAMAGE = (zipfile.BadZipFile, SyntaxError, tokenize.TokenError)  # the last two from headers, which are Python


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into one `InputError` with its path."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); change its permissions") from error
    except (OSError, EOFError, ValueError, RuntimeError, MemoryError, struct.error, zlib.error, *_DAMAGE) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{path} is damaged, or its content does not match its suffix ({reason}); copy or make it again"
        ) from error


def headers(path: Path) -> dict[str, Header]:
    """The headers of all arrays in a .npz file by name, including those of pickled objects, which are not unpickled.

    Raises `InputError` for a damaged file.
    """
    with naming(path), zipfile.ZipFile(path) as archive:
        headers = {}
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as file:
                    header = _header(file)
                    length = archive.getinfo(member).file_size - file.tell()
                if not header.dtype.hasobject and math.prod(header.shape) * header.dtype.itemsize > length:
                    raise InputError(f"{path}: {member} is shorter than its shape {list(header.shape)}")
                headers[member.removesuffix(".npy")] = header
        return headers


def header(path: Path) -> Header:
    """The header of a .npy file. Raises `InputError` for a damaged file."""
    with naming(path), open(path, "rb") as file:
        return _header(file)


def memory_map(path: Path) -> npt.NDArray[Any]:
    """The array in a .npy file, memory-mapped. Raises `InputError` for an array of Python objects, and an empty one."""
    check(path, "it", header(path))
    with naming(path):
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    return array


def check(path: Path, name: str, header: Header) -> None:
    """Raises `InputError` for an array that could only be unpickled, and for an empty one."""
    if header.dtype.hasobject:
        raise InputError(f"{path}: {name} is an array of Python objects, which are never opened; save plain numbers")
    if 0 in header.shape:
        raise InputError(f"{path}: {name} is empty, an array of shape {list(header.shape)}; give at least one image")


def slabs(path: Path, name: str, rows: int, begin: int = 0) -> Iterator[npt.NDArray[Any]]:
    """The array `name` of a .npz file from row `begin` on, up to `rows` of its first axis at a time.

    The whole array need not fit in memory. Its checksum is compared at the end if it is read from its first row. Raises
    `InputError` for a damaged file.
    """
    with naming(path), zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        (length, *shape), fortran, dtype = _header(file)
        if fortran or dtype.hasobject:
            raise InputError(f"{path}: {name} has objects or is in Fortran order; save it again in C order")
        per_row = math.prod(shape) * dtype.itemsize
        file.seek(begin * per_row, os.SEEK_CUR)
        for first in range(begin, length, rows):
            count = min(rows, length - first)
            data = file.read(count * per_row)
            if len(data) != count * per_row:
                raise InputError(f"{path}: {name} ends before its {length:,} rows; copy or make it again")
            yield np.frombuffer(data, dtype).reshape(count, *shape)
        file.read(1)  # the end: only there does zipfile compare the checksum


def _header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Python 2 wrote 64L for 64; numpy reads it but warns
        if version == (1, 0):
            return Header(*np.lib.format.read_array_header_1_0(file))
        return Header(*np.lib.format.read_array_header_2_0(file))
