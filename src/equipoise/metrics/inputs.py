"""Codes and factors as arrays that have passed the checks every metric relies on."""

import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from equipoise.errors import InputError
from equipoise.metrics.result import Floats, ScoreWarning

Made = TypeVar("Made")

CONSTANT = "all latents are constant: the codes say nothing"


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes as `score` hands them to its metrics: an array [N, L], and what one metric made of it that others need.

    shared: by what was made and with which settings, see `once`. It belongs to these codes and to the factors, logvar
    and sample of the same rows that go with them.
    """

    array: Floats
    shared: dict[Hashable, Any] = field(default_factory=dict)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.array, dtype=dtype, copy=copy)


def once(of: "ArrayLike | Codes | Pair", key: Hashable, make: Callable[[], Made]) -> Made:
    """What `make` returns: made once for all metrics that are given the same `Codes`, anew for any other array.

    of: the codes as a metric was given them, or their `Pair` with the factors, which is one for the same `Codes`.
    """
    if not isinstance(of, Codes | Pair):
        return make()
    if key not in of.shared:
        of.shared[key] = make()
    made: Made = of.shared[key]
    return made


@dataclass(frozen=True)
class Pair:
    """Checked codes and factors of the same N rows.

    Attributes:
        codes: float64 [N, L], one column after the other in memory: metrics work latent by latent.
        live: [L], whether a latent takes more than one value. Compares extremes: the variance of equal floats is
            often 1e-34, not 0.
        factors: int64 or float64 [N, K'], those with more than one value.
        kept: [K'], the original numbers of those factors; the other K - K' are left out of every score.
        size: K.
        shared: as of `Codes`.
    """

    codes: Floats
    live: NDArray[np.bool_]
    factors: NDArray[Any]
    kept: NDArray[np.int64]
    size: int
    shared: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def left_out(self) -> dict[str, str]:
        """The factors left out, with the reason."""
        return {f"factor {k}": "one value only" for k in range(self.size) if k not in self.kept}

    @property
    def constant(self) -> dict[str, str]:
        """The constant latents, as a metric that drops them reports it."""
        return {f"latent {j}": "constant" for j in np.flatnonzero(~self.live)}

    def rows_by_factor(self, values: Floats) -> Floats:
        """Values [K', ...] of the kept factors in their place among all: [K, ...], NaN for those left out."""
        out = np.full((self.size, *values.shape[1:]), np.nan)
        out[self.kept] = values
        return out


def pair(codes: ArrayLike, factors: ArrayLike) -> Pair:
    """Checked codes [N, L] and factors [N, K]; warns once of factors and codes that cannot tell anything.

    Raises InputError for anything but two finite numeric matrices of the same N >= 2 rows, and when every factor has
    one value only.
    """
    data = once(codes, "pair", lambda: _pair(codes, factors))
    for factor, reason in data.left_out.items():
        warn(f"{factor} has {reason} and is left out")
    if not data.live.any():
        warn(CONSTANT)
    return data


def _pair(codes: ArrayLike, factors: ArrayLike) -> Pair:
    z = matrix(codes, "codes").astype(np.float64, copy=False)
    y = matrix(factors, "factors")
    if len(z) != len(y):
        raise InputError(f"codes have {len(z)} rows, factors {len(y)}: pass the factors of the same images, row by row")
    varied = varies(y)
    if not varied.any():
        raise InputError("every factor has one value only: pass rows in which at least one factor varies")
    return Pair(z, varies(z), y[:, varied], np.flatnonzero(varied), y.shape[1])


def varies(columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each column takes more than one value."""
    varied: NDArray[np.bool_] = columns.min(axis=0) != columns.max(axis=0)
    return varied


def matrix(values: ArrayLike, name: str) -> NDArray[Any]:
    """Finite numbers [N >= 2, columns >= 1] as int64 or float64; arrays, data frames and torch tensors are taken.

    Columns are contiguous (Fortran order), which makes everything that reduces over rows several times faster.
    """
    array = numbers(values, name)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        raise InputError(f"{name} has shape {array.shape}: expected [rows, columns] with at least two rows")
    array = np.asfortranarray(array)
    # NaN and infinity survive in the extremes, and a range that overflows could not be binned: one pass finds all.
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(array.max(axis=0) - array.min(axis=0))
    if not finite.all():
        column = int(np.argmin(finite))
        count = int((~np.isfinite(array[:, column])).sum())
        found = f"{count} of {len(array)} values are NaN or infinite" if count else "values too far apart for float64"
        raise InputError(f"{name}, column {column}: {found}; remove those rows or mend what wrote them")
    return array


def numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    """Real numbers of any shape as int64 or float64."""
    given: Any = values
    if hasattr(given, "detach"):  # a torch tensor, perhaps on a GPU, with a graph, or of a type NumPy lacks
        given = given.detach().cpu()
        given = given.double() if given.is_floating_point() else given
    array = np.asarray(given)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{name} has type {array.dtype}: expected real numbers")
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64, copy=False)


def matching(values: ArrayLike, codes: Floats, name: str) -> Floats:
    """Finite numbers of the same shape as the codes [N, L], as float64."""
    array = matrix(values, name).astype(np.float64, copy=False)
    if array.shape != codes.shape:
        raise InputError(f"{name} has shape {array.shape}, codes {codes.shape}: expected one value for each code")
    return array


def group_codes(values: Sequence[Any], rows: int) -> list[tuple[Floats, Floats | None]]:
    """Codes [N, L'] of further models on the same rows, with their logvar where it was given, as float64.

    values: codes, or a tuple (codes, logvar), for each model.
    """
    models: list[tuple[Floats, Floats | None]] = []
    for i, item in enumerate(values):
        given, logvar = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        codes = matrix(given, f"group[{i}]").astype(np.float64, copy=False)
        if len(codes) != rows:
            raise InputError(f"group[{i}] has {len(codes)} rows, codes {rows}: encode the same images with every model")
        models.append((codes, None if logvar is None else matching(logvar, codes, f"group[{i}], logvar")))
    return models


def warn(note: str) -> None:
    """Warns the caller of a metric (this function, the metric's helper or body, the caller)."""
    warnings.warn(note, ScoreWarning, stacklevel=3)
