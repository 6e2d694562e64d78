"""DCI with a lasso as predictor: see `dci`, which has the definition."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import f as f_distribution
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, lasso_path
from sklearn.model_selection import KFold

from equipoise.errors import InputError
from equipoise.metrics.chance import LEVEL
from equipoise.metrics.importance import FOLDS, Importance, completeness, disentanglement, informativeness, regressed
from equipoise.metrics.inputs import Pair, once, pair, scaled, warn
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread

ALPHAS = (1e-4, 1e-3, 0.01, 0.1, 0.2, 0.4, 0.8, 1.0)  # as in the code of the 2022 review
# The search starts each fit from the one before, so it needs a small tolerance.
_SEARCH: dict[str, Any] = {"tol": 1e-6, "max_iter": 10_000, "check_input": False, "random_state": 0}


def by_lasso(data: Pair, alphas: Sequence[float]) -> Importance:
    """Fit a lasso to codes and factors scaled to [0, 1]; 10-fold cross-validation chooses alpha for each factor.

    The last fit has the default tolerance and number of iterations, as the published code: they decide how copies of a
    latent divide the coefficient. A warning counts the factors whose fit did not converge.
    """
    z, y = scaled(data.codes), scaled(data.factors.astype(np.float64))
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one for each fit of each fold
        best = _best_alphas(z, y, sorted(alphas, reverse=True))
        models = [Lasso(alpha, random_state=0).fit(z, column) for alpha, column in zip(best, y.T, strict=True)]
        prediction = np.stack([model.predict(z) for model in models], axis=1)
        chance = _chance(z, y)
    if unfinished := sum(model.n_iter_ >= model.max_iter for model in models):
        warn(
            f"the lasso of DCI did not converge for {unfinished} of {len(models)} factors, so their coefficients are "
            "approximate; this happens if latents are nearly linear functions of each other"
        )
    return regressed(np.abs([model.coef_ for model in models]), prediction, y, chance)


def _best_alphas(z: Floats, y: Floats, alphas: Sequence[float]) -> list[float]:
    """Return the alpha with the least squared error in cross-validation for each factor, the largest of equal ones.

    It is that of `LassoCV` for each factor. The products of latents of a fold are computed once for all factors, which
    makes the search four times as fast.
    """
    errors = np.zeros((y.shape[1], len(alphas)))
    for train, test in KFold(min(FOLDS, len(z))).split(z):
        middle, mean = z[train].mean(axis=0), y[train].mean(axis=0)
        latents, targets = np.asfortranarray(z[train] - middle), np.asfortranarray(y[train] - mean)
        gram, products = latents.T @ latents, targets.T @ latents
        for k, target in enumerate(targets.T):
            path = lasso_path(latents, target, alphas=alphas, precompute=gram, Xy=products[k], **_SEARCH)
            prediction = (z[test] - middle) @ path[1] + mean[k]
            errors[k] += ((prediction - y[test, k, None]) ** 2).mean(axis=0)
    return [alphas[i] for i in errors.argmin(axis=1)]


def _chance(z: Floats, y: Floats) -> Floats:
    """Return the probability of at least this R^2 of a linear prediction of each factor from unrelated codes, [K'].

    It is that of the F-test; 1 where there are not more rows than coefficients.
    """
    latents, targets = z - z.mean(axis=0), y - y.mean(axis=0)
    coefficients, _, rank, _ = np.linalg.lstsq(latents, targets)
    rest = len(z) - 1 - rank
    if rank == 0 or rest <= 0:
        return np.ones(y.shape[1])
    error, total = ((targets - latents @ coefficients) ** 2).sum(axis=0), (targets**2).sum(axis=0)
    ratio = np.divide(total - error, error, out=np.full_like(error, np.inf), where=error > 0)
    chance: Floats = f_distribution.sf(ratio * rest / rank, rank, rest)
    return chance


def dci_lasso_disentanglement(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    alphas: Sequence[float] = ALPHAS,
    level: float = LEVEL,
    strict: bool = False,
) -> Score:
    """DCI disentanglement by lasso: whether each latent is important for one factor only, in linear prediction.

    As `dci_disentanglement`, but importance is the absolute coefficient of a lasso on codes and factors scaled to
    [0, 1]. 10-fold cross-validation chooses its alpha for each factor.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats, taken as numbers.
        alphas: candidates for alpha, above 0.
        level: see `dci_disentanglement`; the test is the F-test of a linear regression.
        strict: ignore all latents after the first without a coefficient too, an error of the 2022 review's code, which
            makes the score 0 if the first latent is constant.

    Returns:
        A score in [0, 1], NaN as in `dci_disentanglement`; `matrix` is the absolute coefficients.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for an alpha that is not above 0.

    Source:
        Eastwood and Williams 2018, section 2, https://openreview.net/forum?id=By-7dz-AZ, with the settings of the 2022
        review's code.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(dci_lasso_disentanglement(factors + 0.0, factors).value, 2)
        1.0
    """
    return disentanglement(*_by_lasso(codes, factors, alphas), level, strict)


def dci_lasso_completeness(
    codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS, level: float = LEVEL
) -> Score:
    """DCI completeness by lasso: whether each factor is predicted from one latent only, in linear prediction.

    Arguments, errors and source are those of `dci_lasso_disentanglement`.

    Returns:
        A score in [0, 1], NaN as in `dci_completeness`; `matrix` is the absolute coefficients.

    Source:
        As `dci_lasso_disentanglement`.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(dci_lasso_completeness(factors + 0.0, factors).value, 2)
        1.0
    """
    return completeness(*_by_lasso(codes, factors, alphas), level)


def dci_lasso_informativeness(codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS) -> Score:
    """DCI informativeness by lasso: how well the factors are predicted from all latents, linearly.

    Arguments, errors and source are those of `dci_lasso_disentanglement`.

    Returns:
        A score in [0, 1]: the mean over factors of 1 - 12 MSE, at least 0, on the fitted rows of factors scaled to
        [0, 1]. 12 is 1 / variance of a uniform variable; a binary factor that is not predicted at all has an error of
        0.25. `matrix` is the absolute coefficients, `baseline` the score of predicting the means, and `extra` has the
        means of R^2, "r2", and of the error divided by the standard deviation, "nrmse".

    Source:
        As `dci_lasso_disentanglement`.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(dci_lasso_informativeness(factors + 0.0, factors).value, 2)
        1.0
    """
    return informativeness(*_by_lasso(codes, factors, alphas))


def _by_lasso(codes: ArrayLike, factors: ArrayLike, alphas: Sequence[float]) -> tuple[Pair, Importance]:
    """Return the checked data and the importance by lasso."""
    if not alphas or min(alphas) <= 0:
        raise InputError(f"alphas = {alphas}: expected one or more numbers above 0")
    data = pair(codes, factors)
    return data, once(codes, ("dci", "lasso", *alphas), lambda: by_lasso(data, alphas))


METRICS = {
    function.__name__: Metric(function, range=(0.0, 1.0), conventions={"carbonneau": {"alphas": ALPHAS}})
    for function in (dci_lasso_disentanglement, dci_lasso_completeness, dci_lasso_informativeness)
}
