"""Metrics that predict which factor was fixed, or was not, from the codes of images that share values."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression

from equipoise.errors import InputError
from equipoise.metrics.discretise import Ints
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
    """beta-VAE score: accuracy of a linear model that predicts which factor two images share, from their codes.

    One point is the mean of |z_a - z_b| over `batch` pairs of images. The two images of a pair share the value of one
    factor, and the value is drawn anew for each pair. A multinomial logistic regression (L2 penalty, C = 1) learns the
    factor from `train` points and is scored on `evaluate` new ones. The score saturates early: noise and redundant
    latents leave it at 1, mixing lowers it.

    Args:
        codes: [N, L] floats; the scale of a latent counts unless `standardize`.
        factors: [N, K] labels or floats; values of one row are skipped.
        batch: pairs per point, at least 1.
        train: points to fit, at least 10 K.
        evaluate: points to score, at least 1.
        corrected: map chance to 0, (accuracy - 1/K) / (1 - 1/K).
        factor_bins: cut every factor into this number of unit bins; None cuts only continuous factors, into 10.
        standardize: divide each latent by its standard deviation first.
        seed: an integer or a NumPy generator for the draws.

    Returns:
        A score up to 1, with 0 for chance, NaN for one factor or a factor without a value of two rows. `matrix` is the
        mean |z_a - z_b| of each latent where each factor is shared, `extra` has the raw "accuracy".

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for too few points.

    Source:
        Higgins et al. 2017, beta-VAE, section 3, https://openreview.net/forum?id=Sy2fzU9gl; pairs are drawn as in the
        code of the 2022 review, so that no image is compared with itself.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(500, 2))
        >>> round(beta_vae(factors + 0.0, factors, train=200, evaluate=100).value, 2)
        1.0
    """
    data = pair(codes, factors)
    if batch < 1 or train < 10 * data.size or evaluate < 1:
        raise InputError(
            f"batch = {batch}, train = {train}, evaluate = {evaluate}: expected at least 1, "
            f"{10 * data.size} (ten for each factor) and 1"
        )
    groups = groups_by_value(data, factor_bins)
    if not _has_groups(data, groups):
        return data.score(math.nan)
    rng = np.random.default_rng(seed)
    fixed = rng.integers(len(groups), size=train + evaluate)
    latents = data.codes.T
    if standardize:
        latents = latents / np.where(data.live, latents.std(axis=1), 1)[:, None]
    points = np.empty((train + evaluate, len(latents)))
    for k, values in enumerate(groups):
        points_of_factor = np.flatnonzero(fixed == k)
        one, other = draw_pairs(rng, values, len(points_of_factor) * batch)
        for j, latent in enumerate(latents):
            points[points_of_factor, j] = (
                np.abs(latent[one] - latent[other]).reshape(len(points_of_factor), batch).mean(axis=1)
            )
    with one_thread():
        model = LogisticRegression(C=1.0, max_iter=10_000).fit(points[:train], fixed[:train])
        prediction = model.predict(points[train:])
    distance = np.stack([points[fixed == k].mean(axis=0) for k in range(len(groups))])
    return _accuracy(data, prediction, fixed[train:], corrected, distance, {})


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
    """FactorVAE score: how often the latent that varies least identifies the factor that was fixed.

    One point is `batch` images that share one value of one factor. Its vote goes to the latent with the smallest
    variance, relative to its variance over all rows. Each latent then stands for the factor with most of its `train`
    votes, and the accuracy is that of `evaluate` new votes.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats; values of one row are skipped.
        batch: images per point, at least 2.
        train: votes that assign factors to latents, at least 1.
        evaluate: votes that are scored, at least 1.
        threshold: latents with a smaller standard deviation, on the scale of the codes, are left out, because rounding
            would decide their votes.
        corrected: map chance to 0, (accuracy - 1/K) / (1 - 1/K).
        factor_bins: cut every factor into this number of unit bins; None cuts only continuous factors, into 10.
        seed: an integer or a NumPy generator for the draws.

    Returns:
        A score up to 1, with 0 for chance or if no latent is left, NaN for one factor or a factor without a value of
        two rows. `matrix` counts the training votes, `extra` has the raw "accuracy". Noise scores about 0.09 at
        N = 2,400.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for too few images or votes.

    Source:
        Kim and Mnih 2018, Disentangling by factorising, section 4, https://arxiv.org/abs/1802.05983; batches are drawn
        as in the code of the 2022 review, as slices of permutations, so that those of training and evaluation overlap
        as little as the rows allow.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(500, 2))
        >>> factor_vae(factors + 0.0, factors, batch=20).value
        1.0
    """
    data = pair(codes, factors)
    groups = groups_by_value(data, factor_bins)
    return _by_vote(data, groups, np.argmin, batch, train, evaluate, threshold, corrected, seed)


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
    """Z-max score: how often the latent that varies most identifies the one factor that was not fixed.

    The FactorVAE score with the roles exchanged: the `batch` images of one point share the values of all factors but
    one, and the vote goes to the latent with the largest relative variance. Latents that encode no factor mislead it,
    because they vary fully in every batch: a perfect code with three of them scores 0.25. Other arguments, and errors,
    are those of `factor_vae`; images of a small combination repeat within a batch.

    Args:
        factor_bins: cut every factor into this number of unit bins; with None, few rows share all factors but one. 10
            are enough only for rows that cover the grid of factors.
        min_rows: skip combinations with fewer rows, at least 2, because the variance of few rows is uncertain.

    Returns:
        A score up to 1, with 0 for chance or if no latent is left, NaN for one factor or a factor without a combination
        to draw from. `matrix` and `extra` as in `factor_vae`. Noise scores 0.05 at N = 2,000 and 0.01 at 10,000.

    Source:
        Kim, Wang, Sahu and Pavlovic 2019, Relevance factor VAE, https://arxiv.org/abs/1902.01568; settings and draws of
        the code of the 2022 review.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 3), size=(500, 2))
        >>> z_max(factors + 0.0, factors, batch=20).value
        1.0
    """
    if min_rows < 2:
        raise InputError(f"min_rows = {min_rows}: expected at least 2, for one row has no variance")
    data = pair(codes, factors)
    groups = groups_by_the_others(data, factor_bins, min_rows)
    return _by_vote(data, groups, np.argmax, batch, train, evaluate, threshold, corrected, seed)


def _by_vote(
    data: Pair,
    groups: Groups,
    winner: Callable[..., Ints],
    batch: int,
    train: int,
    evaluate: int,
    threshold: float,
    corrected: bool,
    seed: Seed,
) -> Score:
    """Return the score of votes for the latent that `winner` chooses by relative variance within batches."""
    if batch < 2 or train < 1 or evaluate < 1:
        raise InputError(f"batch = {batch}, train = {train}, evaluate = {evaluate}: expected at least 2, 1 and 1")
    deviation = data.codes.std(axis=0, ddof=1)
    voters = np.flatnonzero(data.live & (deviation >= threshold))
    reason = f"standard deviation below {threshold}"
    left_out = data.constant | {f"latent {j}": reason for j in np.flatnonzero(data.live & (deviation < threshold))}
    if not _has_groups(data, groups):
        return data.score(math.nan, left_out=left_out)
    if not len(voters):
        if data.live.any():
            warn(f"factor_vae and z_max: every latent has a {reason} and is left out, so the score is 0")
        return data.score(0.0, left_out=left_out)
    rng = np.random.default_rng(seed)
    factor_of_point = rng.integers(len(groups), size=train + evaluate)
    ratios = np.empty((train + evaluate, len(voters)))
    latents = data.codes.T[voters] / deviation[voters, None]
    for k, values in enumerate(groups):
        points_of_factor = np.flatnonzero(factor_of_point == k)
        rows = draw_batches(rng, values, len(points_of_factor), batch)
        for j, latent in enumerate(latents):
            # Differences from the first row of a batch are exactly 0 if the latent does not vary, and never cancel.
            drift = latent[rows]
            drift -= drift[:, :1]
            ratios[points_of_factor, j] = np.einsum("nb,nb->n", drift, drift) - drift.sum(axis=1) ** 2 / batch
    vote = winner(ratios, axis=1)
    votes = np.zeros((len(groups), len(deviation)))
    np.add.at(votes, (factor_of_point[:train], voters[vote[:train]]), 1)
    prediction = votes[:, voters].argmax(axis=0)[vote[train:]]
    return _accuracy(data, prediction, factor_of_point[train:], corrected, votes, left_out)


def _has_groups(data: Pair, groups: Groups) -> bool:
    """Return whether there are two factors or more, each with rows to draw from; warn if not."""
    if len(groups) == 1:
        warn("beta_vae, factor_vae and z_max: with one factor there is nothing to tell apart, so the score is NaN")
        return False
    empty = [k for k, values in zip(data.columns, groups, strict=True) if not values]
    if empty:
        warn(
            f"beta_vae, factor_vae and z_max: no batch for factor {empty[0]}: too few rows share the fixed values; use "
            "more rows or fewer factor_bins"
        )
    return not empty


def _accuracy(
    data: Pair, prediction: Ints, truth: Ints, corrected: bool, matrix: Floats, left_out: dict[str, str]
) -> Score:
    """Return the score of predicted factors [n] against the fixed ones [n]; matrix [K', L]."""
    correct = prediction == truth
    chance = 1 / len(data.columns) if corrected else 0.0
    factors = range(len(data.columns))
    each = np.array([correct[truth == k].mean() if (truth == k).any() else np.nan for k in factors])
    accuracy = float(correct.mean())
    return data.score(
        (accuracy - chance) / (1 - chance),
        per_factor=(each - chance) / (1 - chance),
        matrix=matrix,
        left_out=left_out,
        extra={"accuracy": accuracy},
    )


_LOCATELLO = {"batch": 64, "train": 10_000, "evaluate": 5_000, "corrected": False, "factor_bins": None}
_CARBONNEAU_VOTES = {"batch": 200, "train": 800, "evaluate": 800, "threshold": 0.05, "corrected": True}

METRICS = {
    "beta_vae": Metric(
        beta_vae,
        range=(-1.0, 1.0),
        conventions={
            "carbonneau": {"batch": 200, "train": 10_000, "evaluate": 5_000, "corrected": True, "factor_bins": 10},
            "locatello": _LOCATELLO,
        },
        repeats=3,
        is_headline=True,
    ),
    "factor_vae": Metric(
        factor_vae,
        range=(-1.0, 1.0),
        conventions={
            "carbonneau": {**_CARBONNEAU_VOTES, "factor_bins": 10},
            "locatello": {**_LOCATELLO, "threshold": 0.05},
        },
        repeats=5,
        is_headline=True,
    ),
    "z_max": Metric(
        z_max,
        range=(-1.0, 1.0),
        conventions={"carbonneau": {**_CARBONNEAU_VOTES, "factor_bins": 3, "min_rows": 2}},
        repeats=5,
    ),
}
