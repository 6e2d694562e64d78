"""The table of the factors of images: codes 0..V-1, or continuous values."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.errors import InputError

Factors = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def column_names(names: Sequence[str], other_names: Collection[str]) -> list[str]:
    """The names of factors as columns of a table: one of `other_names` is called factor_NAME, until no other has it."""
    columns: list[str] = []
    for name in names:
        column = name
        while column in other_names or column in columns or (column != name and column in names):
            column = f"factor_{column}"
        columns.append(column)
    return columns


def check_factors(
    table: npt.NDArray[Any], sizes: tuple[int, ...], images: int, name: str
) -> tuple[Factors, tuple[int, ...]]:
    """The table as int64 [N, K], or float64 if a factor is continuous, and the sizes, checked against each other."""
    if table.ndim != 2 or table.dtype.kind not in "iuf" or len(table) != images or not table.shape[1]:
        raise InputError(
            f"{name}: factors of {images:,} images are whole numbers or floats [{images}, K], "
            f"not {table.dtype} {list(table.shape)}"
        )
    if not np.isfinite(table).all():
        raise InputError(f"{name}: the factors hold NaN or infinity; drop the images whose factors are not known")
    if not sizes:  # every factor has at least one code: 0 would call it continuous
        is_whole = table.dtype.kind != "f"
        sizes = tuple(max(int(top) + 1, 1) if is_whole else 0 for top in table.max(axis=0))
    if len(sizes) != table.shape[1] or min(sizes) < 0:
        raise InputError(
            f"{name}: {table.shape[1]} factors need as many sizes, each the number of codes or 0 where it is "
            f"continuous, not {list(sizes)}"
        )
    for k, size in enumerate(sizes):
        column = table[:, k]
        is_wrong = (column < 0) | (column >= size) | (column != np.floor(column))
        if size and is_wrong.any():
            raise InputError(
                f"{name}: factor codes are whole numbers from 0 to V-1, but factor {k}, whose V is {size}, has "
                f"{column[is_wrong][0]}; number its values from 0, or give V = 0 for a continuous factor"
            )
    if all(sizes):
        return table.astype(np.int64, copy=False), sizes
    return table.astype(np.float64, copy=False), sizes


def check_names(
    names: Sequence[str] | None, sizes: tuple[int, ...], values: Mapping[str, Sequence[str]], images: str
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the names of K factors, by default numbered, and those of their values.

    Raises `InputError` unless the names differ, and each factor in `values` has a name for each of its values.
    """
    texts = tuple(f"factor_{k}" for k in range(len(sizes))) if names is None else tuple(map(str, names))
    if not len(set(texts)) == len(texts) == len(sizes):
        raise InputError(f"{images}: {len(sizes)} factors need as many different names, not {list(texts)}")
    size_by_name = dict(zip(texts, sizes, strict=True))
    words = {factor: tuple(map(str, value_names)) for factor, value_names in values.items()}
    for factor, value_names in words.items():
        if len(value_names) != size_by_name.get(factor):
            raise InputError(f"{images}: factor_values needs one name for each value of a factor; correct {factor!r}")
    return texts, words


def check_grid(sizes: tuple[int, ...], count: int, images: str) -> None:
    """Raise `InputError` unless there are as many images as combinations of the values of all factors."""
    cells = math.prod(sizes)
    if count != cells:
        raise InputError(
            f"{images}: {count:,} images do not fill the grid of factor sizes {sizes}, which has {cells:,} cells; give "
            "a table of factors"
        )
