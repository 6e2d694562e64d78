"""Arrays of .npy and .npz files read with care: nothing is unpickled, and what is torn is named."""

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
    """What an array is, before its data is read."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


_DAMAGE = (zipfile.BadZipFile, SyntaxError, tokenize.TokenError)  # the last two from headers, which are Python


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of reading become one `InputError` that names the file."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the path") from error
    except PermissionError as error:
        raise InputError(f"{path} may not be read by you ({error.strerror}); change its permissions") from error
    except (OSError, EOFError, ValueError, RuntimeError, struct.error, zlib.error, *_DAMAGE) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is damaged or not what its name says ({reason}); copy or make it again") from error


def headers(path: Path) -> dict[str, Header]:
    """The headers of all arrays in a .npz file by name; those of pickled objects, which are not opened, among them."""
    with naming(path), zipfile.ZipFile(path) as archive:
        found = {}
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as file:
                    header = _header(file)
                    length = archive.getinfo(member).file_size - file.tell()
                if not header.dtype.hasobject and math.prod(header.shape) * header.dtype.itemsize > length:
                    raise InputError(
                        f"{path}: {member} is shorter than the shape {list(header.shape)} that it announces"
                    )
                found[member.removesuffix(".npy")] = header
        return found


def header(path: Path) -> Header:
    """The header of a .npy file."""
    with naming(path), open(path, "rb") as file:
        return _header(file)


def slabs(path: Path, name: str, rows: int, begin: int = 0) -> Iterator[npt.NDArray[Any]]:
    """The array `name` of a .npz file from row `begin` on, up to `rows` of its first axis at a time.

    The whole need not fit in memory. Read from its first row, its checksum is compared at the end.
    """
    with naming(path), zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        (length, *shape), fortran, dtype = _header(file)
        if fortran or dtype.hasobject:
            raise InputError(f"{path}: {name} holds objects or is in Fortran order; save it again in C order")
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
        warnings.simplefilter("ignore", UserWarning)  # Python 2 wrote 64L for 64, which numpy reads but remarks on
        if version == (1, 0):
            return Header(*np.lib.format.read_array_header_1_0(file))
        return Header(*np.lib.format.read_array_header_2_0(file))
