"""DCI: disentanglement, completeness and informativeness of predictors of each factor from all latents.

The predictor is part of the name: on one code boosted trees give a disentanglement of 0.40, a lasso 0.76. `dci_*` are
those of gradient-boosted trees, the reference, `dci_lasso_*` and `dci_hist_*` are quicker and other metrics. What is
fitted for one of three is used for all that `score` computes together.

Source: Eastwood and Williams 2018, section 2, https://openreview.net/forum?id=By-7dz-AZ
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from equipoise.errors import InputError
from equipoise.metrics.importance import ALPHAS, Importance, by_boosting, by_forest, by_histograms, by_lasso
from equipoise.metrics.inputs import Pair, once, pair, warn
from equipoise.metrics.intervention import Seed
from equipoise.metrics.result import Floats, Metric, Score

Trees = Literal["gbt", "forest"]


def dci_disentanglement(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    predictor: Trees = "gbt",
    stages: int = 100,
    depth: int = 3,
    rate: float = 0.1,
    trees: int = 10,
    strict: bool = False,
    seed: Seed = 0,
) -> Score:
    """DCI disentanglement by trees, in [0, 1]: does each latent count for one factor only?

    One less the entropy, in base K, of a latent's shares of importance for the factors; mean over latents, weighted by
    their importance. Latents that count for nothing have weight 0. Random codes are well above 0: read it beside
    the `baseline` of shuffled codes, which `score` computes.

    codes: [N, L]; factors: [N, K], labels, or continuous, for which the trees are regression trees. `predictor`:

    - "gbt": gradient-boosted trees with `stages`, `depth` and `rate`, on raw codes, fitted to the first two thirds of
      the rows, as in the study of Locatello et al. 2019; importance is the decrease of impurity. Slow: minutes for
      10,000 rows and 113 values. The factors are fitted side by side, and a bar shows how far they are.
    - "forest": `trees` regression trees whose depth and share of latents are chosen by 10-fold cross-validation, codes
      and factors scaled to [0, 1], all rows, as in the 2022 review's code.

    strict: with the forest, latents after the first that counts for nothing count as nothing too, a slip of that code.
    seed: of ties between splits, and of the forest's draws. NaN for one factor. The matrix is the importance; each
    row sums to 1.
    """
    data, fitted, params = _by_trees(codes, factors, predictor, stages, depth, rate, trees, seed)
    return _disentanglement(data, fitted, {**params, "strict": strict}, seed)


def dci_completeness(
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
    """DCI completeness by trees, in [0, 1]: is each factor predicted from one latent only?

    One less the entropy, in base L, of the latents' shares of importance for a factor; mean over factors. A factor for
    which nothing counts has 0. The base makes it rise with constant latents. NaN for one latent.

    Predictors, parameters and matrix as in `dci_disentanglement`.
    """
    data, fitted, params = _by_trees(codes, factors, predictor, stages, depth, rate, trees, seed)
    return _completeness(data, fitted, params, seed)


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
    """DCI informativeness by trees, in [0, 1]: how well are the factors predicted? Mean over factors.

    "gbt": accuracy on the last third of the rows, where a value that was not fitted is an error, or R^2, at least 0,
    of a continuous factor. `extra` has means over factors of the accuracy on the rows fitted, "train", of the mean
    over values, "balanced", and of the share of the commonest value, "majority", without which accuracies of factors
    cannot be compared. "forest": 1 - 12 times the mean squared error on the rows fitted, at least 0, of factors scaled
    to [0, 1] (12 is 1 / variance of a uniform variable); `extra` has "r2" and "nrmse", the error over the deviation.

    Predictors, parameters and matrix as in `dci_disentanglement`.
    """
    data, fitted, params = _by_trees(codes, factors, predictor, stages, depth, rate, trees, seed)
    return _informativeness(data, fitted, params, seed)


def _by_trees(
    codes: ArrayLike,
    factors: ArrayLike,
    predictor: Trees,
    stages: int,
    depth: int,
    rate: float,
    trees: int,
    seed: Seed,
) -> tuple[Pair, Importance, dict[str, Any]]:
    if predictor not in ("gbt", "forest") or trees < 1:
        raise InputError(f"predictor = {predictor!r}, trees = {trees}: expected gbt or forest, and at least 1")
    _growable(stages, depth, rate)
    data = pair(codes, factors)
    params = {"predictor": predictor, "stages": stages, "depth": depth, "rate": rate, "trees": trees}

    def fit() -> Importance:
        drawn = int(np.random.default_rng(seed).integers(2**31))
        return by_boosting(data, stages, depth, rate, drawn) if predictor == "gbt" else by_forest(data, trees, drawn)

    return data, once(codes, ("dci", *params.values(), seed), fit), params


def _growable(stages: int, depth: int, rate: float) -> None:
    if stages < 1 or depth < 1 or rate <= 0:
        raise InputError(f"stages = {stages}, depth = {depth}, rate = {rate}: expected at least 1, 1 and above 0")


def dci_lasso_disentanglement(
    codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS, strict: bool = False
) -> Score:
    """DCI disentanglement by lasso, in [0, 1]: does each latent count for one factor only, in straight lines?

    One less the entropy, in base K, of a latent's shares of importance, absolute coefficients of a lasso on codes and
    factors scaled to [0, 1], whose alpha is chosen from `alphas` for each factor by 10-fold cross-validation; mean
    over latents, weighted by their importance. Factors are taken as numbers. Random codes can have 0.65, when few
    coefficients are left: read it beside the `baseline` of shuffled codes and beside the informativeness.

    codes: [N, L]; factors: [N, K]. strict: latents after the first without any coefficient count as nothing too, as
    the 2022 review's code has it by a slip, so that a constant first latent makes it 0. NaN for one factor. The matrix
    is the absolute coefficients.

    Source: the predictor of Eastwood and Williams 2018, with the settings of the 2022 review's code.
    """
    data, fitted, params = _by_lasso(codes, factors, alphas)
    return _disentanglement(data, fitted, {**params, "strict": strict}, None)


def dci_lasso_completeness(codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS) -> Score:
    """DCI completeness by lasso, in [0, 1]: is each factor predicted from one latent only, in straight lines?

    As `dci_completeness`, with the predictor, parameters and matrix of `dci_lasso_disentanglement`.
    """
    return _completeness(*_by_lasso(codes, factors, alphas), None)


def dci_lasso_informativeness(codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS) -> Score:
    """DCI informativeness by lasso, in [0, 1]: how well do straight lines predict the factors?

    Mean over factors of 1 - 12 times the mean squared error on the rows fitted, at least 0, of factors scaled to
    [0, 1]. 12 is 1 / variance of a uniform variable: a binary factor that is not predicted at all has an error of
    0.25. `extra` has the means of R^2 and of the error over the deviation, "r2" and "nrmse".

    Predictor, parameters and matrix as in `dci_lasso_disentanglement`.
    """
    return _informativeness(*_by_lasso(codes, factors, alphas), None)


def _by_lasso(codes: ArrayLike, factors: ArrayLike, alphas: Sequence[float]) -> tuple[Pair, Importance, dict[str, Any]]:
    if not alphas or min(alphas) <= 0:
        raise InputError(f"alphas = {alphas}: expected one or more numbers above 0")
    data = pair(codes, factors)
    return data, once(codes, ("dci", "lasso", *alphas), lambda: by_lasso(data, alphas)), {"alphas": tuple(alphas)}


def dci_hist_disentanglement(
    codes: ArrayLike, factors: ArrayLike, *, stages: int = 100, depth: int = 3, rate: float = 0.1
) -> Score:
    """DCI disentanglement by trees on binned codes, in [0, 1]: does each latent count for one factor only?

    As `dci_disentanglement` by boosted trees, but each latent is cut into up to 255 bins first and importance is the
    gain of the splits, which makes it several times quicker and moves it by 0.01 to 0.05. Deterministic.

    codes: [N, L]; factors: [N, K]. NaN for one factor. The matrix is the share of the gain; each row sums to 1.
    """
    return _disentanglement(*_by_histograms(codes, factors, stages, depth, rate), None)


def dci_hist_completeness(
    codes: ArrayLike, factors: ArrayLike, *, stages: int = 100, depth: int = 3, rate: float = 0.1
) -> Score:
    """DCI completeness by trees on binned codes, in [0, 1]: is each factor predicted from one latent only?

    As `dci_completeness`, with the predictor, parameters and matrix of `dci_hist_disentanglement`.
    """
    return _completeness(*_by_histograms(codes, factors, stages, depth, rate), None)


def dci_hist_informativeness(
    codes: ArrayLike, factors: ArrayLike, *, stages: int = 100, depth: int = 3, rate: float = 0.1
) -> Score:
    """DCI informativeness by trees on binned codes, in [0, 1]: how well are the factors predicted?

    As `dci_informativeness` by boosted trees, with the predictor, parameters and matrix of
    `dci_hist_disentanglement`.
    """
    return _informativeness(*_by_histograms(codes, factors, stages, depth, rate), None)


def _by_histograms(
    codes: ArrayLike, factors: ArrayLike, stages: int, depth: int, rate: float
) -> tuple[Pair, Importance, dict[str, Any]]:
    _growable(stages, depth, rate)
    data = pair(codes, factors)
    fitted = once(codes, ("dci", "hist", stages, depth, rate), lambda: by_histograms(data, stages, depth, rate))
    return data, fitted, {"stages": stages, "depth": depth, "rate": rate}


def _disentanglement(data: Pair, fitted: Importance, params: Mapping[str, Any], seed: Seed | None) -> Score:
    weight = fitted.matrix.sum(axis=0)
    if params.get("strict") and not weight.all():
        weight = np.where(np.arange(len(weight)) < np.argmin(weight > 0), weight, 0.0)
    if len(data.kept) == 1:
        warn("DCI disentanglement: with one factor there is nothing to tell apart")
        scores, value = np.full(len(weight), np.nan), math.nan
    else:
        scores = np.where(weight > 0, _concentration(fitted.matrix.T), 0.0)
        value = min(float(scores @ weight / weight.sum()), 1.0) if weight.any() else 0.0  # a mean, but for rounding
    return Score(
        value=value,
        n=len(data.codes),
        per_latent=np.where(data.live, scores, np.nan),
        matrix=data.rows_by_factor(fitted.matrix),
        left_out=data.left_out | data.constant,
        params=params,
        seed=_number(seed),
    )


def _completeness(data: Pair, fitted: Importance, params: Mapping[str, Any], seed: Seed | None) -> Score:
    if fitted.matrix.shape[1] == 1:
        warn("DCI completeness: with one latent there is nothing to tell apart")
        scores = np.full(len(data.kept), np.nan)
    else:
        scores = _concentration(fitted.matrix)
    return Score(
        value=float(scores.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(scores),
        matrix=data.rows_by_factor(fitted.matrix),
        left_out=data.left_out,
        params=params,
        seed=_number(seed),
    )


def _informativeness(data: Pair, fitted: Importance, params: Mapping[str, Any], seed: Seed | None) -> Score:
    return Score(
        value=float(fitted.quality.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(fitted.quality),
        matrix=data.rows_by_factor(fitted.matrix),
        left_out=data.left_out,
        params=params,
        seed=_number(seed),
        extra={name: float(values.mean()) for name, values in fitted.measures.items()},
    )


def _concentration(rows: Floats) -> Floats:
    """One less the entropy of each row's shares in base of their number: 1 for one share, 0 for equal ones or none."""
    total = rows.sum(axis=1, keepdims=True)
    shares = np.divide(rows, total, out=np.full_like(rows, 1 / rows.shape[1]), where=total > 0)
    nats = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    concentration: Floats = np.where(total[:, 0] > 0, np.clip(1 - nats / math.log(rows.shape[1]), 0.0, 1.0), 0.0)
    return concentration


def _number(seed: Seed | None) -> int | None:
    return seed if isinstance(seed, int) else None


_CARBONNEAU_FOREST = {"predictor": "forest", "trees": 10}
_LOCATELLO = {"predictor": "gbt", "stages": 100, "depth": 3, "rate": 0.1}


def _three(
    functions: Sequence[Callable[..., Score]],
    predictor: str,
    conventions: Mapping[str, Mapping[str, Any]],
    repeats: int | None,
    cheap: bool,
) -> dict[str, Metric]:
    """Disentanglement, completeness and informativeness by one predictor."""
    asks = (
        "whether each latent counts for one factor only in predicting the factors",
        "whether each factor is predicted from one latent only",
        "how well the factors are predicted from all latents",
    )
    return {
        function.__name__: Metric(
            function,
            needs=("codes", "factors"),
            summary=f"{ask}, by {predictor}",
            citation="Eastwood, Williams. A framework for the quantitative evaluation of disentangled representations. "
            "ICLR 2018",
            conventions=conventions,
            repeats=repeats,
            shuffles=True,  # informativeness too: a factor of few values, or of one common one, is easy to guess
            cheap=cheap,
        )
        for function, ask in zip(functions, asks, strict=True)
    }


METRICS = {
    **_three(
        (dci_disentanglement, dci_completeness, dci_informativeness),
        "boosted trees",
        {"carbonneau": _CARBONNEAU_FOREST, "locatello": _LOCATELLO},
        repeats=5,
        cheap=False,
    ),
    **_three(
        (dci_lasso_disentanglement, dci_lasso_completeness, dci_lasso_informativeness),
        "straight lines",
        {"carbonneau": {"alphas": ALPHAS}},
        repeats=None,
        cheap=True,
    ),
    **_three(
        (dci_hist_disentanglement, dci_hist_completeness, dci_hist_informativeness),
        "boosted trees on binned codes",
        {},
        repeats=None,
        cheap=False,
    ),
}
