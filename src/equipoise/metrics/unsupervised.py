"""Metrics of the dependence between latents, from the codes alone. 0 means independent, not disentangled."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from equipoise.metrics import discretise
from equipoise.metrics.inputs import CONSTANT, constant, floats, varies, warn
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread


def mutual_information(codes: ArrayLike, *, bins: int = 20) -> Score:
    """Mean mutual information of two latents, in nats, from binned codes.

    The plug-in estimate is biased upwards by about (bins - 1)^2 / (2N), 0.02 nats at N = 10,000.

    Args:
        codes: [N, L] floats. Constant latents have no information and count among the pairs.
        bins: number of equal bins of the range of each latent.

    Returns:
        A score of at least 0 nats, 0 for a single latent. `per_latent` is the mean over the other latents, `matrix` is
        [L, L] in nats with 0 on the diagonal.

    Raises:
        InputError: for codes that are not a finite matrix, and for fewer than 2 bins.

    Source:
        Locatello et al. 2019, Challenging common assumptions in the unsupervised learning of disentangled
        representations, https://arxiv.org/abs/1811.12359

    Example:
        >>> latent = np.random.default_rng(0).integers(2, size=(1000, 1))
        >>> round(mutual_information(np.hstack([latent, latent])).value, 2)  # log 2
        0.69
    """
    z, live = _checked(codes)
    if len(z) < bins:
        warn(f"fewer rows than bins ({len(z)} < {bins}): mutual information is then mostly bias")
    cells = discretise.binned_codes(codes, z, bins, "range")
    mutual = np.zeros((len(live), len(live)))
    for i in range(len(live) - 1):
        counts = discretise.tables(cells[:, i], bins, cells[:, i + 1 :], bins)
        mutual[i, i + 1 :] = discretise.mutual_information(counts)
    mutual += mutual.T
    each = mutual.sum(axis=1) / max(len(live) - 1, 1)
    return Score(float(each.mean()), n=len(z), per_latent=each, matrix=mutual)


def gaussian_tc(codes: ArrayLike) -> Score:
    """Total correlation of a Gaussian with the covariance of the codes, in nats: their linear dependence.

    It is half of the sum of the logarithms of the variances minus the logarithm of the determinant. The scale of a
    latent does not matter.

    Args:
        codes: [N, L] floats; constant latents are left out.

    Returns:
        A score of at least 0 nats; infinite if a latent is a linear combination of others, or if there are no more rows
        than latents.

    Raises:
        InputError: for codes that are not a finite matrix.

    Source:
        Locatello et al. 2019, Challenging common assumptions in the unsupervised learning of disentangled
        representations, https://arxiv.org/abs/1811.12359

    Example:
        >>> round(gaussian_tc([[0, 0], [0, 1], [1, 0], [1, 1]]).value, 6)
        0.0
    """
    z, live = _checked(codes)
    columns, _ = _standardised(z[:, live])
    values = _singular(columns)
    least = np.finfo(np.float64).eps * max(columns.shape)  # smaller singular values are 0 up to rounding
    total = math.inf if (values <= least).any() else -float(np.log(values).sum())
    return Score(max(0.0, total), n=len(z), left_out=constant(live))


def wasserstein(codes: ArrayLike) -> Score:
    """Squared Wasserstein distance of two Gaussians, one with the covariance of the codes, one with its diagonal.

    It is 2 tr S - 2 tr (S D)^(1/2), with S the covariance and D its diagonal.

    Args:
        codes: [N, L] floats; constant latents are left out.

    Returns:
        A score of at least 0 in the unit of the codes squared, so latents with a large variance dominate. `extra` has
        the distance divided by tr S as "normalised", and the "effective_rank" of S, 1 to L: the exponential of the
        entropy of its normalised eigenvalues.

    Raises:
        InputError: for codes that are not a finite matrix.

    Source:
        Locatello et al. 2019, Challenging common assumptions in the unsupervised learning of disentangled
        representations, https://arxiv.org/abs/1811.12359; effective rank: Roy and Vetterli 2007, EUSIPCO

    Example:
        >>> round(wasserstein([[0, 0], [0, 1], [1, 0], [1, 1]]).value, 6)
        0.0
    """
    z, live = _checked(codes)
    columns, deviations = _standardised(z[:, live])
    largest = deviations.max(initial=0.0)
    if largest == 0:
        return Score(0.0, n=len(z), left_out=constant(live), extra={"normalised": 0.0, "effective_rank": 0.0})
    relative = deviations / largest
    # tr (S D)^(1/2) is the sum of the singular values of the columns with their variance as norm, which needs no
    # square root of a matrix.
    total = float((relative**2).sum())
    distance = max(2 * (total - float(_singular(columns * relative**2).sum())), 0.0)
    eigenvalues = _singular(columns * relative) ** 2 / total
    with np.errstate(over="ignore"):  # the square of a very large deviation is infinite
        value = float(distance * largest**2)
    return Score(
        value,
        n=len(z),
        left_out=constant(live),
        extra={"normalised": distance / total, "effective_rank": float(np.exp(entr(eigenvalues).sum()))},
    )


def _checked(codes: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Return codes [N, L] and whether each latent takes more than one value."""
    z = floats(codes, "codes")
    live = varies(z)
    if not live.any():
        warn(CONSTANT)
    return z, live


def _standardised(columns: Floats) -> tuple[Floats, Floats]:
    """Return columns, none constant, with mean 0 and norm 1, and their standard deviations (divided by N - 1)."""
    spread = np.ptp(columns, axis=0)  # divided by first, so that no square overflows
    columns = (columns - columns[0]) / spread
    columns -= columns.mean(axis=0)
    norms = np.sqrt(np.einsum("nl,nl->l", columns, columns))
    return columns / norms, spread * norms / math.sqrt(len(columns) - 1)


def _singular(columns: Floats) -> Floats:
    """Return the singular values of a matrix."""
    with one_thread():
        return np.asarray(np.linalg.svd(columns, compute_uv=False), dtype=np.float64)


METRICS = {
    "mutual_information": Metric(mutual_information, range=(0.0, math.inf), better=-1),
    "gaussian_tc": Metric(gaussian_tc, range=(0.0, math.inf), better=-1),
    "wasserstein": Metric(wasserstein, range=(0.0, math.inf), better=-1),
}
