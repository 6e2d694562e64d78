"""DCI: disentanglement, completeness and informativeness of predictors of each factor from all latents.

The predictor is part of the name: for one code, boosted trees give a disentanglement of 0.40 and a lasso 0.76. `dci_*`
use gradient-boosted trees, the reference; `dci_lasso_*` and `dci_hist_*` are faster and are other metrics. One fit
serves all three scores of a predictor that `score` computes together.

All scores have the same source: Eastwood and Williams 2018, A framework for the quantitative evaluation of disentangled
representations, section 2, https://openreview.net/forum?id=By-7dz-AZ.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestRegressor
from sklearn.model_selection import KFold, cross_val_score

from equipoise.errors import InputError
from equipoise.metrics.chance import LEVEL, chance_of_codes
from equipoise.metrics.importance import (
    FOLDS,
    Importance,
    boosted,
    check_boosting,
    completeness,
    disentanglement,
    informativeness,
    regressed,
    side_by_side,
)
from equipoise.metrics.inputs import Pair, once, pair, scaled
from equipoise.metrics.intervention import Seed
from equipoise.metrics.result import Floats, Metric, Score

Trees = Literal["gbt", "forest"]

# The code of the 2022 review searches these by cross-validation.
_DEPTHS = (8, 16, 32, 64, 128)
_FEATURES = (0.2, 0.4, 0.8, 1.0)  # fraction of the latents tried at each split


def by_boosting(data: Pair, stages: int, depth: int, rate: float, seed: int) -> Importance:
    """Fit gradient-boosted trees; importance is the decrease of impurity."""
    params = {"n_estimators": stages, "max_depth": depth, "learning_rate": rate, "random_state": seed}

    def fit(z: Floats, y: NDArray[Any], smooth: bool, advance: Callable[[int], None]) -> tuple[Any, Floats]:
        model = (GradientBoostingRegressor if smooth else GradientBoostingClassifier)(**params)
        model.fit(z, y, monitor=lambda *_: advance(1))
        return model, model.feature_importances_

    return boosted(data, fit, stages, "boosted trees")


def by_forest(data: Pair, trees: int, seed: int) -> Importance:
    """Fit a forest of regression trees to codes and factors scaled to [0, 1].

    10-fold cross-validation chooses the depth and the fraction of latents for each factor. Trees fit noise too, so a
    factor that the codes are not related to has quality 0.
    """
    z, y = scaled(data.codes), scaled(data.factors.astype(np.float64))
    grid = [{"max_depth": depth, "max_features": features} for depth in _DEPTHS for features in _FEATURES]

    def fit(k: int, advance: Callable[[int], None]) -> tuple[Floats, Floats]:
        models = [RandomForestRegressor(n_estimators=trees, random_state=seed, **settings) for settings in grid]
        errors = []
        for model in models:
            folds = KFold(min(FOLDS, len(z)))
            errors.append(-cross_val_score(model, z, y[:, k], cv=folds, scoring="neg_mean_squared_error").mean())
            advance(1)
        best = models[int(np.argmin(errors))].fit(z, y[:, k])
        return best.feature_importances_, best.predict(z)

    # One factor after the other: a forest changes and restores the warning filters of the whole process while it grows.
    parts = side_by_side(fit, [len(grid)] * y.shape[1], "random forests", workers=1)
    chance = chance_of_codes(data)
    matrix, prediction = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts], axis=1)
    fitted = regressed(matrix, prediction, y, chance)
    return replace(fitted, quality=np.where(chance <= LEVEL, fitted.quality, 0.0), baseline=0.0)


def dci_disentanglement(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    predictor: Trees = "gbt",
    stages: int = 100,
    depth: int = 3,
    rate: float = 0.1,
    trees: int = 10,
    level: float = LEVEL,
    strict: bool = False,
    seed: Seed = 0,
) -> Score:
    """DCI disentanglement by trees: whether each latent is important for one factor only.

    A latent scores 1 minus the entropy, in base K, of its normalised importance over the factors. The score is the mean
    over latents, weighted by their importance.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels, or floats, for which the trees are regression trees.
        predictor: the trees:

            - "gbt": gradient-boosted trees on raw codes, fitted to the first two thirds of the rows, as in the study of
              Locatello et al. 2019. Importance is the decrease of impurity. They take minutes for 10,000 rows and 113
              values; the factors are fitted side by side, and a bar shows the progress.
            - "forest": regression trees whose depth and fraction of latents 10-fold cross-validation chooses, codes and
              factors scaled to [0, 1], all rows, as in the 2022 review's code.
        stages: boosting stages, at least 1.
        depth: depth of the boosted trees, at least 1.
        rate: learning rate of the boosting, above 0.
        trees: trees of the forest, at least 1.
        level: a factor that is not predicted at this level of significance gets no importance, because its shares would
            be arbitrary. Two tests count: of the correct predictions on rows that were not fitted, and of each latent
            alone. With 1 every factor counts, as in the published programs.
        strict: for the forest, also ignore all latents after the first without importance, an error of that code.
        seed: an integer or a NumPy generator, for ties between splits and the draws of the forest.

    Returns:
        A score in [0, 1]; NaN for one factor, or with a warning if no factor is predicted. `matrix` is the importance;
        a row sums to 1, or to 0 for a factor that is not predicted.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for parameters out of range.

    Source:
        Eastwood and Williams 2018, section 2, https://openreview.net/forum?id=By-7dz-AZ

    Example:
        >>> factors = np.random.default_rng(0).integers((2, 3), size=(300, 2))
        >>> round(dci_disentanglement(factors + 0.0, factors, stages=10).value, 2)
        1.0
    """
    return disentanglement(*_by_trees(codes, factors, predictor, stages, depth, rate, trees, seed), level, strict)


def dci_completeness(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    predictor: Trees = "gbt",
    stages: int = 100,
    depth: int = 3,
    rate: float = 0.1,
    trees: int = 10,
    level: float = LEVEL,
    seed: Seed = 0,
) -> Score:
    """DCI completeness by trees: whether each factor is predicted from one latent only.

    A factor scores 1 minus the entropy, in base L, of the normalised importance of the latents, or 0 if it is not
    predicted. The score is the mean over factors. Because of the base, constant latents raise it. Arguments, errors and
    source are those of `dci_disentanglement`.

    Returns:
        A score in [0, 1]; NaN for one latent, or with a warning if no factor is predicted. `matrix` is the importance.

    Source:
        As `dci_disentanglement`.

    Example:
        >>> factors = np.random.default_rng(0).integers((2, 3), size=(300, 2))
        >>> round(dci_completeness(factors + 0.0, factors, stages=10).value, 2)
        1.0
    """
    return completeness(*_by_trees(codes, factors, predictor, stages, depth, rate, trees, seed), level)


def dci_informativeness(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    predictor: Trees = "gbt",
    stages: int = 100,
    depth: int = 3,
    rate: float = 0.1,
    trees: int = 10,
    seed: Seed = 0,
) -> Score:
    """DCI informativeness by trees: how well the factors are predicted from all latents.

    "gbt" scores the accuracy on the last third of the rows, or R^2, at least 0, for a continuous factor. "forest"
    scores 1 - 12 MSE, at least 0, on the fitted rows of factors scaled to [0, 1], and 0 for factors to which the codes
    are not related; 12 is 1 / variance of a uniform variable. Arguments, errors and source are those of
    `dci_disentanglement`.

    Returns:
        A score in [0, 1], the mean over factors; `matrix` is the importance. `baseline` is the score without codes: for
        "gbt" the frequency of the most common value, without which accuracies of factors cannot be compared. `extra`
        then has the accuracy on the fitted rows, "train", its mean over values, "balanced", and that frequency,
        "majority". For "forest" it has "r2" and "nrmse", the error divided by the standard deviation.

    Source:
        As `dci_disentanglement`.

    Example:
        >>> factors = np.random.default_rng(0).integers((2, 3), size=(300, 2))
        >>> dci_informativeness(factors + 0.0, factors, stages=10).value
        1.0
    """
    return informativeness(*_by_trees(codes, factors, predictor, stages, depth, rate, trees, seed))


def _by_trees(
    codes: ArrayLike, factors: ArrayLike, predictor: Trees, stages: int, depth: int, rate: float, trees: int, seed: Seed
) -> tuple[Pair, Importance]:
    """Return the checked data and the importance by boosted trees or a forest."""
    if trees < 1:
        raise InputError(f"trees = {trees}: expected at least 1")
    check_boosting(stages, depth, rate)
    data = pair(codes, factors)

    def fit() -> Importance:
        number = int(np.random.default_rng(seed).integers(2**31))
        return by_boosting(data, stages, depth, rate, number) if predictor == "gbt" else by_forest(data, trees, number)

    return data, once(codes, ("dci", predictor, stages, depth, rate, trees, seed), fit)


_CONVENTIONS: dict[str, dict[str, Any]] = {
    "carbonneau": {"predictor": "forest", "trees": 10},
    "locatello": {"predictor": "gbt", "stages": 100, "depth": 3, "rate": 0.1},
}

METRICS = {
    function.__name__: Metric(function, range=(0.0, 1.0), conventions=_CONVENTIONS, repeats=5, is_cheap=False)
    for function in (dci_disentanglement, dci_completeness, dci_informativeness)
}
