"""Metrics of the aggregate posterior q(z), the mean of q(z|x) over images: information without bins, parts of the KL.

Common inputs: the means `codes` and the `logvar` [N, L] of diagonal Gaussian posteriors q(z|x), where logvar is the
logarithm of the variance, not of sigma, and `sample` [N, L], one draw z ~ q(z|x) of each. Entropies are exact over all
N posteriors and Monte Carlo over the draws, of which at most `samples` are used (10,000 as in Chen et al. 2018): the
same rows for every model, so that models can be compared.

The cost is samples x N x L exponentials, seconds at 10,000 rows; the memory is that of the inputs.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from equipoise.errors import InputError
from equipoise.metrics.discretise import Ints, entropy, factor_labels, gap, grouped
from equipoise.metrics.inputs import matching, matrix, once, pair, warn
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread

_FLOOR = -20.0  # of logvar: a sigma of 5e-5; below, a density is as good as infinite and so is the information
_FAR = 30.0  # standard deviations: no draw is so far out, and not much farther its density is 0 in float64
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
    """Mutual information gap of the aggregate posterior, from 0, without bins: does one latent alone tell a factor?

    Mean over factors of the gap between the two latents that tell most, H(z_j) - H(z_j | y_k) divided by the entropy
    of the factor. Unlike `mig` it sees the noise of the posterior: a latent as wide as the prior tells nothing, even
    if its mean moves. Perfect codes come near 1 as their noise falls below the distance of their values; Monte Carlo
    may carry them a little above.

    factors: labels [N, K] in any order and on any part of their grid; continuous ones are cut into 10 unit bins. The
    mean over the values of a factor has their frequency among the draws as weights. `exclude_factors` are left out:
    Chen et al. leave out the shape of dSprites, factor 0. The matrix is the information in nats.

    codes, logvar, sample, `samples`: see the module. A logvar below -20 counts as -20, with a warning.
    Source: Chen et al. 2018, section 4.1, https://arxiv.org/abs/1802.04942
    """
    data = pair(codes, factors)
    mean, logvars, draws = _posterior(codes, logvar, sample)
    outside = [k for k in exclude_factors if not 0 <= k < data.size]
    if outside:
        raise InputError(f"exclude_factors: factor {outside[0]}, expected 0 to {data.size - 1}")
    taken = [i for i, k in enumerate(data.kept) if k not in exclude_factors]
    if not taken:
        raise InputError("exclude_factors leaves no factor of two values; exclude fewer")
    drawn = _drawn(len(mean), samples)
    marginal = _marginals(codes, mean, logvars, draws, samples).mean(axis=0)
    labelled = factor_labels(data, None)
    information = np.full((len(labelled), mean.shape[1]), np.nan)
    gaps = np.full(len(labelled), np.nan)
    for i in taken:
        labels, values = labelled[i]
        order, sizes = grouped(labels, values)
        conditional = np.empty((len(drawn), mean.shape[1]))
        for value, rows in enumerate(np.split(order, np.cumsum(sizes)[:-1])):
            within = labels[drawn] == value
            conditional[within] = _log_marginals(draws[drawn[within]], mean[rows], logvars[rows])
        information[i] = np.maximum(conditional.mean(axis=0) - marginal, 0.0)
        gaps[i] = gap(information[i]) / entropy(sizes)
    return Score(
        value=float(gaps[taken].mean()),
        n=len(mean),
        per_factor=data.rows_by_factor(gaps),
        matrix=data.rows_by_factor(information),
        left_out=data.left_out | {f"factor {k}": "excluded" for k in exclude_factors},
        params={"samples": samples, "exclude_factors": tuple(exclude_factors)},
    )


def index_code_mi(mean: ArrayLike, logvar: ArrayLike, sample: ArrayLike, *, samples: int = 10_000) -> Score:
    """Mutual information of image and code under q, in nats: E[log q(z|x) - log q(z)], the first part of the KL.

    With `total_correlation` and `dimension_wise_kl` it adds up to `kl`. It cannot exceed log N, up to noise, and comes
    to that when posteriors do not overlap: 9.2 nats at N = 10,000. Compare at equal N.

    mean, logvar, sample, `samples`: see the module.
    Source: Chen et al. 2018, section 3, https://arxiv.org/abs/1802.04942
    """
    means, logvars, draws = _posterior(mean, logvar, sample)
    known = -0.5 * (1 + math.log(2 * math.pi) + logvars).sum(axis=1).mean()
    value = known - _joint(mean, means, logvars, draws, samples).mean()
    return Score(float(value), n=len(means), params={"samples": samples})


def total_correlation(mean: ArrayLike, logvar: ArrayLike, sample: ArrayLike, *, samples: int = 10_000) -> Score:
    """Total correlation of the code under q, in nats: E[log q(z) - sum_j log q(z_j)], the second part of the KL.

    0 for independent latents, up to the noise of Monte Carlo, which may carry it below. Where posteriors do not overlap
    it counts the finite number of images as dependence. mean, logvar, sample, `samples`: see the module.
    Source: Chen et al. 2018, section 3, https://arxiv.org/abs/1802.04942
    """
    means, logvars, draws = _posterior(mean, logvar, sample)
    joint = _joint(mean, means, logvars, draws, samples).mean()
    marginal = _marginals(mean, means, logvars, draws, samples).mean(axis=0).sum()
    return Score(float(joint - marginal), n=len(means), params={"samples": samples})


def dimension_wise_kl(mean: ArrayLike, logvar: ArrayLike, sample: ArrayLike, *, samples: int = 10_000) -> Score:
    """KL of the aggregate posterior of each latent and N(0, 1), summed over latents, in nats: the third part of the KL.

    It is against N(0, I) whatever prior the model was trained with, as `kl` is. `per_latent` has the terms of the
    sum. mean, logvar, sample, `samples`: see the module.
    Source: Chen et al. 2018, section 3, https://arxiv.org/abs/1802.04942
    """
    means, logvars, draws = _posterior(mean, logvar, sample)
    prior = -0.5 * (math.log(2 * math.pi) + means**2 + np.exp(logvars)).mean(axis=0)
    each = _marginals(mean, means, logvars, draws, samples).mean(axis=0) - prior
    return Score(float(each.sum()), n=len(means), per_latent=each, params={"samples": samples})


def _posterior(mean: ArrayLike, logvar: ArrayLike, sample: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Means, logvar of at least -20 and draws, [N, L], checked against each other."""
    means = matrix(mean, "codes").astype(np.float64, copy=False)
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
    return means, logvars, draws


def _drawn(rows: int, samples: int) -> Ints:
    """The rows whose draws are used: all, or `samples` of them, the same whenever the number of rows is."""
    if samples < 2:
        raise InputError(f"samples = {samples}: expected at least 2")
    if rows <= samples:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, samples, replace=False))


def _marginals(codes: ArrayLike, mean: Floats, logvar: Floats, draws: Floats, samples: int) -> Floats:
    """log q(z_j) of the draws used, [samples, L]."""
    used = draws[_drawn(len(mean), samples)]
    return once(codes, ("log q(z_j)", samples), lambda: _log_marginals(used, mean, logvar))


def _joint(codes: ArrayLike, mean: Floats, logvar: Floats, draws: Floats, samples: int) -> Floats:
    """log q(z) of the draws used, [samples]."""
    used = draws[_drawn(len(mean), samples)]
    return once(codes, ("log q(z)", samples), lambda: _log_joint(used, mean, logvar))


def _blocks(rows: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, rows, step))


def _log_marginals(z: Floats, mean: Floats, logvar: Floats) -> Floats:
    """Log of the mean over n of N(z_j; mean_nj, var_nj), [S, L]; z is [S, L], mean and logvar [N, L].

    The terms of the sum need no shift: with a logvar of at least -20 none overflows, and a draw of one of the
    posteriors has one that does not vanish.
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
    """Log of the mean over n of the product over j of N(z_j; mean_nj, var_nj), [S]; shapes as in `_log_marginals`."""
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


_NEEDS = ("codes", "logvar", "sample")
_CITATION = "Chen, Li, Grosse, Duvenaud. Isolating sources of disentanglement in VAEs. NeurIPS 2018"

METRICS = {
    "mig_aggregate": Metric(
        mig_aggregate,
        needs=("codes", "factors", "logvar", "sample"),
        summary="how far one latent alone tells each factor, with the noise of the posterior and without bins",
        citation=_CITATION,
        cheap=False,
    ),
    "index_code_mi": Metric(
        index_code_mi,
        needs=_NEEDS,
        summary="mutual information of image and code, in nats: the first part of the KL",
        citation=_CITATION,
        cheap=False,
        better=0,
        share=False,
    ),
    "total_correlation": Metric(
        total_correlation,
        needs=_NEEDS,
        summary="dependence between the latents of the aggregate posterior, in nats: the second part of the KL",
        citation=_CITATION,
        cheap=False,
        better=-1,
        share=False,
    ),
    "dimension_wise_kl": Metric(
        dimension_wise_kl,
        needs=_NEEDS,
        summary="distance of each latent's aggregate posterior from the standard normal prior, in nats",
        citation=_CITATION,
        cheap=False,
        better=0,
        share=False,
    ),
}
