"""Unsupervised disentanglement ranking: models of one kind that found the same latents found those of the data."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from equipoise.errors import InputError
from equipoise.metrics.fit import kl
from equipoise.metrics.inputs import group_codes, matching, matrix, warn
from equipoise.metrics.lasso import lasso
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread

_ALPHA = 0.1  # of the lasso, as the authors have it
_TOLERANCE = 1e-10  # of the lasso: exact, so that the order of latents does not count

FEWEST = 3  # models to choose among by their UDR: of two, each would be judged by a single other one


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

    Between the informative latents of the model and those of each other one stands a matrix of agreement: the size of
    the coefficients of a lasso (alpha 0.1) that predicts the model's latents from the other's, all standardised, or
    the size of Spearman's correlation. A row or column scores max^2 / sum; a pair of models the mean of the mean over
    rows and the mean over columns; the model the median over the others. It needs no labels, and ranks settings and
    runs: a rotated code, which another seed turns otherwise, agrees with nothing.

    In [0, 1], but not normalised: with the lasso 0.9 at best, for its penalty shrinks what agrees fully. `extra` has
    the score with each other model, as `pairs`; `per_latent` is a latent's part, mean over the others.

    codes: [N, L] on the same N images for all models; group: for each of the other models, one at least, its codes
    [N, L'] or a pair of codes and logvar, [N, L'] each; logvar: [N, L]. A latent is informative with a KL to N(0, I)
    above `threshold` nats, and, where the logvar is not known, with a variance of its codes above it. All others are
    left out, and with none left the score is 0. With `filtered` False they stay in the means, as agreeing with
    nothing, and collapsed latents lower the score. The lasso looks one way: the model is predicted, not the others.

    Source: Duan et al. 2020, section 4, https://arxiv.org/abs/1905.12614
    """
    if predictor not in ("lasso", "spearman"):
        raise InputError(f"predictor = {predictor!r}: expected lasso or spearman")
    mine = matrix(codes, "codes").astype(np.float64, copy=False)
    logvars = None if logvar is None else matching(logvar, mine, "logvar")
    others = group_codes(group, len(mine))
    if not others:
        raise InputError("group is empty: UDR compares models; pass the codes of at least one other")
    told = _told(mine, logvars)
    in_use = told > threshold
    if not in_use.any():
        warn(f"every latent has a {_name(logvars)} of at most {threshold} and is left out: the score is 0")
    target = _comparable(mine, in_use, predictor)
    pairs, parts = [], []
    for other, other_logvar in others:
        others_in_use = _told(other, other_logvar) > threshold
        source = _comparable(other, others_in_use, predictor)
        with one_thread():
            agreement = np.abs(_lasso(source, target) if predictor == "lasso" else source.T @ target / len(target))
        rows, columns = _peaks(agreement.T), _peaks(agreement)
        if filtered:
            rows = rows[others_in_use]
        pairs.append((_mean(rows) + _mean(columns[in_use] if filtered else columns)) / 2)
        parts.append(columns)
    return Score(
        value=float(np.median(pairs)),
        n=len(mine),
        per_latent=np.where(in_use, np.mean(parts, axis=0), np.nan),
        left_out={
            f"latent {j}": f"{_name(logvars)} {told[j]:.2g}, not above {threshold}" for j in np.flatnonzero(~in_use)
        },
        params={"predictor": predictor, "threshold": threshold, "filtered": filtered},
        extra={"pairs": pairs},
    )


def _told(codes: Floats, logvar: Floats | None) -> Floats:
    """KL of each latent in nats [L], or, without a posterior, the variance of its codes."""
    return np.asarray(codes.var(axis=0) if logvar is None else kl(codes, logvar).per_latent)


def _name(logvar: Floats | None) -> str:
    return "variance" if logvar is None else "KL"


def _comparable(codes: Floats, in_use: Any, predictor: str) -> Floats:
    """Codes, or their ranks, with mean 0 and variance 1; those not in use, and constant ones, are 0."""
    values = codes if predictor == "lasso" else rankdata(codes, axis=0)
    varied = in_use & (codes.min(axis=0) != codes.max(axis=0))
    centred = np.where(varied, values - values.mean(axis=0), 0.0)
    standardised: Floats = centred / np.where(varied, values.std(axis=0), 1.0)
    return standardised


def _lasso(source: Floats, target: Floats) -> Floats:
    """Coefficients [L', L] of the lasso of each latent of the target on the latents of the source."""
    rows, targets = target.shape
    products, towards, squares = source.T @ source, source.T @ target, (target * target).sum(axis=0)
    return lasso(products / rows, towards / rows, squares / rows, np.full(targets, _ALPHA), _TOLERANCE)


def _peaks(agreement: Floats) -> Floats:
    """max^2 / sum of each column: the largest entry, times its share of all; 0 for a column of zeros."""
    total = agreement.sum(axis=0)
    peaks: Floats = agreement.max(axis=0) ** 2 / np.where(total > 0, total, 1)
    return peaks


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else 0.0


METRICS = {
    "udr": Metric(
        udr,
        needs=("codes", "group"),
        uses=("logvar",),
        summary="how well the latents of models trained from several seeds match, without labels",
        citation="Duan et al. Unsupervised model selection for variational disentangled representation learning. "
        "ICLR 2020",
    ),
}
