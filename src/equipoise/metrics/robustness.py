"""Interventional robustness: how little a latent moves while one factor is fixed."""

import numpy as np
from numpy.typing import ArrayLike

from equipoise.errors import InputError
from equipoise.metrics.discretise import Edges, Ints, factor_labels, grouped
from equipoise.metrics.inputs import pair, warn
from equipoise.metrics.result import Floats, Metric, Score


def irs(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    quantile: float = 1.0,
    factor_bins: int | None = None,
    factor_edges: Edges = "unit",
) -> Score:
    """Interventional robustness: how little a latent moves while one factor is fixed and the others change.

    For latent j and factor k, the `quantile` of |z_j - mean| over the rows of one value of k is averaged over its
    values, divided by the largest |z_j - mean| over all rows, and subtracted from 1. A latent scores its best factor.
    The score is the mean over latents, weighted by their largest deviations.

    Args:
        codes: [N, L] floats; constant latents are left out.
        factors: [N, K] labels or floats; a value of one row counts as perfectly robust.
        quantile: above 0, at most 1.
        factor_bins: cut every factor into this number of bins; None cuts only continuous factors, into 10.
        factor_edges: "unit" or "range" edges of these bins, see `discretise.binned`.

    Returns:
        A score of at most 1, 0 if all latents are constant; `matrix` is the robustness, `extra` has the `weights`. It
        is below 0 where the rows of one value are spread further around their mean than any row around the mean of all
        rows. The score depends on the scale of each latent and falls with N: noise scores 0.38 at N = 1,000 and 0.20
        at 100,000. Compare scores at equal N, with the `baseline` that `score` computes.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, a quantile out of range, or 1 bin.

    Source:
        Suter et al. 2019, Robustly disentangled causal mechanisms, https://arxiv.org/abs/1811.00007

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(500, 2))
        >>> round(irs(factors + 0.0, factors).value, 2)
        1.0
    """
    if not 0 < quantile <= 1:
        raise InputError(f"quantile = {quantile}: expected a number above 0 and at most 1")
    data = pair(codes, factors)
    latents = data.codes.T[data.live]
    latents -= latents.mean(axis=1, keepdims=True)
    largest = np.abs(latents).max(axis=1)
    robust = np.full((len(data.columns), len(data.live)), np.nan)
    single, values = 0, 0
    for k, (labels, size) in enumerate(factor_labels(data, factor_bins, factor_edges)):
        order, counts = grouped(labels, size)
        robust[k, data.live] = 1 - _deviation(latents.take(order, axis=1), counts, quantile) / largest
        single, values = single + int((counts == 1).sum()), values + size
    if single > 0.05 * values:
        warn(
            f"irs: {single} of {values} factor values have one row and count as robust, so the score is too high; use "
            "more rows"
        )
    scores = np.full(len(data.live), np.nan)
    scores[data.live] = robust[:, data.live].max(axis=0)
    weights = np.zeros(len(data.live))
    weights[data.live] = largest
    value = scores[data.live] @ (largest / largest.sum()) if data.live.any() else 0.0
    return data.score(value, per_latent=scores, matrix=robust, left_out=data.constant, extra={"weights": weights})


def _deviation(latents: Floats, counts: Ints, quantile: float) -> Floats:
    """Return the mean over groups of the quantile of |z - group mean|, [L]; latents [L, N] in order of their groups."""
    starts = np.cumsum(counts) - counts
    means = np.add.reduceat(latents, starts, axis=1) / counts
    if quantile == 1:
        high = np.maximum.reduceat(latents, starts, axis=1)
        low = np.minimum.reduceat(latents, starts, axis=1)
        furthest: Floats = np.maximum(high - means, means - low).mean(axis=1)
        return furthest
    total = np.zeros(len(latents))
    for start, count, mean in zip(starts, counts, means.T, strict=True):
        far = np.abs(latents[:, start : start + count] - mean[:, None])
        below = int((count - 1) * quantile)
        above = min(below + 1, count - 1)
        far.partition((below, above), axis=1)
        total += far[:, below] + (far[:, above] - far[:, below]) * ((count - 1) * quantile - below)
    return total / len(counts)


METRICS = {
    "irs": Metric(
        irs,
        range=(-1.0, 1.0),
        conventions={
            "carbonneau": {"quantile": 1.0, "factor_bins": 10, "factor_edges": "unit"},
            "locatello": {"quantile": 0.99, "factor_bins": 20, "factor_edges": "range"},
        },
        has_baseline=True,
        is_headline=True,
    ),
}
