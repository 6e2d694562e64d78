"""Metrics of how well the codes predict the factors."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from equipoise.errors import InputError
from equipoise.metrics.accuracy import svc_accuracy, tree_accuracy
from equipoise.metrics.discretise import Ints, factor_labels, fitted_rows, gap
from equipoise.metrics.inputs import Pair, pair, scaled
from equipoise.metrics.logistic import one_against_rest
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread

_LEAST = 1e-30  # of odds, so that they are finite in float32


def sap(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    predictor: Literal["regression", "svc", "tree"] = "regression",
    min_variance: float = 0.0,
    cost: float = 0.01,
    factor_bins: int | None = None,
) -> Score:
    """Separated attribute predictability: how much better the best latent predicts a factor than the second best.

    The gap between the two latents is averaged over factors.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats.
        predictor: what measures the prediction from one latent:

            - "regression": R^2 of a straight line, the squared correlation. Factors count as numbers, so the R^2 of
              categories such as shape depends on their order.
            - "svc": accuracy of a balanced linear support vector machine, fitted to the first two thirds of the rows
              and scored on the rest, as in the study of Locatello et al. It cannot separate the middle values of an
              ordered factor, so perfect codes of 2,400 images of dSprites reach 0.17 if they are standardised, and 0.33
              to 0.37 if they are the labels: it depends on the scale of the codes.
            - "tree": accuracy on its own rows of a decision tree on codes scaled to [0, 1], its depth (1 to 9) chosen
              by 10-fold cross-validation; the classification of the 2022 review's code.
        min_variance: regression only: a latent with a smaller variance predicts nothing. A constant one never does.
        cost: the C of the support vector machine, above 0.
        factor_bins: not for regression: cut every factor into this number of unit bins; None cuts only continuous
            factors, into 10.

    Returns:
        A score in [0, 1]; `matrix` is R^2 or accuracy. 1 for perfect codes by regression.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for parameters out of range.

    Source:
        Kumar et al. 2018, Variational inference of disentangled latent concepts, section 3,
        https://arxiv.org/abs/1711.00848. Their predictor is "svc"; the default is that of the 2022 review's code, which
        can reach 1.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(sap(factors + 0.0, factors).value, 1)
        1.0
    """
    if cost <= 0:
        raise InputError(f"cost = {cost}: expected above 0")
    data = pair(codes, factors)
    if predictor == "regression":
        predicted = _squared_correlation(data, min_variance)
    else:
        labels = [label for label, _ in factor_labels(data, factor_bins)]
        if predictor == "svc":
            train = fitted_rows(data)
            rows = [[svc_accuracy(latent, label, train, cost) for latent in data.codes.T] for label in labels]
        else:
            rows = [[tree_accuracy(latent, label) for latent in scaled(data.codes).T] for label in labels]
        predicted = np.array(rows)
    gaps = gap(predicted)
    return data.score(gaps.mean(), per_factor=gaps, matrix=predicted)


def _squared_correlation(data: Pair, min_variance: float) -> Floats:
    """Return R^2 of a straight line from each latent to each used factor, [K', L]."""
    latents, targets = _standardised(data.codes.T), _standardised(data.factors.T.astype(np.float64))
    with one_thread():
        r2: Floats = np.minimum((targets @ latents.T) ** 2, 1.0)
    with np.errstate(over="ignore"):  # an infinite variance is above any threshold
        still = data.codes.var(axis=0) < min_variance
    r2[:, ~data.live | still] = 0
    return r2


def _standardised(rows: Floats) -> Floats:
    """Return rows with mean 0 and norm 1, a constant one as 0; they are scaled first, so that no square overflows."""
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
    """Explicitness: how well a linear model of all latents ranks the images by each value of each factor.

    The area under the ROC curve of the probability of each value is averaged over values, then over factors. The
    probabilities come from logistic regressions with an L2 penalty, C = 1. Rotations of the codes hardly matter.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats.
        model: the regressions of a factor:

            - "one-vs-rest": one for each value against all others, balanced, on codes scaled to [0, 1], fitted to the
              rows that are scored. The probabilities are divided by their sum over the values of the factor; otherwise
              the middle values of an ordered factor could not be ranked.
            - "independent": without that division, the second model of the 2022 review's code.
            - "multinomial": one for all values, fitted to the first two thirds of the rows and scored on the rest. The
              codes are standardised, constant latents and values that only one of the two parts has are left out.
        corrected: map chance to 0, (AUC - 0.5) * 2.
        factor_bins: cut every factor into this number of unit bins; None cuts only continuous factors, into 10.

    Returns:
        A score up to 1, with 0 for chance. There is no matrix; for "multinomial", `extra` has the score of the fitted
        rows as "train". Perfect codes stay below 1 (0.88 for 2,400 images of dSprites, 0.58 for "independent"), noise
        is above 0 (with the factors of dSprites at N = 10,000, 0.05 for 5 latents and 0.08 for 10).

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for an unknown model.

    Source:
        Ridgeway and Mozer 2018, Learning deep disentangled embeddings with the F-statistic loss,
        https://arxiv.org/abs/1802.05312. The first two models are those of the 2022 review's code, which stops its fits
        early; these converge, which changes the score by about 1e-5. The third is that of Locatello et al. 2019, who do
        not correct.

    Example:
        >>> factors = np.random.default_rng(0).integers((2, 3), size=(1000, 2))
        >>> round(explicitness(factors + 0.0, factors).value, 2)
        1.0
    """
    data = pair(codes, factors)
    labelled = factor_labels(data, factor_bins)
    with one_thread():
        if model == "multinomial":
            count = fitted_rows(data)
            areas, train = np.array([_split_areas(data, labels, count) for labels, _ in labelled]).T
        else:
            latents = scaled(data.codes)
            areas = np.array([_mean_area(latents, *each, shared=model == "one-vs-rest") for each in labelled])
            train = areas
    if corrected:
        areas, train = (areas - 0.5) * 2, (train - 0.5) * 2
    return data.score(
        areas.mean(),
        per_factor=areas,
        left_out=data.constant if model == "multinomial" else {},
        extra={"train": float(train.mean())} if model == "multinomial" else {},
    )


def _mean_area(latents: Floats, labels: Ints, values: int, *, shared: bool) -> float:
    """Return the mean area under the ROC curve over the values of one factor; latents [N, L], labels [N].

    shared: divide the probabilities of each row by their sum.
    """
    scores = one_against_rest(latents, labels, values)
    if shared:
        chance = expit(scores)
        scores = chance / np.maximum(chance.sum(axis=0) - chance, _LEAST)  # the odds, in the same order
    return float(np.mean([_area(score, labels == value) for value, score in enumerate(scores)]))


def _split_areas(data: Pair, labels: Ints, train: int) -> tuple[float, float]:
    """Return the mean areas of a multinomial regression that is fitted to the first `train` rows: for the others, and
    for these.

    It is 0.5, as for chance, if no value has training rows and both itself and another among the rows to rank.
    """
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
    """Return the area under the ROC curve by mid-ranks; scores [N], positive [N]."""
    # Rows with equal codes have equal probabilities up to the last bits, which must not order them.
    scores = scores.astype(np.float32)
    ordered, ours = np.sort(scores), np.sort(scores[positive])
    ranks = (np.searchsorted(ordered, ours, "left") + np.searchsorted(ordered, ours, "right") + 1) / 2
    hits, misses = len(ours), len(scores) - len(ours)
    return float((ranks.sum() - hits * (hits + 1) / 2) / (hits * misses))


METRICS = {
    "sap": Metric(
        sap,
        range=(0.0, 1.0),
        conventions={
            "carbonneau": {"predictor": "regression", "min_variance": 0.0},
            "locatello": {"predictor": "svc", "cost": 0.01, "factor_bins": None},
        },
        is_headline=True,
    ),
    "explicitness": Metric(
        explicitness,
        range=(-1.0, 1.0),
        conventions={
            "carbonneau": {"model": "one-vs-rest", "corrected": True, "factor_bins": 10},
            "locatello": {"model": "multinomial", "corrected": False, "factor_bins": None},
        },
        has_baseline=True,
        is_headline=True,
    ),
}
