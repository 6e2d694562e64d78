"""Metrics of the dependence between latents, from the codes alone: 0 says independent, not disentangled."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from equipoise.metrics import discretise
from equipoise.metrics.inputs import CONSTANT, matrix, varies, warn
from equipoise.metrics.result import Floats, Metric, Score
from equipoise.metrics.threads import one_thread


def mutual_information(codes: ArrayLike, *, bins: int = 20) -> Score:
    """Mean mutual information of two latents, in nats, from 0; each latent cut into `bins` equal bins of its range.

    The plug-in estimate is biased upwards by about (bins - 1)^2 / (2N): 0.02 nats at N = 10,000. A constant latent
    shares nothing and counts among the pairs; a lone latent has none, which is 0. `per_latent` is the mean over the
    others. The matrix is [L, L], in nats, 0 on the diagonal.

    codes: [N, L]. Source: Locatello et al. 2019, Challenging common assumptions, https://arxiv.org/abs/1811.12359
    """
    z, live = _checked(codes)
    if len(z) < bins:
        warn(f"fewer rows than bins ({len(z)} < {bins}): mutual information is then mostly bias")
    cells = discretise.binned_codes(codes, z, bins, "range")
    shared = np.zeros((len(live), len(live)))
    for i in range(len(live) - 1):
        shared[i, i + 1 :] = discretise.mutual_information(
            discretise.tables(cells[:, i], bins, cells[:, i + 1 :], bins)
        )
    shared += shared.T
    each = shared.sum(axis=1) / max(len(live) - 1, 1)
    return Score(float(each.mean()), n=len(z), per_latent=each, matrix=shared, params={"bins": bins})


def gaussian_tc(codes: ArrayLike) -> Score:
    """Total correlation of a Gaussian with the covariance of the codes, in nats, from 0.

    Half of the sum of the logarithms of the variances minus that of the determinant: what a linear view sees of the
    dependence between latents. Infinite where a latent is a combination of others, or with fewer rows than latents.
    The scale of a latent does not matter; constant ones are left out.

    codes: [N, L]. Source: Locatello et al. 2019, Challenging common assumptions, https://arxiv.org/abs/1811.12359
    """
    z, live = _checked(codes)
    columns, _ = _standardised(z[:, live])
    values = _singular(columns)
    least = np.finfo(np.float64).eps * max(columns.shape)  # where a singular value is 0 but for rounding
    total = math.inf if (values <= least).any() else -float(np.log(values).sum())
    return Score(max(0.0, total), n=len(z), left_out=_constant(live))


def wasserstein(codes: ArrayLike) -> Score:
    """Wasserstein distance squared, from 0, of Gaussians with the codes' covariance and with its diagonal alone.

    2 tr S - 2 tr (S D)^(1/2) with S the covariance and D its diagonal. It has the unit of the codes squared, so that
    latents of large variance decide; `extra` has it divided by tr S, "normalised", and the effective rank of S, the
    exponential of the entropy of its eigenvalues' shares, which is 1 to L. Constant latents are left out.

    codes: [N, L]. Source: Locatello et al. 2019, Challenging common assumptions, https://arxiv.org/abs/1811.12359;
    effective rank: Roy and Vetterli 2007, The effective rank, EUSIPCO
    """
    z, live = _checked(codes)
    columns, deviations = _standardised(z[:, live])
    largest = deviations.max(initial=0.0)
    if largest == 0:
        return Score(0.0, n=len(z), left_out=_constant(live), extra={"normalised": 0.0, "effective_rank": 0.0})
    relative = deviations / largest
    # tr (S D)^(1/2) is the sum of the singular values of the columns with their variance as norm: no root of a matrix.
    total = float((relative**2).sum())
    distance = max(2 * (total - float(_singular(columns * relative**2).sum())), 0.0)
    shares = _singular(columns * relative) ** 2 / total
    with np.errstate(over="ignore"):  # the square of the largest deviations is infinite
        value = float(distance * largest**2)
    return Score(
        value,
        n=len(z),
        left_out=_constant(live),
        extra={"normalised": distance / total, "effective_rank": float(np.exp(entr(shares).sum()))},
    )


def _checked(codes: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Codes [N, L] and whether each latent takes more than one value."""
    z = matrix(codes, "codes").astype(np.float64, copy=False)
    live = varies(z)
    if not live.any():
        warn(CONSTANT)
    return z, live


def _constant(live: NDArray[np.bool_]) -> dict[str, str]:
    return {f"latent {j}": "constant" for j in np.flatnonzero(~live)}


def _standardised(columns: Floats) -> tuple[Floats, Floats]:
    """Columns of mean 0 and norm 1, and their standard deviations (divided by N - 1); none of them constant."""
    spread = np.ptp(columns, axis=0)  # divided by first, so that no square overflows
    columns = (columns - columns[0]) / spread
    columns -= columns.mean(axis=0)
    norms = np.sqrt(np.einsum("nl,nl->l", columns, columns))
    return columns / norms, spread * norms / math.sqrt(len(columns) - 1)


def _singular(columns: Floats) -> Floats:
    with one_thread():
        return np.asarray(np.linalg.svd(columns, compute_uv=False), dtype=np.float64)


_CITATION = (
    "Locatello et al. Challenging common assumptions in the unsupervised learning of disentangled representations. "
    "ICML 2019"
)

METRICS = {
    "mutual_information": Metric(
        mutual_information,
        needs=("codes",),
        summary="how much two latents share on average, in nats",
        citation=_CITATION,
        better=-1,
        share=False,
    ),
    "gaussian_tc": Metric(
        gaussian_tc,
        needs=("codes",),
        summary="linear dependence between all latents, in nats: total correlation of a Gaussian of their covariance",
        citation=_CITATION,
        better=-1,
        share=False,
    ),
    "wasserstein": Metric(
        wasserstein,
        needs=("codes",),
        summary="linear dependence between all latents: Wasserstein distance of their covariance from its diagonal",
        citation=_CITATION,
        better=-1,
        share=False,
    ),
}
