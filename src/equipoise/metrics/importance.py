"""How much each latent counts in predicting each factor: by lasso, random forest or boosted trees."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.metrics import recall_score
from sklearn.model_selection import KFold, cross_val_score

from equipoise import progress
from equipoise.metrics.discretise import encoded, is_continuous
from equipoise.metrics.inputs import Pair
from equipoise.metrics.lasso import lasso
from equipoise.metrics.result import Floats
from equipoise.metrics.threads import one_thread

# The 2022 review's code searches these by cross-validation in ten folds of consecutive rows.
ALPHAS = (1e-4, 1e-3, 0.01, 0.1, 0.2, 0.4, 0.8, 1.0)
_FOLDS = 10
_TOLERANCE = 1e-4  # of the lasso, scikit-learn's default, which that code leaves as it is
_DEPTHS = (8, 16, 32, 64, 128)
_SHARES = (0.2, 0.4, 0.8, 1.0)  # of the latents, tried at each split

_UNIFORM = 12  # 1 / variance of a uniform variable on [0, 1]: what the review's code takes a factor for


@dataclass(frozen=True)
class Importance:
    """What one kind of predictor makes of all kept factors.

    Attributes:
        matrix: [K', L], importance of each latent for each factor, 0 or more; a row of boosted trees or of a forest
            sums to 1, one of the lasso holds absolute coefficients.
        quality: [K'], how well each factor is predicted, in [0, 1].
        measures: name -> [K'], further measures of that.
    """

    matrix: Floats
    quality: Floats
    measures: Mapping[str, Floats] = field(default_factory=dict)


def by_lasso(data: Pair, alphas: Sequence[float]) -> Importance:
    """Absolute coefficients of the lasso on codes and factors scaled to [0, 1], alpha by 10-fold cross-validation."""
    z, y = _unit(data.codes), _unit(data.factors.astype(np.float64))
    each, repeated = np.tile(alphas, y.shape[1]), np.repeat(y, len(alphas), axis=1)
    with one_thread():
        errors = np.zeros(len(each))
        for train, test in KFold(min(_FOLDS, len(z))).split(z):
            slope, intercept = _lasso_fit(z[train], repeated[train], each)
            errors += ((z[test] @ slope + intercept - repeated[test]) ** 2).mean(axis=0)
        best = np.asarray(alphas)[errors.reshape(-1, len(alphas)).argmin(axis=1)]
        slope, intercept = _lasso_fit(z, y, best)
        guess = z @ slope + intercept
    return _regressed(np.abs(slope.T), guess, y)


def _lasso_fit(z: Floats, y: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    middle, level = z.mean(axis=0), y.mean(axis=0)
    z, y = z - middle, y - level
    slope = lasso(z.T @ z / len(z), z.T @ y / len(z), (y * y).mean(axis=0), alpha, _TOLERANCE)
    return slope, level - middle @ slope


def _regressed(matrix: Floats, guess: Floats, y: Floats) -> Importance:
    """Importance with the quality of guesses [N, K'] of y in [0, 1] on the rows that were fitted."""
    error = ((guess - y) ** 2).mean(axis=0)
    share = error / y.var(axis=0)
    return Importance(matrix, np.maximum(0.0, 1 - _UNIFORM * error), {"r2": 1 - share, "nrmse": np.sqrt(share)})


def _unit(columns: Floats) -> Floats:
    """Columns scaled to [0, 1], a constant one 0."""
    low, spread = columns.min(axis=0), np.ptp(columns, axis=0)
    scaled: Floats = (columns - low) / np.where(spread > 0, spread, 1)
    return scaled


def by_forest(data: Pair, trees: int, seed: int) -> Importance:
    """Impurity importance in a forest of regression trees, its depth and share of latents by 10-fold cross-validation.

    Codes and factors are scaled to [0, 1].
    """
    z, y = _unit(data.codes), _unit(data.factors.astype(np.float64))
    grid = [(depth, share) for depth in _DEPTHS for share in _SHARES]

    def forest(depth: int, share: float) -> RandomForestRegressor:
        return RandomForestRegressor(n_estimators=trees, max_depth=depth, max_features=share, random_state=seed)

    def fit(k: int, advance: Callable[[int], None]) -> tuple[Floats, Floats]:
        errors = []
        for settings in grid:
            folds = KFold(min(_FOLDS, len(z)))
            scores = cross_val_score(forest(*settings), z, y[:, k], cv=folds, scoring="neg_mean_squared_error")
            errors.append(-scores.mean())
            advance(1)
        model = forest(*grid[int(np.argmin(errors))]).fit(z, y[:, k])
        return model.feature_importances_, model.predict(z)

    # One after the other: a forest sets the warning filters of the whole process while it grows, and puts them back.
    parts = _side_by_side(fit, [len(grid)] * y.shape[1], "random forests", workers=1)
    return _regressed(np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts], axis=1), y)


def by_boosting(data: Pair, stages: int, depth: int, rate: float, seed: int) -> Importance:
    """Impurity importance in gradient-boosted trees, fitted to the first two thirds of the rows, scored on the rest."""
    params = {"n_estimators": stages, "max_depth": depth, "learning_rate": rate, "random_state": seed}

    def fit(k: int, advance: Callable[[int], None]) -> tuple[Floats, Floats]:
        def monitor(*_: object) -> None:
            advance(sizes[k])

        z, y, train = data.codes, targets[k], 2 * len(data.codes) // 3
        if (y[:train] == y[0]).all():
            return np.zeros(z.shape[1]), np.full(len(y), y[0])
        model = (GradientBoostingRegressor if continuous[k] else GradientBoostingClassifier)(**params)
        model.fit(z[:train], y[:train], monitor=monitor)
        return model.feature_importances_, model.predict(z)

    targets, continuous, sizes = _targets(data)
    parts = _side_by_side(fit, [size * stages for size in sizes], "boosted trees")
    return _held_out(parts, targets, continuous)


def by_histograms(data: Pair, stages: int, depth: int, rate: float) -> Importance:
    """Gain in boosted trees on binned codes, fitted to the first two thirds of the rows, scored on the rest."""
    params = {"max_iter": stages, "max_depth": depth, "max_leaf_nodes": 2**depth, "learning_rate": rate}
    params |= {"min_samples_leaf": 1, "early_stopping": False, "random_state": 0}
    targets, continuous, sizes = _targets(data)

    def fit(k: int, advance: Callable[[int], None]) -> tuple[Floats, Floats]:
        z, y, train = data.codes, targets[k], 2 * len(data.codes) // 3
        gain = np.zeros(z.shape[1])
        if (y[:train] == y[0]).all():
            return gain, np.full(len(y), y[0])
        model = (HistGradientBoostingRegressor if continuous[k] else HistGradientBoostingClassifier)(**params)
        model.fit(z[:train], y[:train])
        for tree in (tree for stage in model._predictors for tree in stage):  # no public name gives the gains
            inner = tree.nodes[tree.nodes["is_leaf"] == 0]
            np.add.at(gain, inner["feature_idx"], inner["gain"])
        advance(sizes[k])
        return gain / max(gain.sum(), 1e-300), model.predict(z)

    # One after the other: each fit spreads over the processors itself.
    parts = _side_by_side(fit, sizes, "histogram trees", workers=1)
    return _held_out(parts, targets, continuous)


def _targets(data: Pair) -> tuple[list[NDArray[Any]], list[bool], list[int]]:
    """Of each kept factor: labels, or its values if it is continuous; whether it is; trees in a stage."""
    targets, continuous, sizes = [], [], []
    for column in data.factors.T:
        labels, values = encoded(column)
        continuous.append(is_continuous(column, values))
        targets.append(column if continuous[-1] else labels)
        sizes.append(1 if continuous[-1] or values == 2 else values)
    return targets, continuous, sizes


def _side_by_side(
    fit: Callable[[int, Callable[[int], None]], tuple[Floats, Floats]],
    steps: Sequence[int],
    text: str,
    workers: int | None = None,
) -> list[tuple[Floats, Floats]]:
    """What `fit` returns for each factor, fitted in threads, the longest first; a bar counts the steps it reports.

    Trees grow outside Python's lock, so that threads do what processes would, without a copy of the codes for each.
    """
    with progress.bar(text, sum(steps), "steps") as advance, ThreadPoolExecutor(workers or cpu_count()) as pool:
        order = sorted(range(len(steps)), key=lambda k: -steps[k])
        running = {k: pool.submit(fit, k, advance) for k in order}
        return [running[k].result() for k in range(len(steps))]


def _held_out(
    parts: Sequence[tuple[Floats, Floats]], targets: Sequence[NDArray[Any]], continuous: Sequence[bool]
) -> Importance:
    """Importance with the quality of guesses on the rows that were not fitted.

    Accuracy, and as measures that of the rows fitted ("train"), the mean over values ("balanced") and the share of
    the commonest value ("majority"); for a continuous factor R^2, at least 0, in place of all but the last, which is 0.
    """
    measured = []
    for (_, guess), y, smooth in zip(parts, targets, continuous, strict=True):
        train = 2 * len(y) // 3
        if smooth:
            held_out, seen = (
                max(
                    0.0, 1 - ((guess[rows] - y[rows]) ** 2).sum() / max(((y[rows] - y[rows].mean()) ** 2).sum(), 1e-300)
                )
                for rows in (slice(train, None), slice(train))
            )
            measured.append((held_out, seen, held_out, 0.0))
            continue
        right = guess == y
        balanced = recall_score(y[train:], guess[train:], labels=np.unique(y[train:]), average="macro")
        common = np.bincount(y[train:]).max() / len(y[train:])
        measured.append((right[train:].mean(), right[:train].mean(), balanced, common))
    quality, seen, balanced, common = np.array(measured).T
    matrix = np.stack([importance for importance, _ in parts])
    return Importance(matrix, quality, {"train": seen, "balanced": balanced, "majority": common})
