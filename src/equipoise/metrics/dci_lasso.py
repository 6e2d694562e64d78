"""DCI with a lasso as predictor: see `dci`, which has the definition."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import Lasso, LassoCV
from sklearn.model_selection import KFold

from equipoise.errors import InputError
from equipoise.metrics.importance import (
    FOLDS,
    Importance,
    completeness,
    disentanglement,
    informativeness,
    regressed,
)
from equipoise.metrics.inputs import Pair, once, pair, scaled
from equipoise.metrics.result import Metric, Score
from equipoise.metrics.threads import one_thread

ALPHAS = (1e-4, 1e-3, 0.01, 0.1, 0.2, 0.4, 0.8, 1.0)  # as in the code of the 2022 review


def by_lasso(data: Pair, alphas: Sequence[float]) -> Importance:
    """Fit a lasso to codes and factors scaled to [0, 1]; 10-fold cross-validation chooses alpha for each factor.

    The search has a small tolerance, because it starts each fit from the one before. The last fit has the default, as
    the published code: it decides how copies of a latent divide the coefficient.
    """
    z, y = scaled(data.codes), scaled(data.factors.astype(np.float64))
    folds = KFold(min(FOLDS, len(z)))
    search = LassoCV(alphas=list(alphas), cv=folds, precompute=True, tol=1e-6, max_iter=10_000, random_state=0)
    with one_thread():
        best = [search.fit(z, column).alpha_ for column in y.T]
        models = [Lasso(alpha, random_state=0).fit(z, column) for alpha, column in zip(best, y.T, strict=True)]
        prediction = np.stack([model.predict(z) for model in models], axis=1)
    return regressed(np.abs([model.coef_ for model in models]), prediction, y)


def dci_lasso_disentanglement(
    codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS, strict: bool = False
) -> Score:
    """DCI disentanglement by lasso: whether each latent is important for one factor only, in linear prediction.

    As `dci_disentanglement`, but importance is the absolute coefficient of a lasso on codes and factors scaled to
    [0, 1]. 10-fold cross-validation chooses its alpha for each factor.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats, taken as numbers.
        alphas: candidates for alpha, above 0.
        strict: ignore all latents after the first without a coefficient too, an error of the 2022 review's code, which
            makes the score 0 if the first latent is constant.

    Returns:
        A score in [0, 1], NaN for one factor; `matrix` is the absolute coefficients. Noise can score 0.65 if few
        coefficients are left: compare with the `baseline` that `score` computes, and with the informativeness.

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
    return disentanglement(*_by_lasso(codes, factors, alphas), strict)


def dci_lasso_completeness(codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS) -> Score:
    """DCI completeness by lasso: whether each factor is predicted from one latent only, in linear prediction.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats, taken as numbers.
        alphas: candidates for alpha, above 0, see `dci_lasso_disentanglement`.

    Returns:
        A score in [0, 1], NaN for one latent; `matrix` is the absolute coefficients.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for an alpha that is not above 0.

    Source:
        As `dci_lasso_disentanglement`.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(dci_lasso_completeness(factors + 0.0, factors).value, 2)
        1.0
    """
    return completeness(*_by_lasso(codes, factors, alphas))


def dci_lasso_informativeness(codes: ArrayLike, factors: ArrayLike, *, alphas: Sequence[float] = ALPHAS) -> Score:
    """DCI informativeness by lasso: how well the factors are predicted from all latents, linearly.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats, taken as numbers.
        alphas: candidates for alpha, above 0, see `dci_lasso_disentanglement`.

    Returns:
        A score in [0, 1]: the mean over factors of 1 - 12 MSE, at least 0, on the fitted rows of factors scaled to
        [0, 1]. 12 is 1 / variance of a uniform variable; a binary factor that is not predicted at all has an error of
        0.25. `matrix` is the absolute coefficients, `extra` has the means of R^2, "r2", and of the error divided by the
        standard deviation, "nrmse".

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for an alpha that is not above 0.

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
    function.__name__: Metric(
        function, range=(0.0, 1.0), conventions={"carbonneau": {"alphas": ALPHAS}}, has_baseline=True
    )
    for function in (dci_lasso_disentanglement, dci_lasso_completeness, dci_lasso_informativeness)
}
