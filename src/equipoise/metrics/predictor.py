"""Metrics of how well the codes predict the factors."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

from equipoise.errors import InputError
from equipoise.metrics.accuracy import svc_accuracy, tree_accuracy
from equipoise.metrics.discretise import Ints, factor_labels, gap
from equipoise.metrics.inputs import Pair, pair
from equipoise.metrics.logistic import ROWS, log_sigmoid, one_vs_rest
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread


def sap(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    predictor: Literal["regression", "svc", "tree"] = "regression",
    min_variance: float = 0.0,
    cost: float = 0.01,
    factor_bins: int | None = None,
) -> Score:
    """Separated attribute predictability, in [0, 1]: does one latent alone predict each factor, and no other latent?

    Mean over factors of the gap between the two latents that predict it best, which `predictor` measures by

    - "regression": R^2 of a straight line, the squared correlation; 1 for a perfect code. Factors are taken as
      numbers: the R^2 of nominal labels such as a shape depends on their order.
    - "svc": accuracy of a balanced linear support vector machine of this `cost`, fitted to the first two thirds of
      the rows and scored on the rest, as in the study of Locatello et al. It cannot tell the middle values of an
      ordered factor: a perfect code of dSprites reaches 0.17. It depends on the scale of the codes.
    - "tree": accuracy on its own rows of a decision tree on codes scaled to [0, 1], its depth (1 to 9) chosen by
      10-fold cross-validation, the classification of the 2022 review's code.

    codes: [N, L]; factors: [N, K]. Regression: latents with a variance below `min_variance` predict nothing; constant
    ones never do. The others: `factor_bins` cuts every factor into unit bins first, without it continuous factors
    alone are cut, into 10; a constant latent has the accuracy of a fixed guess. The matrix is R^2 or accuracy.

    Source: Kumar et al. 2018, section 3, https://arxiv.org/abs/1711.00848, whose predictor is the "svc"; the default
    is that of the 2022 review's code, for its ceiling of 1.
    """
    if predictor not in ("regression", "svc", "tree") or cost <= 0:
        raise InputError(f"predictor = {predictor!r}, cost = {cost}: expected regression, svc or tree, and above 0")
    data = pair(codes, factors)
    if predictor == "regression":
        predicted = _squared_correlation(data, min_variance)
    else:
        labels = [label for label, _ in factor_labels(data, factor_bins)]
        if predictor == "svc":
            train = 2 * len(data.codes) // 3
            rows = [[svc_accuracy(latent, label, train, cost) for latent in data.codes.T] for label in labels]
        else:
            rows = [[tree_accuracy(latent, label) for latent in _scaled(data.codes.T)] for label in labels]
        predicted = np.array(rows)
    gaps = gap(predicted)
    return Score(
        value=float(gaps.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(gaps),
        matrix=data.rows_by_factor(predicted),
        left_out=data.left_out,
        params={"predictor": predictor, "min_variance": min_variance, "cost": cost, "factor_bins": factor_bins},
    )


def _squared_correlation(data: Pair, min_variance: float) -> Floats:
    """R^2 of a straight line from each latent to each kept factor, [K', L]."""
    latents, targets = _standardised(data.codes.T), _standardised(data.factors.T.astype(np.float64))
    with one_thread():
        r2: Floats = np.minimum((targets @ latents.T) ** 2, 1.0)
    with np.errstate(over="ignore"):  # an infinite variance is above any threshold
        still = data.codes.var(axis=0) < min_variance
    r2[:, ~data.live | still] = 0
    return r2


def _scaled(rows: Floats) -> Floats:
    """Rows scaled to [0, 1], a constant one 0."""
    spread = np.ptp(rows, axis=1, keepdims=True)
    scaled: Floats = (rows - rows.min(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    return scaled


def _standardised(rows: Floats) -> Floats:
    """Rows of mean 0 and norm 1, a constant one 0; scaled to its range first, so that no square overflows."""
    spread = np.ptp(rows, axis=1, keepdims=True)
    rows = (rows - rows[:, :1]) / np.where(spread > 0, spread, 1)
    rows -= rows.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("ln,ln->l", rows, rows))[:, None]
    rows /= np.where(spread > 0, norm, 1)
    return rows


def explicitness(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    model: Literal["one-vs-rest", "independent", "multinomial"] = "one-vs-rest",
    corrected: bool = True,
    factor_bins: int | None = None,
) -> Score:
    """Explicitness, in [0, 1]: can a linear model of all latents rank the images by each value of each factor?

    Area under the ROC curve of the probability of each value; mean over values, then over factors, as
    (AUC - 0.5) * 2 unless not `corrected`. The probabilities come from logistic regressions with an L2 penalty, C = 1,
    which `model` names:

    - "one-vs-rest": one regression for each value against the rest, both sides of equal weight, codes scaled to
      [0, 1], on the rows that are scored; the probabilities are divided by their sum over the values of the factor,
      without which the middle values of an ordered factor could not be ranked. A perfect code stays below 1 (0.91
      for 2,400 images of dSprites), a random one above 0 (0.05 at N = 10,000), and rotations hardly matter.
    - "independent": without that division (0.58 for the same perfect code); the second way of the 2022 review's code.
    - "multinomial": one regression for all values, unweighted, fitted to the first two thirds of the rows, by whose
      mean and deviation the codes are standardised, and scored on the rest; constant latents are left out. Values
      that only one of the two parts has are not scored. `extra` has the same of the rows fitted, as "train".

    codes: [N, L]; factors: [N, K]; `factor_bins` cuts every factor into unit bins first, without it continuous
    factors alone are cut, into 10. No matrix.

    Source: Ridgeway and Mozer 2018, https://arxiv.org/abs/1802.05312. The first two models are those of the 2022
    review's code, which stops its fits early; ours converge, which moves the score by about 1e-5. The third is that
    of Locatello et al. 2019, there not `corrected`.
    """
    if model not in ("one-vs-rest", "independent", "multinomial"):
        raise InputError(f"model {model!r}: expected one-vs-rest, independent or multinomial")
    data = pair(codes, factors)
    labelled = factor_labels(data, factor_bins)
    with one_thread():
        if model == "multinomial":
            areas, train = np.array([_split_areas(data, labels) for labels, _ in labelled]).T
        else:
            design = np.vstack([_scaled(data.codes.T), np.ones(len(data.codes))])
            areas = np.array([_mean_area(design, *labels, shared=model == "one-vs-rest") for labels in labelled])
            train = areas
    scores = (areas - 0.5) * 2 if corrected else areas
    return Score(
        value=float(scores.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(scores),
        left_out=data.left_out | (data.constant if model == "multinomial" else {}),
        params={"model": model, "corrected": corrected, "factor_bins": factor_bins},
        extra={"train": float(((train - 0.5) * 2 if corrected else train).mean())} if model == "multinomial" else {},
    )


def _mean_area(design: Floats, labels: Ints, values: int, *, shared: bool) -> float:
    """Mean area under the ROC curve over the values of one factor; design [L + 1, N] ends with the intercept's row.

    shared: probabilities of one row are divided by their sum.
    """
    theta = one_vs_rest(design, labels, values)
    logarithm: Floats | float = 0.0
    if shared:
        blocks = [design[:, start : start + ROWS] for start in range(0, len(labels), ROWS)]
        logarithm = np.log(np.concatenate([np.exp(log_sigmoid(theta @ block)).sum(axis=0) for block in blocks]))
    return float(
        np.mean([_area(log_sigmoid(theta[value] @ design) - logarithm, labels == value) for value in range(values)])
    )


def _split_areas(data: Pair, labels: Ints) -> tuple[float, float]:
    """Mean areas under the ROC curve of a multinomial regression on the rows it was not and on those it was fitted to.

    One half, as by chance, where no value has rows of training and, in the rows to rank, both itself and another.
    """
    train = 2 * len(labels) // 3
    latents = data.codes[:, data.live]
    middle, deviation = latents[:train].mean(axis=0), latents[:train].std(axis=0)
    moved = np.ptp(latents[:train], axis=0) > 0
    latents = (latents[:, moved] - middle[moved]) / deviation[moved]
    if not moved.any() or (labels[:train] == labels[0]).all():
        return 0.5, 0.5
    fit = LogisticRegression(C=1.0, max_iter=10_000).fit(latents[:train], labels[:train])
    chances = fit.predict_log_proba(latents)

    def mean(rows: slice) -> float:
        hits = [(chances[rows, i], labels[rows] == value) for i, value in enumerate(fit.classes_)]
        areas = [_area(chance, hit) for chance, hit in hits if hit.any() and not hit.all()]
        return float(np.mean(areas)) if areas else 0.5

    return mean(slice(train, None)), mean(slice(train))


def _area(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by mid-ranks; scores [N], positive [N]."""
    # Rows of equal codes have equal probabilities but for the last bits, which are no order: rounding ties them.
    scores = np.round(scores, 10)
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
        conventions={
            "carbonneau": {"predictor": "regression", "min_variance": 0.0},
            "locatello": {"predictor": "svc", "cost": 0.01, "factor_bins": None},
        },
    ),
    "explicitness": Metric(
        explicitness,
        needs=("codes", "factors"),
        summary="how well a linear model of all latents ranks the images by each value of each factor",
        citation="Ridgeway, Mozer. Learning deep disentangled embeddings with the F-statistic loss. NeurIPS 2018",
        conventions={
            "carbonneau": {"model": "one-vs-rest", "corrected": True, "factor_bins": 10},
            "locatello": {"model": "multinomial", "corrected": False, "factor_bins": None},
        },
        shuffles=True,
    ),
}
