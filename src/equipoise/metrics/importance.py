"""Importance of each latent for predicting each factor: what the predictors of DCI share, and its three scores."""

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, pearsonr
from sklearn.metrics import r2_score, recall_score

from equipoise import progress
from equipoise.errors import InputError
from equipoise.metrics.chance import chance_of_codes, check_level
from equipoise.metrics.discretise import encoded, fitted_rows, is_continuous, warn_of_many
from equipoise.metrics.inputs import Pair, warn
from equipoise.metrics.result import Floats, Score

FOLDS = 10  # of consecutive rows, in which the code of the 2022 review cross-validates

_UNIFORM = 12  # 1 / variance of a uniform variable on [0, 1], which the review's code takes a factor to be

Fit = Callable[[int, Callable[[int], None]], tuple[Floats, Floats]]  # factor, progress -> importance, prediction


@dataclass(frozen=True)
class Importance:
    """The result of one kind of predictor for all used factors.

    Attributes:
        matrix: [K', L], importance of each latent for each factor, 0 or more. A row of trees sums to 1, a row of the
            lasso contains absolute coefficients.
        quality: [K'], how well each factor is predicted, in [0, 1].
        chance: [K'], probability of so good a prediction from codes that have no information about the factor.
        baseline: mean quality of a prediction without codes.
        measures: name -> [K'], further measures of the prediction.
    """

    matrix: Floats
    quality: Floats
    chance: Floats
    baseline: float
    measures: Mapping[str, Floats] = field(default_factory=dict)


def disentanglement(data: Pair, fitted: Importance, level: float, strict: bool) -> Score:
    """Return the disentanglement of an importance matrix."""
    matrix, is_undefined = _of_predicted(data, fitted, level)
    weight = matrix.sum(axis=0)
    if strict and not weight.all():
        weight = np.where(np.arange(len(weight)) < np.argmin(weight > 0), weight, 0.0)
    if len(data.columns) == 1:
        warn("DCI disentanglement: with one factor there is nothing to tell apart")
    if len(data.columns) == 1 or is_undefined:
        scores, value = np.full(len(weight), np.nan), math.nan
    else:
        scores = np.where(weight > 0, _concentration(matrix.T), 0.0)
        value = min(float(scores @ weight / weight.sum()), 1.0) if weight.any() else 0.0  # rounding may exceed 1
    parts = np.where(data.live, scores, np.nan)
    return data.score(value, per_latent=parts, matrix=matrix, left_out=data.constant)


def completeness(data: Pair, fitted: Importance, level: float) -> Score:
    """Return the completeness of an importance matrix."""
    matrix, is_undefined = _of_predicted(data, fitted, level)
    if matrix.shape[1] == 1:
        warn("DCI completeness: with one latent there is nothing to tell apart")
    scores = np.full(len(data.columns), np.nan) if matrix.shape[1] == 1 or is_undefined else _concentration(matrix)
    return data.score(scores.mean(), per_factor=scores, matrix=matrix)


def _of_predicted(data: Pair, fitted: Importance, level: float) -> tuple[Floats, bool]:
    """Return the importance [K', L], set to 0 for factors that are not predicted, and whether no factor is predicted.

    Importance that arises by chance would otherwise count, and score higher the fewer latents have it.
    """
    check_level(level)
    is_predicted = fitted.chance <= level
    is_undefined = bool(data.live.any()) and not is_predicted.any()
    if is_undefined:
        warn("no factor is predicted better than by chance: disentanglement and completeness are undefined (NaN)")
    return np.where(is_predicted[:, None], fitted.matrix, 0.0), is_undefined


def informativeness(data: Pair, fitted: Importance) -> Score:
    """Return the mean quality of the predictions, with the means of the further measures."""
    measures = {name: float(values.mean()) for name, values in fitted.measures.items()}
    score = data.score(fitted.quality.mean(), per_factor=fitted.quality, matrix=fitted.matrix, extra=measures)
    return replace(score, baseline=fitted.baseline)


def _concentration(rows: Floats) -> Floats:
    """Return 1 minus the entropy of each normalised row in base of its length: 1 for one entry, 0 for equal ones."""
    total = rows.sum(axis=1, keepdims=True)
    normalised = np.divide(rows, total, out=np.full_like(rows, 1 / rows.shape[1]), where=total > 0)
    nats = -(normalised * np.log(np.where(normalised > 0, normalised, 1))).sum(axis=1)
    concentration: Floats = np.where(total[:, 0] > 0, np.clip(1 - nats / math.log(rows.shape[1]), 0.0, 1.0), 0.0)
    return concentration


def regressed(matrix: Floats, prediction: Floats, y: Floats, chance: Floats) -> Importance:
    """Return the importance with the quality of predictions [N, K'] of y in [0, 1] on the fitted rows."""
    error, variance = ((prediction - y) ** 2).mean(axis=0), y.var(axis=0)
    quality, of_means = np.maximum(0.0, 1 - _UNIFORM * np.array([error, variance]))
    measures = {"r2": 1 - error / variance, "nrmse": np.sqrt(error / variance)}
    return Importance(matrix, quality, chance, float(of_means.mean()), measures)


def boosted(
    data: Pair, fit: Callable[..., tuple[Any, Floats]], stages: int, text: str, workers: int | None = None
) -> Importance:
    """Return the importance by trees fitted to the first two thirds of the rows and scored on the rest.

    fit: (codes, factor, whether it is continuous, progress in stages) -> model and importance [L].
    """
    z, train = data.codes, fitted_rows(data)
    targets, continuous, sizes = [], [], []  # of each factor: labels or values, whether continuous, trees per stage
    for k, column in zip(data.columns, data.factors.T, strict=True):
        labels, values = encoded(column)
        continuous.append(is_continuous(column, values))
        if not continuous[-1]:
            warn_of_many(int(k), values, len(column))
        targets.append(column if continuous[-1] else labels)
        sizes.append(1 if continuous[-1] or values == 2 else values)

    def fit_factor(k: int, advance: Callable[[int], None]) -> tuple[Floats, Floats]:
        y = targets[k]
        if (y[:train] == y[0]).all():
            return np.zeros(z.shape[1]), np.full(len(y), y[0])
        model, importance = fit(z[:train], y[:train], continuous[k], lambda count: advance(count * sizes[k]))
        return importance, model.predict(z)

    parts = side_by_side(fit_factor, [size * stages for size in sizes], text, workers)
    measures = [_quality(y, part[1], train, smooth) for y, part, smooth in zip(targets, parts, continuous, strict=True)]
    quality, chance, *others = np.array(measures).T
    matrix = np.stack([importance for importance, _ in parts])
    return Importance(
        matrix,
        quality,
        np.minimum(chance, chance_of_codes(data)),
        float(others[-1].mean()),
        dict(zip(("train", "balanced", "majority"), others, strict=True)),
    )


def _quality(y: NDArray[Any], prediction: NDArray[Any], train: int, smooth: bool) -> tuple[float, ...]:
    """Return the quality of predictions [N] of a factor on the rows after the first `train`, and further measures.

    For a label: accuracy, the probability of so many hits by the most common value, accuracy on the training rows, mean
    accuracy over values, frequency of the most common value. For a continuous factor R^2, at least 0, takes the place
    of the accuracies, the probability is that of the correlation, and the last is 0.
    """
    fitted_to, scored = slice(train), slice(train, None)
    if smooth:
        r2, fitted = (max(0.0, r2_score(y[rows], prediction[rows])) for rows in (scored, fitted_to))
        varies = np.ptp(prediction[scored]) > 0
        chance = pearsonr(y[scored], prediction[scored], alternative="greater").pvalue if varies else 1.0
        return r2, chance, fitted, r2, 0.0
    correct = prediction == y
    targets = y[scored]
    balanced = recall_score(targets, prediction[scored], labels=np.unique(targets), average="macro")
    majority = np.bincount(targets).max() / len(targets)
    chance = binom.sf(correct[scored].sum() - 1, len(targets), majority)
    return correct[scored].mean(), chance, correct[fitted_to].mean(), balanced, majority


def side_by_side(fit: Fit, steps: Sequence[int], text: str, workers: int | None = None) -> list[tuple[Floats, Floats]]:
    """Return the result of `fit` for each factor, computed in threads, the longest first; a bar counts the steps.

    Trees grow without the lock of Python, so threads are as fast as processes, and need no copies of the codes.
    """
    with progress.bar(text, sum(steps), "steps") as advance, ThreadPoolExecutor(workers or cpu_count()) as pool:
        order = sorted(range(len(steps)), key=lambda k: -steps[k])
        running = {k: pool.submit(fit, k, advance) for k in order}
        return [running[k].result() for k in range(len(steps))]


def check_boosting(stages: int, depth: int, rate: float) -> None:
    """Raise `InputError` for parameters with which no tree grows."""
    if stages < 1 or depth < 1 or not 0 < rate < math.inf:
        raise InputError(f"stages = {stages}, depth = {depth}, rate = {rate}: expected at least 1, 1 and above 0")
