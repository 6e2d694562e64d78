"""Unsupervised disentanglement ranking: how well models trained from several seeds agree."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from equipoise.errors import InputError
from equipoise.metrics.fit import kl
from equipoise.metrics.inputs import floats, group_codes, matching, warn
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread

_ALPHA = 0.1  # of the lasso, as in the authors' code
_TOLERANCE = 1e-10  # of the lasso: small, so that the order of latents does not matter

FEWEST = 3  # models to choose from by UDR: with two, each would be compared with a single other one


def udr(
    codes: ArrayLike,
    group: Sequence[Any],
    logvar: ArrayLike | None = None,
    *,
    predictor: Literal["lasso", "spearman"] = "lasso",
    threshold: float = 0.01,
    filtered: bool = True,
) -> Score:
    """UDR: how well the latents of a model match, one to one, those of the same model trained from other seeds.

    A matrix of agreement compares the active latents of the model with those of each other model. A row or column of it
    scores max^2 / sum; a pair of models scores the mean of the mean over rows and the mean over columns; the model
    scores the median over the others. No labels are needed. It ranks settings and runs, because a rotated code, which
    another seed rotates differently, does not agree with others.

    Args:
        codes: [N, L] floats.
        group: for each other model, at least one, its codes [N, L'] of the same images, or a tuple of codes and logvar.
        logvar: [N, L], logarithm of the posterior variance; optional.
        predictor: agreement by the absolute coefficients of a "lasso" (alpha 0.1) that predicts the latents of the
            model from those of the other, all standardised, or by the absolute rank correlation, "spearman".
        threshold: a latent is active with a KL to N(0, I) above this number of nats, or, without logvar, with a larger
            variance of its codes. Others are left out.
        filtered: False keeps inactive latents in the means with an agreement of 0, so that they lower the score.

    Returns:
        A score in [0, 1], 0 if no latent is active. The lasso reaches 0.9 at most, because its penalty shrinks perfect
        agreement. `per_latent` is the mean over the other models, `extra` has the score with each as "pairs".

    Raises:
        InputError: for an empty group, models with another number of images, or an unknown predictor.

    Source:
        Duan et al. 2020, Unsupervised model selection for variational disentangled representation learning, section 4,
        https://arxiv.org/abs/1905.12614

    Example:
        >>> codes = np.random.default_rng(0).standard_normal((1000, 3))
        >>> round(udr(codes, [codes[:, ::-1]], predictor="spearman").value, 1)
        1.0
    """
    if predictor not in ("lasso", "spearman"):
        raise InputError(f"predictor = {predictor!r}: expected lasso or spearman")
    mine = floats(codes, "codes")
    logvars = None if logvar is None else matching(logvar, mine, "logvar")
    others = group_codes(group, len(mine))
    if not others:
        raise InputError("group is empty: UDR compares models; pass the codes of at least one other")
    activity, measure = _activity(mine, logvars), "variance" if logvars is None else "KL"
    active = activity > threshold
    if not active.any():
        warn(f"udr: every latent has a {measure} of at most {threshold} and is left out, so the score is 0")
    target = _comparable(mine, active, predictor)
    pairs, parts = [], []
    for other, other_logvar in others:
        other_active = _activity(other, other_logvar) > threshold
        source = _comparable(other, other_active, predictor)
        with one_thread():
            agreement = np.abs(_lasso(source, target) if predictor == "lasso" else source.T @ target / len(target))
        rows, columns = _peaks(agreement.T), _peaks(agreement)
        if filtered:
            rows = rows[other_active]
        pairs.append((_mean(rows) + _mean(columns[active] if filtered else columns)) / 2)
        parts.append(columns)
    return Score(
        value=float(np.median(pairs)),
        n=len(mine),
        per_latent=np.where(active, np.mean(parts, axis=0), np.nan),
        left_out={
            f"latent {j}": f"{measure} {activity[j]:.2g}, not above {threshold}" for j in np.flatnonzero(~active)
        },
        extra={"pairs": pairs},
    )


def _activity(codes: Floats, logvar: Floats | None) -> Floats:
    """Return the KL of each latent in nats, [L], or without logvar the variance of its codes."""
    return np.asarray(codes.var(axis=0) if logvar is None else kl(codes, logvar).per_latent)


def _comparable(codes: Floats, active: Any, predictor: str) -> Floats:
    """Return codes, or their ranks, with mean 0 and variance 1; inactive and constant ones are 0."""
    values = codes if predictor == "lasso" else rankdata(codes, axis=0)
    varied = active & (codes.min(axis=0) != codes.max(axis=0))
    centred = np.where(varied, values - values.mean(axis=0), 0.0)
    standardised: Floats = centred / np.where(varied, values.std(axis=0), 1.0)
    return standardised


def _lasso(source: Floats, target: Floats) -> Floats:
    """Return the coefficients [L', L] of the lasso of each latent of the target on the latents of the source."""
    model = Lasso(_ALPHA, fit_intercept=False, precompute=True, tol=_TOLERANCE, max_iter=10_000, random_state=0)
    return np.stack([model.fit(source, latent).coef_ for latent in target.T], axis=1)


def _peaks(agreement: Floats) -> Floats:
    """Return max^2 / sum of each column; 0 for a column of zeros."""
    total = agreement.sum(axis=0)
    peaks: Floats = agreement.max(axis=0) ** 2 / np.where(total > 0, total, 1)
    return peaks


def _mean(values: Floats) -> float:
    """Return the mean, 0 for no values."""
    return float(values.mean()) if len(values) else 0.0


METRICS = {"udr": Metric(udr, range=(0.0, 1.0))}
