"""Files of several arrays with names: .npz and HDF5."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
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


def read(path: Path, key: str | None = None) -> Source | Images:
    """Images in an .npz or HDF5 file, as `arrays.read`: the array `key`, else `images`, `imgs` or `x`, else the only
    one of three axes or more.

    In an HDF5 file, which needs the extra `hdf5`, `key` is the path of a data set. Optional arrays are the factors
    [N, K] or [N] (`factors`, `labels` or `y`), numbers or words, and `factor_names`, K strings. Warns of other arrays,
    which are not read. Arrays of more than 256 MB are read in slabs. The published dSprites file is returned as
    `Images`. Raises `InputError` if the array of the images is ambiguous, empty or of Python objects.
    """
    all_headers = headers(path)
    is_npz = _is_npz(path)
    if key is None and {"imgs", "latents_classes" if is_npz else "latents/classes"} <= all_headers.keys():
        return dsprites_file.read_npz(path) if is_npz else dsprites_file.read_hdf5(path)
    name = _name_of_images(path, all_headers, key if is_npz or not key else key.strip("/"))
    header = all_headers[name]
    table = factors_beside(path, all_headers, name)
    if math.prod(header.shape) * header.dtype.itemsize <= cache.LIMIT:
        return arrays.of_file(arrays.read(load(path, name), str(path)), path, table, name)
    zeros = np.broadcast_to(np.zeros((), header.dtype), header.shape)  # takes no memory
    whole = arrays.channels_first(zeros, str(path))
    rows = cache.block(whole.shape[1:])

    def slabs(first: int) -> Iterator[Array]:
        return (arrays.channels_first(slab, str(path)) for slab in _slabs(path, name, rows, first))

    return arrays.of_file(arrays.of_slabs(str(path), whole, slabs), path, table, name)


def headers(path: Path) -> dict[str, Header]:
    """The headers of all arrays in an .npz or HDF5 file by name. Raises `InputError` for a damaged file."""
    return npz.headers(path) if _is_npz(path) else h5.headers(path)


def load(path: Path, name: str) -> Array:
    """A whole array of an .npz or HDF5 file."""
    array: Array
    if _is_npz(path):
        with npz.naming(path), np.load(path, allow_pickle=False) as file:
            array = file[name]
            return array
    with h5.open_arrays(path, name, expected="") as (item,), npz.naming(path):
        array = item[()]
        return array


def _slabs(path: Path, name: str, rows: int, first: int) -> Iterator[Array]:
    """An array from row `first` on, up to `rows` at a time."""
    if _is_npz(path):
        yield from npz.slabs(path, name, rows, first)
        return
    with h5.open_arrays(path, name, expected="") as (array,), npz.naming(path):
        for start in range(first, len(array), rows):
            yield array[start : start + rows]


def _is_npz(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def factors_beside(
    path: Path, headers: Mapping[str, Header], name: str, other_names: Sequence[str] = ()
) -> Table | None:
    """The factors beside the array `name`. Warns of arrays that are neither these, nor it, nor one of `other_names`."""
    header = headers[name]
    group = name.rpartition("/")[0] + "/" if "/" in name else ""  # of the images
    table = name_of_factors({each: headers[each].shape for each in headers}, header.shape, group)
    tables = [] if table is None else [table]
    read_names = {name, *other_names, *tables, group + "factor_names"} & headers.keys()
    for each in read_names:
        npz.check(path, each, headers[each])
    if others := headers.keys() - read_names:
        warnings.warn(f"{path}: the arrays {', '.join(sorted(others))} are not read", stacklevel=5)
    names = (
        [text(each) for each in load(path, group + "factor_names").ravel()]
        if group + "factor_names" in read_names
        else None
    )
    return _table(path, load(path, tables[0]), names or [tables[0].removeprefix(group)]) if tables else None


def name_of_factors(shapes: Mapping[str, tuple[int, ...]], shape: tuple[int, ...], group: str = "") -> str | None:
    """The first of `FACTORS` with one row for each row of an array of this shape, else `factors` if it is there."""
    names = [group + name for name in FACTORS if group + name in shapes]
    fitting = [name for name in names if shapes[name][:1] == shape[:1]]
    return next(iter(fitting), group + FACTORS[0] if group + FACTORS[0] in names else None)


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
