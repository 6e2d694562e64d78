"""Bins, labels and contingency tables, from which the metrics of mutual information are computed."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from equipoise.errors import InputError, choose
from equipoise.metrics.inputs import Pair, once, warn
from equipoise.metrics.result import Floats

Ints = NDArray[np.int64]
Edges = Literal["unit", "range"]

MOST_BINS = 10_000  # of codes or a factor; with more the tables of counts could fill the memory
CONTINUOUS_BINS = 10  # as in the 2022 review of metrics, for factors and codes
_UNSEEN = 0.05  # share of scored rows with values that no fitted row has, above which a predictor warns
_CHUNK = 1_000_000  # elements of a temporary index: large enough for speed, small enough for the cache


def binned(columns: Floats, bins: int, edges: Edges) -> Ints:
    """Return the bin of each value, 0 to bins - 1, in `bins` bins of equal width over each column's range, [N, L].

    A bin is closed on the left, and the top edge belongs to the last bin. "unit" scales each column to [0, 1] first and
    cuts there; "range" cuts the raw column between its extremes (half a unit around a constant). Both are equal in
    exact arithmetic, but a value on an edge, as all values of a discrete code are, falls on either side by rounding.
    Raises `InputError` for fewer than 2 bins, and for more than tables of counts can have.
    """
    if not 2 <= bins <= MOST_BINS:
        raise InputError(f"{bins} bins: expected 2 to {MOST_BINS:,}")
    choose("edges", edges, ("unit", "range"))
    low, high = columns.min(axis=0), columns.max(axis=0)
    if (narrow := (high > low) & (high - low < 1e-300)).any():  # the inverse of the width of a bin would be infinite
        columns = np.where(narrow, (columns - low) * 2.0**500, columns)
        low, high = columns.min(axis=0), columns.max(axis=0)
    if edges == "unit":
        scale = 1 / np.where(high > low, high - low, 1)
        columns = columns * scale + (0 - low * scale)
        cuts = np.repeat(np.linspace(0, 1, bins + 1)[:, None], len(low), axis=1)
    else:
        low, high = np.where(high > low, (low, high), (low - 0.5, high + 0.5))
        cuts = np.linspace(low, high, bins + 1)
    out = np.empty(columns.shape, dtype=np.int64, order="F")
    for j, column in enumerate(columns.T):
        cut = cuts[:, j]
        if cut[-1] - cut[0] < 100 * bins * np.spacing(np.abs(cut).max()):  # edges only a few roundings apart
            out[:, j] = np.searchsorted(cut[:-1], column, side="right") - 1
            continue
        # The computed bin is at most one off. Corrected by the true edges it is exact, and several times faster than
        # a search.
        guess = ((column - cut[0]) * (bins / (cut[-1] - cut[0]))).astype(np.int64)
        np.minimum(guess, bins - 1, out=guess)
        guess -= column < cut[guess]
        guess += column >= np.append(cut[1:-1], np.inf)[guess]
        out[:, j] = guess
    return out


def binned_codes(codes: ArrayLike, columns: Floats, bins: int, edges: Edges) -> Ints:
    """Return `binned` columns of the codes, computed once for all metrics of the same `Codes`."""
    return once(codes, ("binned", bins, edges), lambda: binned(columns, bins, edges))


def encoded(column: NDArray[Any]) -> tuple[Ints, int]:
    """Return labels 0 to V - 1 in the order of the values, and V; values may be negative, have gaps, or be floats."""
    if column.dtype.kind == "i" and int(column.max()) - int(column.min()) <= 4 * len(column) + 1000:
        shifted = column - column.min()
        present = np.bincount(shifted) > 0
        return (np.cumsum(present) - 1)[shifted], int(present.sum())
    values, labels = np.unique(column, return_inverse=True)
    return labels, len(values)


def fitted_rows(data: Pair) -> int:
    """Return the number of rows to which a predictor is fitted, the first two thirds; the others are scored.

    Warns if many of the scored rows have a value of a discrete factor that no fitted row has.
    """
    count = 2 * len(data.codes) // 3
    for k, column in zip(data.columns, data.factors.T, strict=True):
        labels, values = encoded(column)
        share = 1 - float(np.isin(labels[count:], labels[:count]).mean())
        if share > _UNSEEN and not is_continuous(column, values):
            warn(
                f"factor {k}: {share:.0%} of the last third of the rows have values that no earlier row has, and count "
                "as errors; if the rows are sorted, shuffle codes and factors together"
            )
    return count


def factor_labels(
    data: Pair, bins: int | None, edges: Edges = "unit", continuous: int = CONTINUOUS_BINS
) -> list[tuple[Ints, int]]:
    """Return labels 0 to V - 1, and V, of each used factor.

    With `bins`, every factor is cut into that many bins first. Without, discrete factors keep their values, and
    continuous ones (see `is_continuous`) are cut into `continuous` unit bins.
    """

    def compute() -> list[tuple[Ints, int]]:
        out = []
        for k, column in zip(data.columns, data.factors.T, strict=True):
            labels, values = encoded(column)
            cut = bins if bins is not None else continuous if is_continuous(column, values) else None
            if cut is None:
                warn_of_many(int(k), values, len(column))
            else:
                labels, values = encoded(binned(column[:, None].astype(np.float64), cut, edges)[:, 0])
            out.append((labels, values))
        return out

    return once(data, ("labels", bins, edges, continuous), compute)


def is_continuous(column: NDArray[Any], values: int) -> bool:
    """Return whether a factor [N] with this number of different values counts as continuous.

    It has more than max(50, sqrt(N)) values, and some are not whole numbers or most of them occur once. The type of the
    array does not matter: 0, 1, 2 and 0.0, 1.0, 2.0 are the same labels.
    """
    return _are_many(values, len(column)) and (values > len(column) / 2 or not is_whole(column))


def is_whole(column: NDArray[Any]) -> bool:
    """Return whether all values are whole numbers."""
    return column.dtype.kind == "i" or bool((column == np.rint(column)).all())


def warn_of_many(factor: int, values: int, rows: int) -> None:
    """Warn if a factor has so many labels that information about them is mostly bias."""
    if _are_many(values, rows):
        warn(
            f"factor {factor} has {values} whole-number values for {rows} rows and counts as {values} labels, which "
            "bins cannot separate: scores are biased. If it is a quantity such as an angle, divide it by its range, "
            "so that it counts as continuous, or set factor_bins"
        )


def _are_many(values: int, rows: int) -> bool:
    """Return whether a factor has more values than labels usually have."""
    return bool(values > max(50, rows**0.5))


def tables(labels: Ints, values: int, codes: Ints, bins: int) -> Ints:
    """Return the counts [V, L, bins] of label and bin of each latent; labels [N], binned codes [N, L]."""
    latents = codes.shape[1]
    size = latents * bins
    counts = np.zeros(values * size, dtype=np.int64)
    cells = np.arange(latents)[:, None] * bins + codes.T
    step = max(1, _CHUNK // latents)
    for start in range(0, len(labels), step):
        rows = slice(start, start + step)
        counts += np.bincount((labels[rows] * size + cells[:, rows]).ravel(), minlength=values * size)
    return counts.reshape(values, latents, bins)


def mutual_information(counts: Ints) -> Floats:
    """Return the plug-in mutual information of label and each latent's bin, in nats, [L]; counts [V, L, bins].

    It is biased upwards by about (V - 1)(bins - 1)/(2N).
    """
    rows = counts.sum(axis=(0, 2))
    parts = _nlogn(counts, (0, 2)) - _nlogn(counts.sum(axis=2), 0) - _nlogn(counts.sum(axis=0), 1)
    information: Floats = np.maximum(np.log(rows) + parts / rows, 0.0)
    return information


def entropy(counts: Ints) -> Floats:
    """Return the entropy of counts over their last axis, in nats."""
    rows = counts.sum(axis=-1)
    nats: Floats = np.maximum(np.log(rows) - _nlogn(counts, -1) / rows, 0.0)
    return nats


def _nlogn(counts: Ints, axis: int | tuple[int, ...]) -> Floats:
    """Return the sum of n log n over an axis of counts."""
    total: Floats = xlogy(counts, counts).sum(axis=axis)
    return total


def gap(values: Floats) -> Floats:
    """Return the largest minus the second largest value over the last axis; the second of a single value is 0."""
    ordered = np.sort(values, axis=-1)
    return ordered[..., -1] - (ordered[..., -2] if values.shape[-1] > 1 else 0.0)


def grouped(labels: Ints, values: int) -> tuple[Ints, Ints]:
    """Return an order [N] that brings rows of equal label together, and the count [V] of each label."""
    small = labels.astype(np.uint16) if values <= 2**16 else labels  # NumPy sorts 16-bit labels by radix
    return np.argsort(small, kind="stable"), np.bincount(labels, minlength=values)
