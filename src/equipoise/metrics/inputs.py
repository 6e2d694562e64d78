"""Codes and factors as arrays that have passed the checks every metric relies on."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from equipoise.errors import InputError
from equipoise.metrics.result import Floats, ScoreWarning


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
    """

    codes: Floats
    live: NDArray[np.bool_]
    factors: NDArray[Any]
    kept: NDArray[np.int64]
    size: int

    @property
    def left_out(self) -> dict[str, str]:
        """The factors left out, with the reason."""
        return {f"factor {k}": "one value only" for k in np.setdiff1d(np.arange(self.size), self.kept)}

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
    z = matrix(codes, "codes").astype(np.float64, copy=False)
    y = matrix(factors, "factors")
    if len(z) != len(y):
        raise InputError(f"codes have {len(z)} rows, factors {len(y)}: pass the factors of the same images, row by row")
    varied = y.min(axis=0) != y.max(axis=0)
    if not varied.any():
        raise InputError("every factor has one value only: pass rows in which at least one factor varies")
    live = z.min(axis=0) != z.max(axis=0)
    notes = [f"factor {k} has one value only and is left out" for k in np.flatnonzero(~varied)]
    if not live.any():
        notes.append("all latents are constant: the codes say nothing about any factor")
    if notes:
        warn("; ".join(notes))
    return Pair(z, live, y[:, varied], np.flatnonzero(varied), y.shape[1])


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


def group_codes(values: Sequence[ArrayLike], rows: int) -> list[Floats]:
    """Codes [N, L'] of further models on the same rows, as float64."""
    codes = [matrix(item, f"group[{i}]").astype(np.float64, copy=False) for i, item in enumerate(values)]
    for i, item in enumerate(codes):
        if len(item) != rows:
            raise InputError(f"group[{i}] has {len(item)} rows, codes {rows}: encode the same images with every model")
    return codes


def warn(note: str) -> None:
    """Warns the caller of a metric (this function, the metric's helper or body, the caller)."""
    warnings.warn(note, ScoreWarning, stacklevel=3)
