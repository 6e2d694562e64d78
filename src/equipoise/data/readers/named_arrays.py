"""Files of several arrays with names: .npz and HDF5."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data import cache, factor_table, h5, npz
from equipoise.data.factor_table import Table
from equipoise.data.images import Images
from equipoise.data.npz import Header
from equipoise.data.readers import arrays, dsprites_file
from equipoise.data.readers.arrays import Array
from equipoise.data.source import Source
from equipoise.errors import InputError, nearest

NAMES = ("images", "imgs", "x")  # of the array of the images: the first that is there
FACTORS = ("factors", "labels", "label", "targets", "y")  # of the array of factors: the first of one row for each image


def read_npz(path: Path, key: str | None = None) -> Source | Images:
    """Images in a .npz file, as `arrays.read`: the array `key`, else `images`, `imgs` or `x`, else the only one of
    three axes or more.

    Optional arrays are the factors [N, K] or [N] (`factors`, `labels` or `y`), numbers or words, and `factor_names`, K
    strings. Warns of other arrays, which are not read. Arrays of more than 256 MB are read in slabs. The published
    dSprites file is returned as `Images`. Raises `InputError` if the array of the images is ambiguous, empty or of
    Python objects.
    """
    if key is None and dsprites_file.in_npz(path):
        return dsprites_file.read_npz(path)

    return _read(path, npz.headers(path), key, partial(npz.slabs, path))


def read_hdf5(path: Path, key: str | None = None) -> Source | Images:
    """Images in an HDF5 file, as `read_npz`; `key` is the path of a data set in it. Needs the extra `hdf5`."""
    headers = h5.headers(path)
    if key is None and {"imgs", "latents/classes"} <= headers.keys():
        return dsprites_file.read_hdf5(path)

    return _read(path, headers, key.strip("/") if key else None, partial(_h5_slabs, path))


def _h5_slabs(path: Path, name: str, rows: int, first: int) -> Iterator[Array]:
    with h5.open_arrays(path, name, expected="") as (array,), npz.naming(path):
        for start in range(first, len(array), rows):
            yield array[start : start + rows]


def loader(path: Path, headers: Mapping[str, Header]) -> Callable[[str], Array]:
    """The function that reads a whole array of a file by its name."""

    def load(name: str) -> Array:
        if path.suffix.lower() != ".npz":
            return np.concatenate(list(_h5_slabs(path, name, max(1, headers[name].shape[0]), 0)))
        with npz.naming(path), np.load(path, allow_pickle=False) as file:
            array: Array = file[name]
            return array

    return load


def _read(
    path: Path,
    headers: Mapping[str, Header],
    key: str | None,
    slabs: Callable[[str, int, int], Iterator[Array]],
) -> Source:
    name = _name_of_images(path, headers, key)
    header, load = headers[name], loader(path, headers)
    table = factors_beside(path, headers, name, load)
    if math.prod(header.shape) * header.dtype.itemsize <= cache.LIMIT:
        return arrays.of_file(arrays.read(load(name), str(path)), path, table, name)
    zeros = np.broadcast_to(np.zeros((), header.dtype), header.shape)  # takes no memory
    whole = arrays.channels_first(zeros, str(path))

    rows = cache.block(whole.shape[1:])

    def blocks(first: int) -> Iterator[Array]:
        return (arrays.channels_first(slab, str(path)) for slab in slabs(name, rows, first))

    return arrays.of_file(replace(arrays.of_slabs(str(path), whole, blocks), array=None), path, table, name)


def factors_beside(
    path: Path, headers: Mapping[str, Header], name: str, load: Callable[[str], Array], other_names: Sequence[str] = ()
) -> Table | None:
    """The factors beside the array `name`. Warns of arrays that are neither these, nor it, nor one of `other_names`."""
    header = headers[name]
    group = name.rpartition("/")[0] + "/" if "/" in name else ""  # of the images
    tables = [group + table for table in FACTORS if group + table in headers]
    tables = [table for table in tables if headers[table].shape[:1] == header.shape[:1]][:1] or [
        table for table in tables if table == group + FACTORS[0]
    ]
    read_names = {name, *other_names, *tables, group + "factor_names"} & headers.keys()
    for each in read_names:
        npz.check(path, each, headers[each])
    if others := headers.keys() - read_names:
        warnings.warn(f"{path}: the arrays {', '.join(sorted(others))} are not read", stacklevel=6)
    names = (
        [text(each) for each in load(group + "factor_names").ravel()] if group + "factor_names" in read_names else None
    )
    return _table(path, load(tables[0]), names or [tables[0].removeprefix(group)]) if tables else None


def _name_of_images(path: Path, headers: Mapping[str, Header], key: str | None) -> str:
    if key is not None:
        if key not in headers:
            raise InputError(f"{path} has no array {key!r}, which data.key names; {nearest(key, headers)}")
        return key
    names = [name for name in NAMES if name in headers][:1]
    names = names or [name for name in headers if len(headers[name].shape) > 2]
    if len(names) != 1:
        raise InputError(
            f"{path}: cannot tell which array has the images or vectors among {', '.join(headers) or 'none'}; "
            f"name it {', '.join(NAMES[:-1])} or {NAMES[-1]}, or choose it with data.key=NAME"
        )
    return names[0]


def _table(path: Path, factors: Array, names: Sequence[str]) -> Table:
    """Factors [N] or [N, K] of numbers or words; without K names they are numbered."""
    columns = factors[:, None] if factors.ndim == 1 else factors
    titles = names if columns.ndim == 2 and (len(names) == columns.shape[1] or names[0] not in FACTORS) else None
    if columns.dtype.kind in "USO" and columns.ndim == 2:
        header = list(titles or [f"factor_{k}" for k in range(columns.shape[1])])
        rows = [(f"row {i}", [text(cell) for cell in row]) for i, row in enumerate(columns.tolist(), 1)]
        return factor_table.of_rows(str(path), [("the header", header), *rows], len(columns), header)
    return Table(columns.astype(np.int64) if columns.dtype == bool else columns, titles, ())


def text(value: Any) -> str:
    """A cell of an array of words as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
