"""Metrics of the aggregate posterior q(z), the mean of q(z|x) over images: information without bins, parts of the KL.

Entropies are exact over all N posteriors and Monte Carlo over the draws, of which at most `samples` are used (10,000 as
in Chen et al. 2018). The rows are the same for every model, so models can be compared. The cost is samples x N x L
exponentials, seconds at 10,000 rows; no more memory is needed than for the inputs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from equipoise.errors import InputError
from equipoise.metrics.discretise import Ints, entropy, factor_labels, gap, grouped
from equipoise.metrics.inputs import floats, matching, once, pair, warn
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread

_FLOOR = -20.0  # of logvar: a standard deviation of 5e-5; below it, density and information are practically infinite
_FAR = 30.0  # standard deviations: no draw is this far from its mean, and the density is soon 0 in float64
_ROWS, _DRAWS = 8192, 8  # of a block of densities: half a megabyte, which stays in the cache


def mig_aggregate(
    codes: ArrayLike,
    factors: ArrayLike,
    logvar: ArrayLike,
    sample: ArrayLike,
    *,
    samples: int = 10_000,
    exclude_factors: Sequence[int] = (),
) -> Score:
    """Mutual information gap of the aggregate posterior: `mig` with the noise of the posterior and without bins.

    The gap of H(z_j) - H(z_j | y_k) between the two latents with most information is divided by the entropy of the
    factor and averaged over factors. Unlike in `mig`, a latent as wide as the prior has no information, even if its
    mean moves. The values of a factor are weighted by their frequency among the draws.

    Args:
        codes: [N, L], posterior means.
        factors: [N, K] labels in any order and on any part of their grid; continuous ones are cut into 10 unit bins.
        logvar: [N, L], logarithm of the posterior variance; values below -20 count as -20, with a warning.
        sample: [N, L], one draw of each posterior.
        samples: largest number of draws that are included, at least 2.
        exclude_factors: factors to leave out; Chen et al. leave out the shape of dSprites, factor 0.

    Returns:
        A score in [0, 1]; `matrix` is the information in nats. Perfect codes approach 1 as their noise becomes smaller
        than the distance of their values; Monte Carlo can exceed it slightly.

    Raises:
        InputError: for arrays that do not match, a sample that is no draw of the posteriors, or excluded factors that
            do not exist or leave none.

    Source:
        Chen et al. 2018, Isolating sources of disentanglement in VAEs, section 4.1, https://arxiv.org/abs/1802.04942

    Example:
        >>> rng = np.random.default_rng(0)
        >>> factors = rng.integers((2, 2), size=(500, 2))
        >>> sample = factors + 0.01 * rng.standard_normal((500, 2))
        >>> round(mig_aggregate(factors, factors, np.full((500, 2), 2 * np.log(0.01)), sample).value, 1)
        1.0
    """
    data = pair(codes, factors)
    posterior = _posterior(codes, logvar, sample, samples)
    outside = [k for k in exclude_factors if not 0 <= k < data.size]
    if outside:
        raise InputError(f"exclude_factors: factor {outside[0]}, expected 0 to {data.size - 1}")
    included = [i for i, k in enumerate(data.columns) if k not in exclude_factors]
    if not included:
        raise InputError("exclude_factors leaves no factor of two values; exclude fewer")
    mean, logvars, sample_rows = posterior.mean, posterior.logvar, posterior.rows
    marginal = posterior.marginals(codes).mean(axis=0)
    labelled = factor_labels(data, None)
    information = np.full((len(labelled), mean.shape[1]), np.nan)
    gaps = np.full(len(labelled), np.nan)
    for i in included:
        labels, values = labelled[i]
        order, sizes = grouped(labels, values)
        conditional = np.empty((len(sample_rows), mean.shape[1]))
        for value, rows in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
            within = labels[sample_rows] == value
            conditional[within] = _log_marginals(posterior.draws[within], mean[rows], logvars[rows])
        information[i] = np.maximum(conditional.mean(axis=0) - marginal, 0.0)
        gaps[i] = gap(information[i]) / entropy(sizes)
    excluded = {f"factor {k}": "excluded" for k in exclude_factors}
    return data.score(gaps[included].mean(), per_factor=gaps, matrix=information, left_out=excluded)


def index_code_mi(codes: ArrayLike, logvar: ArrayLike, sample: ArrayLike, *, samples: int = 10_000) -> Score:
    """Mutual information of image and code under q, in nats: the first part of the KL.

    It is E[log q(z|x) - log q(z)]. With `total_correlation` and `dimension_wise_kl` it adds up to `kl`. Arguments and
    errors are those of `mig_aggregate`.

    Returns:
        A score from 0 to log N nats, up to noise. It is log N (9.2 nats at N = 10,000) if the posteriors do not
        overlap. Compare at equal N.

    Source:
        Chen et al. 2018, Isolating sources of disentanglement in VAEs, section 3, https://arxiv.org/abs/1802.04942

    Example:
        >>> codes, noise = np.arange(4.0)[:, None], np.full((4, 1), 1e-3)
        >>> round(index_code_mi(codes, 2 * np.log(noise), codes + noise).value, 1)  # log 4 and the noise of four draws
        1.4
    """
    posterior = _posterior(codes, logvar, sample, samples)
    given_image = -0.5 * (1 + math.log(2 * math.pi) + posterior.logvar).sum(axis=1).mean()
    return Score(float(given_image - posterior.joint(codes).mean()), n=len(posterior.mean))


def total_correlation(codes: ArrayLike, logvar: ArrayLike, sample: ArrayLike, *, samples: int = 10_000) -> Score:
    """Total correlation of the code under q, in nats: the dependence between latents, the second part of the KL.

    It is E[log q(z) - sum_j log q(z_j)]. Arguments and errors are those of `mig_aggregate`.

    Returns:
        A score of at least 0 nats, 0 for independent latents, up to the noise of Monte Carlo, which can make it
        negative. If the posteriors do not overlap, the finite number of images counts as dependence.

    Source:
        As `index_code_mi`.

    Example:
        >>> codes = np.random.default_rng(0).standard_normal((100, 1))
        >>> abs(total_correlation(codes, np.zeros((100, 1)), codes + 1).value) < 1e-9  # a single latent
        True
    """
    posterior = _posterior(codes, logvar, sample, samples)
    value = posterior.joint(codes).mean() - posterior.marginals(codes).mean(axis=0).sum()
    return Score(float(value), n=len(posterior.mean))


def dimension_wise_kl(codes: ArrayLike, logvar: ArrayLike, sample: ArrayLike, *, samples: int = 10_000) -> Score:
    """KL of the aggregate posterior of each latent and N(0, 1), in nats, summed over latents: the last part of the KL.

    It is against N(0, I) whatever prior the model was trained with, as `kl` is. Arguments and errors are those of
    `mig_aggregate`.

    Returns:
        A score of at least 0 nats, up to noise; `per_latent` has the terms of the sum.

    Source:
        As `index_code_mi`.

    Example:
        >>> sample = np.random.default_rng(0).standard_normal((1000, 1))
        >>> abs(dimension_wise_kl(np.zeros((1000, 1)), np.zeros((1000, 1)), sample).value) < 0.1
        True
    """
    posterior = _posterior(codes, logvar, sample, samples)
    prior = -0.5 * (math.log(2 * math.pi) + posterior.mean**2 + np.exp(posterior.logvar)).mean(axis=0)
    each = posterior.marginals(codes).mean(axis=0) - prior
    return Score(float(each.sum()), n=len(posterior.mean), per_latent=each)


@dataclass(frozen=True)
class _Posterior:
    """Checked posteriors of N images: mean and logvar [N, L], the used rows [S], and their draws [S, L]."""

    mean: Floats
    logvar: Floats
    rows: Ints
    draws: Floats

    def marginals(self, codes: ArrayLike) -> Floats:
        """Return log q(z_j) of the draws, [S, L], computed once for the same `Codes`."""
        key = "log q(z_j)", len(self.rows)
        return once(codes, key, lambda: _log_marginals(self.draws, self.mean, self.logvar))

    def joint(self, codes: ArrayLike) -> Floats:
        """Return log q(z) of the draws, [S], computed once for the same `Codes`."""
        return once(codes, ("log q(z)", len(self.rows)), lambda: _log_joint(self.draws, self.mean, self.logvar))


def _posterior(codes: ArrayLike, logvar: ArrayLike, sample: ArrayLike, samples: int) -> _Posterior:
    """Check the arrays against each other, and choose the same rows whenever their number is the same."""
    if samples < 2:
        raise InputError(f"samples = {samples}: expected at least 2")
    means = floats(codes, "codes")
    logvars, draws = matching(logvar, means, "logvar"), matching(sample, means, "sample")
    if logvars.min() < _FLOOR:
        warn(
            f"a logvar of {logvars.min():.3g} counts as {_FLOOR:g}: the information of a code without noise is infinite"
        )
        logvars = np.maximum(logvars, _FLOOR)
    off = np.abs(draws - means)
    if not off.any():
        raise InputError("sample equals the posterior means: pass one draw of each posterior, mean + sigma * noise")
    away = (off * np.exp(-0.5 * logvars)).max()
    if away > _FAR:
        raise InputError(
            f"a sample is {away:.3g} standard deviations from its mean: pass draws of the same posteriors, "
            "and the logarithm of the variance as logvar"
        )
    rows = np.arange(len(means))
    if samples < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(len(means), samples, replace=False))
    return _Posterior(means, logvars, rows, draws[rows])


def _blocks(rows: int, step: int) -> Iterator[slice]:
    """Return slices of `step` rows."""
    return (slice(start, start + step) for start in range(0, rows, step))


def _log_marginals(z: Floats, mean: Floats, logvar: Floats) -> Floats:
    """Return the log of the mean over n of N(z_j; mean_nj, var_nj), [S, L]; z [S, L], mean and logvar [N, L].

    The terms of the sum need no shift: none overflows for a logvar of at least -20, and the term of a draw's own
    posterior does not vanish.
    """
    peak, curve = np.exp(-0.5 * (logvar + math.log(2 * math.pi))), -0.5 * np.exp(-logvar)
    out = np.zeros(z.shape)
    with one_thread():
        for j in range(z.shape[1]):
            for rows in _blocks(len(mean), _ROWS):
                m, c, p = mean[rows, j], curve[rows, j], peak[rows, j]
                for some in _blocks(len(z), _DRAWS):
                    block = z[some, j, None] - m
                    block *= block
                    block *= c
                    np.exp(block, out=block)
                    out[some, j] += block @ p
    return np.log(out) - math.log(len(mean))


def _log_joint(z: Floats, mean: Floats, logvar: Floats) -> Floats:
    """Return the log of the mean over n of the product over j of N(z_j; mean_nj, var_nj), [S]; see `_log_marginals`."""
    peak, curve = -0.5 * (logvar + math.log(2 * math.pi)).sum(axis=1), -0.5 * np.exp(-logvar)
    out = np.full(len(z), -np.inf)
    for rows in _blocks(len(mean), _ROWS):
        for some in _blocks(len(z), _DRAWS):
            block = np.zeros((len(z[some]), len(peak[rows])))
            for j in range(z.shape[1]):
                part = z[some, j, None] - mean[rows, j]
                part *= part
                part *= curve[rows, j]
                block += part
            block += peak[rows]
            largest = block.max(axis=1)
            block -= largest[:, None]
            out[some] = np.logaddexp(out[some], largest + np.log(np.exp(block, out=block).sum(axis=1)))
    return out - math.log(len(mean))


METRICS = {
    "mig_aggregate": Metric(mig_aggregate, range=(0.0, 1.0), is_cheap=False),
    "index_code_mi": Metric(index_code_mi, range=(0.0, math.inf), better=0, is_cheap=False),
    "total_correlation": Metric(total_correlation, range=(0.0, math.inf), better=-1, is_cheap=False),
    "dimension_wise_kl": Metric(dimension_wise_kl, range=(0.0, math.inf), better=0, is_cheap=False),
}
