"""InfoMEC: modularity, compactness and explicitness in units of information.

Source: Hsu et al. 2023, Disentanglement via latent quantization, section 4, https://arxiv.org/abs/2305.18378
"""

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from equipoise.errors import InputError
from equipoise.metrics.discretise import encoded, entropy, factor_labels, mutual_information, tables
from equipoise.metrics.inputs import Pair, once, pair, warn
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
    strict: bool = False,
    seed: Seed = 0,
) -> Score:
    """InfoM, modularity, in [0, 1]: does each active latent tell of one factor only?

    Mean over active latents of the largest share of a factor in what the latent tells, with chance mapped to 0,
    (share - 1/K) / (1 - 1/K). What it tells is I(y_k; c_j) / H(y_k), with I from the distances to the nearest
    `neighbours` of equal label (Ross 2014), or, with `discrete_latents`, from the counts of the codes' values. A
    latent is active when its range is above the share `active` of the largest range, or above 0 with
    `discrete_latents`. An active latent that tells of no factor is left out and listed; `strict` gives NaN then, as
    the published code does. Random codes have 0.6 and more: read it beside the `baseline` of shuffled codes, which
    `score` computes.

    codes: [N, L]; factors: [N, K], continuous ones cut into 10 bins. seed: of noise of 1e-10 deviations that parts
    equal codes; for codes of few values prefer `discrete_latents`, for the score then hangs on that noise (deviation
    0.001). It says nothing of the rows, so that the interval of `score` is a jackknife. NaN for one factor. The matrix
    is I / H, which can exceed 1 a little.
    """
    data, nmi, on, params = _told(codes, factors, discrete_latents, neighbours, active, seed)
    total, factors_left = nmi.sum(axis=0), len(data.kept)
    mute = on & (total == 0)
    shares = np.divide(nmi.max(axis=0), total, out=np.full(len(on), np.nan), where=on & ~mute)
    if factors_left == 1:
        warn("InfoM: with one factor there is nothing to tell apart")
        scores = np.full(len(on), np.nan)
    else:
        scores = (shares - 1 / factors_left) / (1 - 1 / factors_left)
    known = scores[on & ~mute]
    value = math.nan if factors_left == 1 or (strict and mute.any()) else float(known.mean()) if len(known) else 0.0
    return Score(
        value=value,
        n=len(data.codes),
        per_latent=scores,
        matrix=data.rows_by_factor(nmi),
        left_out=_left_out(data, on) | {f"latent {j}": "tells of no factor" for j in np.flatnonzero(mute)},
        params={**params, "strict": strict},
        seed=seed if isinstance(seed, int) else None,
    )


def infoc(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    discrete_latents: bool = False,
    neighbours: int = 10,
    active: float = 1 / 20,
    strict: bool = False,
    seed: Seed = 0,
) -> Score:
    """InfoC, compactness, in [0, 1]: is each factor told by one active latent only?

    Mean over factors of the largest share of an active latent in what they tell of the factor, with chance mapped to
    0, (share - 1/L) / (1 - 1/L) of L active latents. A factor of which none tells anything has 0; `strict` gives NaN
    then, as the published code does. NaN for one active latent.

    Parameters, seed and matrix as in `infom`.
    """
    data, nmi, on, params = _told(codes, factors, discrete_latents, neighbours, active, seed)
    total, count = nmi[:, on].sum(axis=1), int(on.sum())
    untold = total == 0
    if count == 1:
        warn("InfoC: with one active latent there is nothing to tell apart")
        scores = np.full(len(untold), np.nan)
    elif count == 0:
        scores = np.zeros(len(untold))
    else:
        shares = np.divide(nmi[:, on].max(axis=1), total, out=np.full(len(untold), 1 / count), where=~untold)
        scores = (shares - 1 / count) / (1 - 1 / count)
    return Score(
        value=math.nan if strict and untold.any() else float(scores.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(scores),
        matrix=data.rows_by_factor(nmi),
        left_out=_left_out(data, on),
        params={**params, "strict": strict},
        seed=seed if isinstance(seed, int) else None,
    )


def _told(
    codes: ArrayLike, factors: ArrayLike, discrete_latents: bool, neighbours: int, active: float, seed: Seed
) -> tuple[Pair, Floats, Any, dict[str, Any]]:
    """Checked data, I(y_k; c_j) / H(y_k) [K', L], which latents are active [L], and the parameters."""
    if neighbours < 1 or not 0 <= active < 1:
        raise InputError(f"neighbours = {neighbours}, active = {active}: expected at least 1, and from 0 to below 1")
    data = pair(codes, factors)
    key = "told", discrete_latents, neighbours, seed
    nmi = once(codes, key, lambda: _by_counts(data) if discrete_latents else _by_neighbours(data, neighbours, seed))
    ranges = np.ptp(data.codes, axis=0)
    on = ranges > (0 if discrete_latents else active * ranges.max())
    params = {"discrete_latents": discrete_latents, "neighbours": neighbours, "active": active}
    return data, nmi, on, params


def _by_counts(data: Pair) -> Floats:
    columns = [encoded(column) for column in data.codes.T]
    rows = []
    for labels, values in factor_labels(data, None):
        shared = [mutual_information(tables(labels, values, c[:, None], bins))[0] for c, bins in columns]
        rows.append(np.array(shared) / entropy(np.bincount(labels)))
    return np.stack(rows)


def _by_neighbours(data: Pair, neighbours: int, seed: Seed) -> Floats:
    deviation = np.where(data.live, data.codes.std(axis=0), 1)
    standardised = (data.codes - data.codes.mean(axis=0)) / deviation
    standardised += 1e-10 * np.random.default_rng(seed).standard_normal(standardised.shape)
    rows = [
        with_labels(standardised, labels, values, neighbours) / entropy(np.bincount(labels))
        for labels, values in factor_labels(data, None)
    ]
    return np.where(data.live, rows, 0.0)


def _left_out(data: Pair, on: Any) -> dict[str, str]:
    return data.left_out | {f"latent {j}": "inactive" for j in np.flatnonzero(~on)}


def infoe(codes: ArrayLike, factors: ArrayLike, *, discrete_latents: bool = False, iterations: int = 100) -> Score:
    """InfoE, explicitness, at most 1: how much of each factor does a linear model of all latents tell?

    (H0 - H1) / H0, mean over factors, with H1 the mean log-loss, on the rows that were fitted, of a multinomial
    logistic regression without a penalty, values of equal weight, and H0 = log V that of one that knows nothing. Below
    0 where equal weights fit worse than nothing. Where values can be parted the loss has no minimum: the fit ends after
    `iterations` steps of L-BFGS, as the published one does, which leaves about 0.02 to chance.

    codes: [N, L], standardised first, or one-hot with `discrete_latents`; factors: [N, K], continuous ones cut into
    10 bins. No matrix.
    """
    if iterations < 1:
        raise InputError(f"iterations = {iterations}: expected at least 1")
    data = pair(codes, factors)
    if discrete_latents:
        inputs = OneHotEncoder().fit_transform(data.codes)
    else:
        inputs = (data.codes - data.codes.mean(axis=0)) / np.where(data.live, data.codes.std(axis=0), 1)
    scores = np.zeros(len(data.kept))
    for k, (labels, values) in enumerate(factor_labels(data, None) if data.live.any() else []):
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is meant to end early
            fit = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=iterations).fit(inputs, labels)
            chance = fit.predict_proba(inputs)[np.arange(len(labels)), labels]
        loss = -np.log(np.maximum(chance, np.finfo(np.float64).eps)).mean()
        scores[k] = 1 - loss / math.log(values)
    return Score(
        value=float(scores.mean()),
        n=len(data.codes),
        per_factor=data.rows_by_factor(scores),
        left_out=data.left_out,
        params={"discrete_latents": discrete_latents, "iterations": iterations},
    )


_NEEDS = ("codes", "factors")
_CITATION = "Hsu, Dorrell, Whittington, Wu, Finn. Disentanglement via latent quantization. NeurIPS 2023"

METRICS = {
    "infom": Metric(
        infom,
        needs=_NEEDS,
        summary="how far each active latent tells of one factor only, by mutual information",
        citation=_CITATION,
        shuffles=True,
    ),
    "infoc": Metric(
        infoc,
        needs=_NEEDS,
        summary="how far each factor is told by one active latent only, by mutual information",
        citation=_CITATION,
        shuffles=True,
    ),
    "infoe": Metric(
        infoe,
        needs=_NEEDS,
        summary="how much of each factor a linear model of all latents tells",
        citation=_CITATION,
        cheap=False,  # as long as all cheap ones of codes and factors together
    ),
}
