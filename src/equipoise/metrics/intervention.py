"""Metrics of interventions: what in the codes stays put when one factor is held."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression

from equipoise.errors import InputError
from equipoise.metrics.discretise import Edges, Ints, factor_labels, grouped
from equipoise.metrics.draws import Groups, draw_batches, draw_pairs, groups_by_the_others, groups_by_value
from equipoise.metrics.inputs import Pair, pair, warn
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread

Seed = int | np.random.Generator


def beta_vae(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    batch: int = 200,
    train: int = 10_000,
    evaluate: int = 5_000,
    corrected: bool = True,
    factor_bins: int | None = None,
    standardize: bool = False,
    seed: Seed = 0,
) -> Score:
    """beta-VAE score: how well a linear model tells which factor pairs of images share; 1 at best.

    One point is the mean of |z_a - z_b| over `batch` pairs of images; the two of a pair share the value of one
    factor, a value drawn anew for each pair. A multinomial logistic regression (L2, C = 1) learns that factor from
    `train` points and is scored on `evaluate` fresh ones. `corrected` maps chance to 0, (accuracy - 1/K) / (1 - 1/K);
    `extra` has the raw accuracy. The score saturates early: noise and redundancy leave it at 1, mixing lowers it.

    codes: [N, L]; factors: [N, K]. `factor_bins` cuts every factor into unit bins first, without it continuous
    factors alone are cut, into 10. Latents count by their scale unless `standardize`. Values of one row are skipped;
    NaN with one factor, or one without a value of two rows. The matrix is the mean |z_a - z_b| of each latent where
    each factor is shared.

    Source: Higgins et al. 2017, section 3, https://openreview.net/forum?id=Sy2fzU9gl; pairs are drawn as in the
    2022 review's code, so that no image is compared with itself.
    """
    data = pair(codes, factors)
    if batch < 1 or train < 10 * data.size or evaluate < 1:
        raise InputError(
            f"batch = {batch}, train = {train}, evaluate = {evaluate}: expected at least 1, "
            f"{10 * data.size} (ten for each factor) and 1"
        )
    params = {
        "batch": batch,
        "train": train,
        "evaluate": evaluate,
        "corrected": corrected,
        "factor_bins": factor_bins,
        "standardize": standardize,
    }
    empty = Score(math.nan, n=len(data.codes), left_out=data.left_out, params=params, seed=_number(seed))
    groups = groups_by_value(data, factor_bins)
    if not _playable(data, groups):
        return empty
    rng = np.random.default_rng(seed)
    held = rng.integers(len(groups), size=train + evaluate)
    latents = data.codes.T
    if standardize:
        latents = latents / np.where(data.live, latents.std(axis=1), 1)[:, None]
    points = np.empty((train + evaluate, len(latents)))
    for k, values in enumerate(groups):
        mine = np.flatnonzero(held == k)
        one, other = draw_pairs(rng, values, len(mine) * batch)
        for j, latent in enumerate(latents):
            points[mine, j] = np.abs(latent[one] - latent[other]).reshape(len(mine), batch).mean(axis=1)
    with one_thread():
        model = LogisticRegression(C=1.0, max_iter=10_000).fit(points[:train], held[:train])
        guess = model.predict(points[train:])
    distance = np.stack([points[held == k].mean(axis=0) for k in range(len(groups))])
    return _voted(empty, data, guess, held[train:], corrected, distance)


def factor_vae(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    batch: int = 200,
    train: int = 800,
    evaluate: int = 800,
    threshold: float = 0.05,
    corrected: bool = True,
    factor_bins: int | None = None,
    seed: Seed = 0,
) -> Score:
    """FactorVAE score: how well the latent that varies least tells which factor was held; 1 at best.

    One point is `batch` images which share one value of one factor; its vote goes to the latent of least variance,
    relative to the variance over all rows. Each latent then stands for the factor with most of its `train` votes, and
    the score is the share of `evaluate` fresh votes it gets right. `corrected` maps chance to 0,
    (accuracy - 1/K) / (1 - 1/K); `extra` has the raw accuracy.

    codes: [N, L]; factors: [N, K]. Latents with a standard deviation below `threshold`, on the scale of the codes,
    are left out: where nothing varies, chance votes. With none left the score is 0. `factor_bins` cuts every
    factor into unit bins first, without it continuous factors alone are cut, into 10. Values of one row are skipped;
    NaN with one factor, or one without a value of two rows. The matrix counts the training votes. Random codes stay
    about 0.09 above chance at N = 2,400.

    Source: Kim and Mnih 2018, section 4, https://arxiv.org/abs/1802.05983; batches are drawn as in the 2022 review's
    code, as slices of permutations, so that those of training and evaluation overlap as little as the rows allow.
    """
    data = pair(codes, factors)
    params = {
        "batch": batch,
        "train": train,
        "evaluate": evaluate,
        "threshold": threshold,
        "corrected": corrected,
        "factor_bins": factor_bins,
    }
    return _by_vote(data, groups_by_value(data, factor_bins), np.argmin, params, seed)


def z_max(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    batch: int = 200,
    train: int = 800,
    evaluate: int = 800,
    threshold: float = 0.05,
    corrected: bool = True,
    factor_bins: int | None = 3,
    min_rows: int = 2,
    seed: Seed = 0,
) -> Score:
    """RF-VAE score: how well the latent that varies most tells which factor alone was free; 1 at best.

    The FactorVAE score with the roles exchanged: the `batch` images of one point share the values of all factors but
    one, and the vote goes to the latent of largest variance, relative to the variance over all rows. Latents that
    stand for no factor defeat it: they vary fully in every batch, and a perfect code with three of them scores 0.25.

    codes: [N, L]; factors: [N, K]. Every factor is cut into `factor_bins` unit bins first, for without them (None)
    hardly two rows share all factors but one; 10 are enough only for rows that cover the grid of factors.
    Combinations with fewer than `min_rows` rows are skipped: of few rows the variance tells little. Rows of a small
    combination come back within a batch. NaN with one factor, or one without a combination to draw from. Everything
    else, and the matrix, as in `factor_vae`. Random codes stay 0.05 above chance at N = 2,000, 0.01 at 10,000.

    Source: Kim, Wang, Sahu and Pavlovic 2019, https://arxiv.org/abs/1902.01568; settings and draws of the 2022
    review's code.
    """
    if min_rows < 2:
        raise InputError(f"min_rows = {min_rows}: expected at least 2, for one row has no variance")
    data = pair(codes, factors)
    params = {
        "batch": batch,
        "train": train,
        "evaluate": evaluate,
        "threshold": threshold,
        "corrected": corrected,
        "factor_bins": factor_bins,
        "min_rows": min_rows,
    }
    return _by_vote(data, groups_by_the_others(data, factor_bins, min_rows), np.argmax, params, seed)


def _by_vote(data: Pair, groups: Groups, winner: Callable[..., Ints], params: Mapping[str, Any], seed: Seed) -> Score:
    """The score of votes for the latent which `winner` picks by relative variance within batches of the groups."""
    batch, train, evaluate, threshold = (params[name] for name in ("batch", "train", "evaluate", "threshold"))
    if batch < 2 or train < 1 or evaluate < 1:
        raise InputError(f"batch = {batch}, train = {train}, evaluate = {evaluate}: expected at least 2, 1 and 1")
    deviation = data.codes.std(axis=0, ddof=1)
    kept = np.flatnonzero(data.live & (deviation >= threshold))
    pruned = {
        f"latent {j}": f"standard deviation below {threshold}"
        for j in np.flatnonzero(data.live & (deviation < threshold))
    }
    left_out = data.left_out | data.constant | pruned
    empty = Score(math.nan, n=len(data.codes), left_out=left_out, params=params, seed=_number(seed))
    if not _playable(data, groups):
        return empty
    if not len(kept):
        if data.live.any():
            warn(f"every latent has a standard deviation below {threshold} and is left out: the score is 0")
        return replace(empty, value=0.0)
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(groups), size=train + evaluate)
    ratios = np.empty((train + evaluate, len(kept)))
    latents = data.codes.T[kept] / deviation[kept, None]
    for k, values in enumerate(groups):
        mine = np.flatnonzero(chosen == k)
        rows = draw_batches(rng, values, len(mine), batch)
        for j, latent in enumerate(latents):
            # Differences from the batch's first row: exactly 0 where the latent does not move, and never cancelling.
            drift = latent[rows]
            drift -= drift[:, :1]
            ratios[mine, j] = np.einsum("nb,nb->n", drift, drift) - drift.sum(axis=1) ** 2 / batch
    vote = winner(ratios, axis=1)
    table = np.zeros((len(groups), len(deviation)))
    np.add.at(table, (chosen[:train], kept[vote[:train]]), 1)
    votes = table[:, kept]
    guess = votes.argmax(axis=0)[vote[train:]]
    return _voted(empty, data, guess, chosen[train:], params["corrected"], table)


def irs(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    quantile: float = 1.0,
    factor_bins: int | None = None,
    factor_edges: Edges = "unit",
) -> Score:
    """Interventional robustness, in [0, 1]: does a latent stay where it is while one factor is held?

    For latent j and factor k: the `quantile` of |z_j - mean| over the rows of one value of k, averaged over its
    values, divided by the largest |z_j - mean| over all rows, and taken from 1. A latent scores its best factor; the
    score is the mean over latents, weighted by those largest deviations, given as `weights` in `extra`.

    Not invariant to the scale of one latent, and it falls with N: random codes score 0.38 at N = 1,000, 0.20 at
    100,000. Compare at equal N, beside the baseline.

    codes: [N, L]; factors: [N, K]. `factor_bins` cuts every factor into bins first, "unit" or "range" (see
    `discretise.binned`); without it continuous factors alone are cut, into 10. Constant latents are left out; with
    none left the score is 0. Values of one row count as perfectly robust. The matrix is the robustness.

    Source: Suter et al. 2019, https://arxiv.org/abs/1811.00007
    """
    if not 0 < quantile <= 1:
        raise InputError(f"quantile = {quantile}: expected a number above 0 and at most 1")
    data = pair(codes, factors)
    latents = data.codes.T[data.live]
    latents -= latents.mean(axis=1, keepdims=True)
    largest = np.abs(latents).max(axis=1)
    robust = np.full((len(data.kept), len(data.live)), np.nan)
    lone, values = 0, 0
    for k, (labels, size) in enumerate(factor_labels(data, factor_bins, factor_edges)):
        order, counts = grouped(labels, size)
        robust[k, data.live] = 1 - _deviation(latents.take(order, axis=1), counts, quantile) / largest
        lone, values = lone + int((counts == 1).sum()), values + size
    if lone > 0.05 * values:
        warn(f"{lone} of {values} factor values have one row and count as robust: the score is too high; use more rows")
    scores = np.full(len(data.live), np.nan)
    scores[data.live] = robust[:, data.live].max(axis=0)
    weights = np.zeros(len(data.live))
    weights[data.live] = largest
    return Score(
        value=float(scores[data.live] @ (largest / largest.sum())) if data.live.any() else 0.0,
        n=len(data.codes),
        per_latent=scores,
        matrix=data.rows_by_factor(robust),
        left_out=data.left_out | data.constant,
        params={"quantile": quantile, "factor_bins": factor_bins, "factor_edges": factor_edges},
        extra={"weights": weights},
    )


def _deviation(latents: Floats, counts: Ints, quantile: float) -> Floats:
    """Mean over groups of the quantile of |z - group mean|, [L]; latents [L, N] in order of their groups."""
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


def _number(seed: Seed) -> int | None:
    return None if isinstance(seed, np.random.Generator) else int(seed)


def _playable(data: Pair, groups: Groups) -> bool:
    """Whether there are two factors to tell apart, each with rows to draw from; warns if not."""
    if len(groups) == 1:
        warn("with one factor there is nothing to tell apart: the score is NaN")
        return False
    empty = [k for k, values in zip(data.kept, groups, strict=True) if not values]
    if empty:
        warn(f"no batch for factor {empty[0]}: too few rows share what is held; use more rows, or fewer factor_bins")
    return not empty


def _voted(empty: Score, data: Pair, guess: Ints, truth: Ints, corrected: bool, matrix: Floats) -> Score:
    """`empty` with the share of guessed factors [n] that were the held ones [n]; matrix [K', L]."""
    right = guess == truth
    chance = 1 / len(data.kept) if corrected else 0.0
    each = np.array([right[truth == k].mean() if (truth == k).any() else np.nan for k in range(len(data.kept))])
    accuracy = float(right.mean())
    return replace(
        empty,
        value=(accuracy - chance) / (1 - chance),
        per_factor=data.rows_by_factor((each - chance) / (1 - chance)),
        matrix=data.rows_by_factor(matrix),
        extra={"accuracy": accuracy},
    )


METRICS = {
    "beta_vae": Metric(
        beta_vae,
        needs=("codes", "factors"),
        summary="how well a linear model of code differences tells which factor two images share",
        citation="Higgins et al. beta-VAE: Learning basic visual concepts with a constrained framework. ICLR 2017",
        conventions={
            "carbonneau": {"batch": 200, "train": 10_000, "evaluate": 5_000, "corrected": True, "factor_bins": 10},
            "locatello": {"batch": 64, "train": 10_000, "evaluate": 5_000, "corrected": False, "factor_bins": None},
        },
        repeats=3,
    ),
    "factor_vae": Metric(
        factor_vae,
        needs=("codes", "factors"),
        summary="how well the latent that varies least tells which factor was held",
        citation="Kim, Mnih. Disentangling by factorising. ICML 2018",
        conventions={
            "carbonneau": {
                "batch": 200,
                "train": 800,
                "evaluate": 800,
                "threshold": 0.05,
                "corrected": True,
                "factor_bins": 10,
            },
            "locatello": {
                "batch": 64,
                "train": 10_000,
                "evaluate": 5_000,
                "threshold": 0.05,
                "corrected": False,
                "factor_bins": None,
            },
        },
        repeats=5,
    ),
    "z_max": Metric(
        z_max,
        needs=("codes", "factors"),
        summary="how well the latent that varies most tells which factor alone was free",
        citation="Kim, Wang, Sahu, Pavlovic. Relevance Factor VAE: Learning and identifying disentangled factors. 2019",
        conventions={
            "carbonneau": {
                "batch": 200,
                "train": 800,
                "evaluate": 800,
                "threshold": 0.05,
                "corrected": True,
                "factor_bins": 3,
                "min_rows": 2,
            },
        },
        repeats=5,
    ),
    "irs": Metric(
        irs,
        needs=("codes", "factors"),
        summary="how little a latent moves while its factor is held and the others change",
        citation="Suter, Miladinovic, Schoelkopf, Bauer. Robustly disentangled causal mechanisms. ICML 2019",
        conventions={
            "carbonneau": {"quantile": 1.0, "factor_bins": 10, "factor_edges": "unit"},
            "locatello": {"quantile": 0.99, "factor_bins": 20, "factor_edges": "range"},
        },
        shuffles=True,
    ),
}
