"""Metrics of how well the codes predict the factors."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from equipoise.metrics.discretise import Ints, factor_labels, gap
from equipoise.metrics.inputs import pair
from equipoise.metrics.logistic import ROWS, log_sigmoid, one_vs_rest
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread


def sap(codes: ArrayLike, factors: ArrayLike, *, min_variance: float = 0.0) -> Score:
    """Separated attribute predictability by regression, in [0, 1]: is a factor a line in one latent, and in no other?

    Mean over factors of the gap between the two largest R^2 of a straight line from one latent to the factor, which
    is the squared correlation. Factors are taken as numbers: the R^2 of nominal labels such as a shape depends on
    their order.

    codes: [N, L]; factors: [N, K]. Latents with a variance below `min_variance` predict nothing; constant ones never
    do. The matrix is R^2.

    Source: Kumar et al. 2018, section 3, https://arxiv.org/abs/1711.00848; regression as in the 2022 review's code,
    the published score predicts by a linear support vector machine and reaches 0.17 for a perfect code of dSprites.
    """
    data = pair(codes, factors)
    latents, targets = _standardised(data.codes.T), _standardised(data.factors.T.astype(np.float64))
    with one_thread():
        r2 = np.minimum((targets @ latents.T) ** 2, 1.0)
    with np.errstate(over="ignore"):  # an infinite variance is above any threshold
        still = data.codes.var(axis=0) < min_variance
    r2[:, ~data.live | still] = 0
    gaps = gap(r2)
    return Score(
        value=float(gaps.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(gaps),
        matrix=data.rows_by_factor(r2),
        left_out=data.left_out,
        params={"min_variance": min_variance},
    )


def _standardised(rows: Floats) -> Floats:
    """Rows of mean 0 and norm 1, a constant one 0; scaled to its range first, so that no square overflows."""
    spread = np.ptp(rows, axis=1, keepdims=True)
    rows = (rows - rows[:, :1]) / np.where(spread > 0, spread, 1)
    rows -= rows.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("ln,ln->l", rows, rows))[:, None]
    rows /= np.where(spread > 0, norm, 1)
    return rows


def explicitness(codes: ArrayLike, factors: ArrayLike, *, factor_bins: int | None = None) -> Score:
    """Explicitness, in [0, 1]: can a linear model of all latents rank the images by each value of each factor?

    One logistic regression for each value (one against the rest, both sides of equal weight, L2 penalty with C = 1,
    codes scaled to [0, 1]); its probabilities are divided by their sum over the values of the factor, without which
    the middle values of an ordered factor could not be ranked; area under the ROC curve on the same rows; mean over
    values, then over factors, as (AUC - 0.5) * 2. A perfect code stays below 1 (0.91 for 2,400 images of dSprites),
    a random one above 0 (0.05 at N = 10,000), and rotations hardly matter.

    codes: [N, L]; factors: [N, K]; `factor_bins` cuts every factor into unit bins first, without it continuous
    factors alone are cut, into 10. No matrix.

    Source: Ridgeway and Mozer 2018, https://arxiv.org/abs/1802.05312, with the model of the 2022 review's code. That
    one stops its fits early; ours converge, which moves the score by about 1e-5.
    """
    data = pair(codes, factors)
    latents = data.codes.T
    spread = np.ptp(latents, axis=1, keepdims=True)
    scaled = (latents - latents.min(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    design = np.vstack([scaled, np.ones(len(data.codes))])
    with one_thread():
        areas = np.array([_mean_auc(design, *labels) for labels in factor_labels(data, factor_bins)])
    scores = (areas - 0.5) * 2
    return Score(
        value=float(scores.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(scores),
        left_out=data.left_out,
        params={"factor_bins": factor_bins},
    )


def _mean_auc(design: Floats, labels: Ints, values: int) -> float:
    """Mean area under the ROC curve over the values of one factor; design [L + 1, N] ends with the intercept's row."""
    theta = one_vs_rest(design, labels, values)
    total = np.concatenate(
        [
            np.exp(log_sigmoid(theta @ design[:, start : start + ROWS])).sum(axis=0)
            for start in range(0, len(labels), ROWS)
        ]
    )
    areas = []
    for value in range(values):
        # Rows of equal codes have equal probabilities but for the last bits, which are no order: rounding ties them.
        share = np.round(log_sigmoid(theta[value] @ design) - np.log(total), 10)
        areas.append(_auc(share, labels == value))
    return float(np.mean(areas))


def _auc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by mid-ranks; scores [N], positive [N]."""
    ordered, ours = np.sort(scores), np.sort(scores[positive])
    ranks = (np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right") + 1) / 2
    hits, misses = len(ours), len(scores) - len(ours)
    return float((ranks.sum() - hits * (hits + 1) / 2) / (hits * misses))


METRICS = {
    "sap": Metric(
        sap,
        needs=("codes", "factors"),
        summary="how much better the best latent predicts each factor than the second best",
        citation="Kumar, Sattigeri, Balakrishnan. Variational inference of disentangled latent concepts. ICLR 2018",
        conventions={"carbonneau": {"min_variance": 0.0}},
    ),
    "explicitness": Metric(
        explicitness,
        needs=("codes", "factors"),
        summary="how well a linear model of all latents ranks the images by each value of each factor",
        citation="Ridgeway, Mozer. Learning deep disentangled embeddings with the F-statistic loss. NeurIPS 2018",
        conventions={"carbonneau": {"factor_bins": 10}},
        shuffles=True,
    ),
}
