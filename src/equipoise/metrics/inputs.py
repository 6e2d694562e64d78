"""Checked inputs of the metrics: codes, factors, posteriors and the codes of further models."""

import sys
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from equipoise.errors import InputError, short
from equipoise.metrics.result import Floats, Score, ScoreWarning
from equipoise.text_column import Column

Result = TypeVar("Result")

CONSTANT = "all latents are constant: the codes carry no information"


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes [N, L] as `score` passes them to its metrics, with intermediate results that several metrics use.

    `cache` is filled by `once`. Its results depend on these codes and on the factors, logvar and sample of the same
    rows.
    """

    array: Floats
    cache: dict[Hashable, Any] = field(default_factory=dict)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.array, dtype=dtype, copy=copy)


def once(of: "ArrayLike | Codes | Pair", key: Hashable, compute: Callable[[], Result]) -> Result:
    """Return the result of `compute`, computed once for each key and `Codes` (or `Pair`), and each time for arrays."""
    if not isinstance(of, Codes | Pair):
        return compute()
    if key not in of.cache:
        of.cache[key] = compute()
    result: Result = of.cache[key]
    return result


@dataclass(frozen=True)
class Pair:
    """Checked codes and factors of the same N rows.

    Attributes:
        codes: float64 [N, L], in Fortran order, because metrics work latent by latent.
        live: [L], whether a latent takes more than one value. The extremes are compared, because the variance of equal
            floats is often 1e-34, not 0.
        factors: int64 or float64 [N, K'], the factors with more than one value. The others are left out of all scores.
        columns: [K'], the positions of these factors among all K.
        size: K.
        cache: see `Codes`.
    """

    codes: Floats
    live: NDArray[np.bool_]
    factors: NDArray[Any]
    columns: NDArray[np.int64]
    size: int
    cache: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def left_out(self) -> dict[str, str]:
        """The factors left out, with the reason, as `Score.left_out` lists them."""
        return {f"factor {k}": "one value only" for k in range(self.size) if k not in self.columns}

    @property
    def constant(self) -> dict[str, str]:
        """The constant latents, as `Score.left_out` lists them."""
        return constant(self.live)

    def rows_by_factor(self, values: Floats) -> Floats:
        """Return values [K', ...] of the used factors in their places among all factors, [K, ...]; NaN elsewhere."""
        out = np.full((self.size, *values.shape[1:]), np.nan)
        out[self.columns] = values
        return out

    def score(
        self,
        value: float,
        *,
        per_factor: Floats | None = None,
        per_latent: Floats | None = None,
        matrix: Floats | None = None,
        left_out: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Score:
        """Return a `Score` of these rows. per_factor: [K']; per_latent: [L]; matrix: [K', L]."""
        return Score(
            value=float(value),
            n=len(self.codes),
            per_factor=None if per_factor is None else self.rows_by_factor(per_factor),
            per_latent=per_latent,
            matrix=None if matrix is None else self.rows_by_factor(matrix),
            left_out={**self.left_out, **(left_out or {})},
            extra=extra or {},
        )


def pair(codes: ArrayLike, factors: ArrayLike) -> Pair:
    """Check codes [N, L] and factors [N, K]; warn of factors with one value and of codes that are all constant.

    Raises `InputError` for anything but two finite numeric matrices of the same N >= 2 rows, and when every factor has
    one value only.
    """
    data = once(codes, "pair", lambda: _pair(codes, factors))
    for factor, reason in data.left_out.items():
        warn(f"{factor} has {reason} and is left out")
    if not data.live.any():
        warn(CONSTANT)
    return data


def _pair(codes: ArrayLike, factors: ArrayLike) -> Pair:
    z, y = floats(codes, "codes"), matrix(words_as_codes(factors), "factors")
    if len(z) != len(y):
        raise InputError(f"codes have {len(z)} rows, factors {len(y)}: pass the factors of the same images, row by row")
    varied = varies(y)
    if not varied.any():
        raise InputError("every factor has one value only: pass rows in which at least one factor varies")
    return Pair(z, varies(z), y[:, varied], np.flatnonzero(varied), y.shape[1])


def varies(columns: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether each column takes more than one value."""
    varied: NDArray[np.bool_] = columns.min(axis=0) != columns.max(axis=0)
    return varied


def scaled(columns: Floats) -> Floats:
    """Return columns scaled to [0, 1]; a constant one becomes 0."""
    low, spread = columns.min(axis=0), np.ptp(columns, axis=0)
    scaled: Floats = (columns - low) / np.where(spread > 0, spread, 1)
    return scaled


def constant(live: NDArray[np.bool_]) -> dict[str, str]:
    """Return the constant latents, as `Score.left_out` lists them."""
    return {f"latent {j}": "constant" for j in np.flatnonzero(~live)}


def matrix(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return a matrix [N >= 2, columns >= 1] of finite int64 or float64 numbers.

    Takes arrays, data frames and torch tensors; `InputError` for anything else. The result is in Fortran order, which
    makes reductions over rows several times faster.
    """
    array = numbers(values, name)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        remedy = "; make a single column a matrix with numpy.reshape(column, (-1, 1))" if array.ndim == 1 else ""
        raise InputError(f"{name} has shape {array.shape}: expected [rows, columns] with at least two rows{remedy}")
    array = np.asfortranarray(array)
    # One pass finds NaN, infinities and ranges that overflow, which could not be binned: all make the range not finite.
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(array.max(axis=0) - array.min(axis=0))
    if not finite.all():
        column = int(np.argmin(finite))
        count = int((~np.isfinite(array[:, column])).sum())
        fault = f"{count} of {len(array)} values are NaN or infinite" if count else "values too far apart for float64"
        raise InputError(f"{name}, column {column}: {fault}; remove those rows or correct the program that wrote them")
    return array


def floats(values: ArrayLike, name: str) -> Floats:
    """Return a `matrix` as float64; `InputError` as there."""
    return matrix(values, name).astype(np.float64, copy=False)


def numbers(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return real numbers of any shape as int64 or float64; `InputError` for other types and for masked values."""
    source: Any = values
    _check_mask(source, name)
    if _is_frame(source):
        source = _of_frame(source)
    source = [_of_tensor(row) for row in source] if isinstance(source, list | tuple) else _of_tensor(source)
    try:
        array = np.asarray(source)
    except ValueError:  # as NumPy raises it for such lists
        raise InputError(f"{name} has rows of different lengths: expected a matrix") from None
    if array.dtype.kind not in "biuf":
        kind = f"has type {array.dtype}" if array.ndim else f"is {short(values)}"
        raise InputError(f"{name} {kind}: expected real numbers, as an array, a data frame, a tensor or lists")
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InputError(f"{name} has numbers of 2**63 and more: expected numbers that int64 can hold")
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64, copy=False)


def _of_tensor(values: Any) -> Any:
    """Return a torch tensor, perhaps sparse, on a GPU, with a graph, or of a type that NumPy lacks, as an array."""
    if not hasattr(values, "detach"):
        return values
    tensor = values.detach().cpu().to_dense()
    return (tensor.double() if tensor.is_floating_point() else tensor).numpy()


def _is_frame(values: Any) -> bool:
    """Return whether values are a data frame."""
    return hasattr(values, "columns") and hasattr(values, "dtypes")


def _of_frame(frame: Any) -> Any:
    """Return a data frame of numbers as an array; others are returned as they are.

    The columns may have different types, or those with a missing value of their own, such as Int64, which becomes NaN.
    """
    kinds = {getattr(kind, "kind", "O") for kind in frame.dtypes}
    if not kinds <= set("biuf") or not hasattr(frame, "isna"):
        return frame
    if "f" in kinds or bool(frame.isna().to_numpy().any()):
        return frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return frame.to_numpy(dtype=np.int64)


def _check_mask(values: Any, name: str) -> None:
    """Raise `InputError` if values of an array are masked, as its program marked them as invalid."""
    if isinstance(values, np.ma.MaskedArray) and (count := int(np.ma.getmaskarray(values).sum())):
        raise InputError(f"{name}: {count} of {values.size} values are masked; fill them in, or leave those rows out")


def words_as_codes(factors: Any) -> Any:
    """Return factors [N, K] of which some are text as float64, by the rules of a table of factors.

    Text that is numbers becomes these numbers, and words become codes in the order of `natural`, or of an ordered
    categorical of pandas. Takes data frames, arrays and lists; other factors are returned as they are. `InputError` for
    a missing or masked value, and for a column in which at least half of the cells are numbers and others are not.
    """
    _check_mask(factors, "factors")
    if isinstance(factors, list | tuple) and _has_text(factors):
        try:
            factors = np.asarray(factors)
        except ValueError:  # rows of different lengths, which `numbers` names
            return factors
    if _is_frame(factors) and not hasattr(factors, "iloc"):  # of another package than pandas
        factors = np.asarray(factors)
    is_frame = _is_frame(factors)
    kinds = list(factors.dtypes) if is_frame else [getattr(factors, "dtype", np.dtype(int))]
    if all(getattr(kind, "kind", "O") not in "OUST" for kind in kinds) or np.ndim(factors) != 2:
        return factors
    if is_frame:
        return np.stack([_column(str(name), factors.iloc[:, k]) for k, name in enumerate(factors.columns)], axis=1)
    return np.stack([_column(str(k), column) for k, column in enumerate(np.asarray(factors).T)], axis=1)


def _has_text(rows: Sequence[Any]) -> bool:
    """Return whether a cell in rows of lists is text."""
    return any(isinstance(cell, str | bytes) for row in rows if isinstance(row, list | tuple) for cell in row)


def _column(name: str, cells: Any) -> Floats:
    """Return a column [N] of factors, an array or a series of pandas, as numbers; errors as in `words_as_codes`."""
    is_missing = cells.isna() if hasattr(cells, "isna") else np.zeros(len(cells), bool)
    if getattr(cells.dtype, "ordered", False) and not is_missing.any():
        return np.array(cells.cat.codes, np.float64)
    texts = ["" if absent else _text(cell) for cell, absent in zip(cells.tolist(), is_missing, strict=True)]
    column = Column(name, "row")
    ids = np.fromiter((column.number(text, f"row {i}") for i, text in enumerate(texts, 1)), np.int64, len(texts))
    values = column.values_of(ids, "factors")
    return column.factor(ids, "factors")[0].astype(np.float64) if values is None else values


def _text(cell: Any) -> str:
    """Return a cell as text without spaces around it; empty for a date that is missing."""
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    return "" if text == "NaT" else text.strip()


def matching(values: ArrayLike, codes: Floats, name: str) -> Floats:
    """Return finite float64 numbers of the shape of the codes [N, L]; `InputError` for another shape."""
    array = floats(values, name)
    if array.shape != codes.shape:
        raise InputError(f"{name} has shape {array.shape}, codes {codes.shape}: expected one value for each code")
    return array


def group_codes(values: Sequence[Any], rows: int) -> list[tuple[Floats, Floats | None]]:
    """Return the codes [N, L'] and, where present, the logvar of further models on the same rows, as float64.

    values: for each model its codes, or a tuple (codes, logvar). Raises `InputError` for another number of rows.
    """
    if not hasattr(values, "__len__"):
        raise InputError(f"group is {short(values)}: expected a list with the codes of each further model")
    models: list[tuple[Floats, Floats | None]] = []
    for i, item in enumerate(values):
        array, logvar = item if isinstance(item, tuple) and len(item) == 2 else (item, None)
        codes = floats(array, f"group[{i}]")
        if len(codes) != rows:
            raise InputError(f"group[{i}] has {len(codes)} rows, codes {rows}: encode the same images with every model")
        models.append((codes, None if logvar is None else matching(logvar, codes, f"group[{i}], logvar")))
    return models


def warn(note: str) -> None:
    """Issue a `ScoreWarning` at the line that called into this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back and str(frame.f_globals.get("__name__")).startswith(__package__ or __name__):
        level, frame = level + 1, frame.f_back
    warnings.warn(note, ScoreWarning, stacklevel=level)
