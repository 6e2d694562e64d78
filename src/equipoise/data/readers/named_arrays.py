"""Files of several arrays with names: .npz and HDF5."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data import array_files, cache, factor_table, npz
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
    [N, K] or [N], numbers or words, by a name in `FACTORS`, and `factor_names`, K strings. Warns of other arrays, which
    are not read. Arrays of more than 256 MB are read in slabs. The published dSprites file is returned as
    `Images`. Raises `InputError` if the array of the images is ambiguous, empty or of Python objects.
    """
    headers = array_files.headers(path)
    if key is None and {"imgs", dsprites_file.name_of_classes(path)} <= headers.keys():
        return dsprites_file.read(path, headers)
    name = _name_of_images(path, headers, key and key.strip("/"))
    header = headers[name]
    table = factors_beside(path, headers, name)
    if math.prod(header.shape) * header.dtype.itemsize <= cache.LIMIT:
        source = arrays.read(array_files.load(path, name), str(path))
    else:
        zeros = np.broadcast_to(np.zeros((), header.dtype), header.shape)  # takes no memory
        whole = arrays.channels_first(zeros, str(path))
        rows = cache.block(whole.shape[1:])

        def slabs(first: int) -> Iterator[Array]:
            return (arrays.channels_first(slab, str(path)) for slab in array_files.slabs(path, name, rows, first))

        source = arrays.of_slabs(str(path), whole, slabs)
    return arrays.of_file(source, path, table, name)


def factors_beside(
    path: Path, headers: Mapping[str, Header], name: str, other_names: Sequence[str] = ()
) -> Table | None:
    """The factors beside the array `name`. Warns of arrays that are neither these, nor it, nor one of `other_names`."""
    group = name.rpartition("/")[0] + "/" if "/" in name else ""  # of the images
    factors = name_of_factors({each: header.shape for each, header in headers.items()}, headers[name].shape, group)
    read_names = headers.keys() & {name, *other_names, factors, group + "factor_names"}
    for each in read_names:
        npz.check(path, each, headers[each])
    if others := headers.keys() - read_names:
        warnings.warn(f"{path}: the arrays {', '.join(sorted(others))} are not read", stacklevel=5)
    if factors is None:
        return None
    names = [factors.removeprefix(group)]
    if group + "factor_names" in read_names:
        names = [text(each) for each in array_files.load(path, group + "factor_names").ravel()]
    return _table(path, array_files.load(path, factors), names)


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
