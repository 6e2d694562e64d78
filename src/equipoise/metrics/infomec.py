"""InfoMEC: modularity, compactness and explicitness in units of information."""

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from equipoise.errors import InputError
from equipoise.metrics.chance import LEVEL, chance_of_pairs, check_level
from equipoise.metrics.discretise import encoded, entropy, factor_labels, mutual_information, tables
from equipoise.metrics.inputs import Pair, once, pair, scaled, warn
from equipoise.metrics.intervention import Seed
from equipoise.metrics.neighbours import with_labels
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread


def infom(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    discrete_latents: bool = False,
    neighbours: int = 10,
    active: float = 1 / 20,
    level: float = LEVEL,
    strict: bool = False,
    seed: Seed = 0,
) -> Score:
    """InfoM, modularity: whether each active latent has information about one factor only.

    A latent scores the largest fraction of a factor in its information I(y_k; c_j) / H(y_k), with chance mapped to 0,
    (fraction - 1/K) / (1 - 1/K). The score is the mean over active latents.

    Args:
        codes: [N, L] floats.
        factors: [N, K] labels or floats; continuous ones are cut into 10 bins.
        discrete_latents: compute I from counts of the values of the codes instead of distances to neighbours.
        neighbours: number of nearest rows of equal label for I (Ross 2014), at least 1.
        active: a latent is active if its range is above this fraction of the largest range, from 0 to below 1, or above
            0 with `discrete_latents`. An active latent without information is left out.
        level: level of significance, divided by the number of pairs of latent and factor, above which the information
            of a pair counts as chance. A latent with no other information is left out, because shares of information by
            chance can have any value. 1 counts all information, as the published code does.
        strict: return NaN if an active latent has no information, as the published code does.
        seed: an integer or a NumPy generator, for noise of 1e-10 standard deviations that separates equal codes. If
            codes have few values, this noise decides (standard deviation 0.001): prefer `discrete_latents`.

    Returns:
        A score in [0, 1]; NaN for one factor, or with a warning if no latent has information. `matrix` is I / H, which
        can exceed 1 slightly.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for parameters out of range.

    Source:
        Hsu et al. 2023, Disentanglement via latent quantization, section 4, https://arxiv.org/abs/2305.18378

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(infom(factors + 0.0, factors, discrete_latents=True).value, 2)
        0.99
    """
    data, information, is_active, is_related = _information(
        codes, factors, discrete_latents, neighbours, active, level, seed
    )
    total, count = information.sum(axis=0), len(data.columns)
    has_no_information = is_active & ((total == 0) | ~is_related.any(axis=0))
    largest = np.divide(
        information.max(axis=0), total, out=np.full(len(is_active), np.nan), where=is_active & ~has_no_information
    )
    if count == 1:
        warn("InfoM: with one factor there is nothing to tell apart")
        scores, value = np.full(len(is_active), np.nan), math.nan
    else:
        scores = (largest - 1 / count) / (1 - 1 / count)
        informative = scores[is_active & ~has_no_information]
        value = float(informative.mean()) if len(informative) else _score_without_information(is_active)
    left_out = _inactive(is_active) | {f"latent {j}": "no information" for j in np.flatnonzero(has_no_information)}
    value = math.nan if strict and has_no_information.any() else value
    return data.score(value, per_latent=scores, matrix=information, left_out=left_out)


def infoc(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    discrete_latents: bool = False,
    neighbours: int = 10,
    active: float = 1 / 20,
    level: float = LEVEL,
    strict: bool = False,
    seed: Seed = 0,
) -> Score:
    """InfoC, compactness: whether the information about each factor is in one active latent only.

    A factor scores the largest fraction of a latent in the information of the L active latents about it, with chance
    mapped to 0, (fraction - 1/L) / (1 - 1/L), and 0 if there is no information. The score is the mean over factors.
    `strict` returns NaN if there is no information about a factor, as the published code does. The other arguments,
    errors and source are those of `infom`.

    Returns:
        A score in [0, 1]; NaN for one active latent, or with a warning if no latent has information. `matrix` is I / H.

    Source:
        As `infom`.

    Example:
        >>> factors = np.random.default_rng(0).integers((3, 4), size=(1000, 2))
        >>> round(infoc(factors + 0.0, factors, discrete_latents=True).value, 2)
        0.99
    """
    data, information, is_active, is_related = _information(
        codes, factors, discrete_latents, neighbours, active, level, seed
    )
    total, count = information[:, is_active].sum(axis=1), int(is_active.sum())
    is_uninformed = (total == 0) | ~is_related[:, is_active].any(axis=1)
    if count == 1:
        warn("InfoC: with one active latent there is nothing to tell apart")
        scores = np.full(len(is_uninformed), np.nan)
    elif is_uninformed.all():
        scores = np.full(len(is_uninformed), _score_without_information(is_active))
    else:
        equal = np.full(len(is_uninformed), 1 / count)
        largest = np.divide(information[:, is_active].max(axis=1), total, out=equal, where=~is_uninformed)
        scores = (largest - 1 / count) / (1 - 1 / count)
    value = math.nan if strict and is_uninformed.any() else float(scores.mean())
    return data.score(value, per_factor=scores, matrix=information, left_out=_inactive(is_active))


def _score_without_information(is_active: Any) -> float:
    """Return the score where no latent has information: NaN with a warning, 0 if all latents are constant."""
    if not is_active.any():
        return 0.0
    warn("no latent has more information about a factor than by chance: InfoM and InfoC are undefined (NaN)")
    return math.nan


def _information(
    codes: ArrayLike,
    factors: ArrayLike,
    discrete_latents: bool,
    neighbours: int,
    active: float,
    level: float,
    seed: Seed,
) -> tuple[Pair, Floats, Any, Any]:
    """Return the data, I(y_k; c_j) / H(y_k) [K', L], which latents are active [L], and which pairs related [K', L]."""
    check_level(level)
    if neighbours < 1 or not 0 <= active < 1:
        raise InputError(f"neighbours = {neighbours}, active = {active}: expected at least 1, and from 0 to below 1")
    data = pair(codes, factors)
    key = "information by neighbours", discrete_latents, neighbours, seed
    compute = _by_counts if discrete_latents else _by_neighbours
    information = once(codes, key, lambda: compute(data, neighbours, seed))
    ranges = np.ptp(data.codes, axis=0)
    is_active = ranges > (0 if discrete_latents else active * ranges.max())
    chance = chance_of_pairs(data) if level < 1 else np.zeros(information.shape)
    return data, information, is_active, chance <= level / information.size


def _by_counts(data: Pair, *_: object) -> Floats:
    """Return I / H [K', L] from the counts of the values of the codes."""
    columns = [encoded(column) for column in data.codes.T]
    rows = []
    for labels, values in factor_labels(data, None):
        mutual = [mutual_information(tables(labels, values, c[:, None], bins))[0] for c, bins in columns]
        rows.append(np.array(mutual) / entropy(np.bincount(labels)))
    return np.stack(rows)


def _by_neighbours(data: Pair, neighbours: int, seed: Seed) -> Floats:
    """Return I / H [K', L] from distances between codes."""
    standardised = _standardised(data)
    standardised += 1e-10 * np.random.default_rng(seed).standard_normal(standardised.shape)
    rows = [
        with_labels(standardised, labels, values, neighbours) / entropy(np.bincount(labels))
        for labels, values in factor_labels(data, None)
    ]
    return np.where(data.live, rows, 0.0)


def _standardised(data: Pair) -> Floats:
    """Return the codes with mean 0 and deviation 1, a constant latent as 0. No square overflows or underflows."""
    codes = scaled(data.codes)
    standardised: Floats = (codes - codes.mean(axis=0)) / np.where(data.live, codes.std(axis=0), 1)
    return standardised


def _inactive(is_active: Any) -> dict[str, str]:
    """Return the inactive latents, as `Score.left_out` lists them."""
    return {f"latent {j}": "inactive" for j in np.flatnonzero(~is_active)}


def infoe(codes: ArrayLike, factors: ArrayLike, *, discrete_latents: bool = False, iterations: int = 100) -> Score:
    """InfoE, explicitness: the fraction of the information about each factor that a linear model of all latents has.

    A factor scores (H0 - H1) / H0. H1 is the mean log loss, on the fitted rows, of a balanced multinomial logistic
    regression without a penalty; H0 = log V is that of a model without inputs. The score is the mean over factors.
    Where a linear model separates the values, the loss has no minimum: the fit ends after `iterations` steps of
    L-BFGS, as in the published code, which leaves about 0.02 to chance.

    Args:
        codes: [N, L] floats, which are standardised.
        factors: [N, K] labels or floats; continuous ones are cut into 10 bins.
        discrete_latents: use one-hot codes instead.
        iterations: largest number of steps of a fit, at least 1.

    Returns:
        A score of at most 1, below 0 if equal weights of the values fit worse than no inputs. There is no matrix.

    Raises:
        InputError: for inputs that are not finite matrices of equal length, and for iterations below 1.

    Source:
        Hsu et al. 2023, Disentanglement via latent quantization, section 4, https://arxiv.org/abs/2305.18378

    Example:
        >>> factors = np.random.default_rng(0).integers((2, 3), size=(1000, 2))
        >>> round(infoe(factors + 0.0, factors).value, 1)
        1.0
    """
    if iterations < 1:
        raise InputError(f"iterations = {iterations}: expected at least 1")
    data = pair(codes, factors)
    inputs = OneHotEncoder().fit_transform(data.codes) if discrete_latents else _standardised(data)
    scores = np.zeros(len(data.columns))
    for k, (labels, values) in enumerate(factor_labels(data, None) if data.live.any() else []):
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the early end is intended
            fit = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=iterations).fit(inputs, labels)
            chance = fit.predict_proba(inputs)[np.arange(len(labels)), labels]
        loss = -np.log(np.maximum(chance, np.finfo(np.float64).eps)).mean()
        scores[k] = 1 - loss / math.log(values)
    return data.score(scores.mean(), per_factor=scores)


METRICS = {
    "infom": Metric(infom, range=(0.0, 1.0)),
    "infoc": Metric(infoc, range=(0.0, 1.0)),
    # infoe takes as long as all metrics of the default selection together.
    "infoe": Metric(infoe, range=(-math.inf, 1.0), is_cheap=False),
}
