"""Factor analysis x = W z + e with a factorised posterior, in closed form (Stühmer et al., 2020, appendix B.2 to B.5).

z ~ N(0, I) [K], e ~ N(0, diag(noise)) [L]. All results depend on the n data x through their second moment S = mean of
x xᵀ, [L, L], and are in nats, summed over the n data. The free energy has the scaling of the paper's B.2,

    F = E_q log p(x|z) / beta - KL(q || p),

in which beta = 1 / M acts as M copies of each datum. The paper's Eq. 13 is beta F; both have the same optima.
The paper's text is corrected in three places: the recognition weights R use the posterior covariance, not its inverse;
the trace over the posterior variances is tr(Wᵀ D⁻¹ W Σ_q); and a rotation of the latents multiplies W from the right
(from the left it rotates the data and changes the likelihood).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Posterior(NamedTuple):
    """p(z|x) under the likelihood to the power 1 / beta, and the best factorised Gaussian q (same mean)."""

    precision: Array  # [K, K] of p
    recognition: Array  # [K, L]; the mean of p and of q is recognition @ x
    variances: Array  # [K] of q


def posterior(weights: Array, noise: Array, beta: float = 1.0) -> Posterior:
    """Return the posterior of the latents and its factorised approximation; weights [L, K], noise variances [L]."""
    scaled = weights.T / noise / beta
    precision = scaled @ weights + np.eye(weights.shape[1])
    return Posterior(precision, np.asarray(np.linalg.solve(precision, scaled), np.float64), 1 / np.diag(precision))


def log_likelihood(weights: Array, noise: Array, moment: Array, n: int) -> float:
    """Return log p(x) of n data with second moment `moment` [L, L], in nats."""
    covariance = weights @ weights.T + np.diag(noise)
    logdet = np.linalg.slogdet(2 * np.pi * covariance)[1]
    return float(-0.5 * n * (logdet + np.trace(np.linalg.solve(covariance, moment))))


def free_energy(weights: Array, noise: Array, moment: Array, n: int, beta: float = 1.0) -> float:
    """Return E_q log p(x|z) / beta - KL(q || p) of n data under the best factorised q, in nats (B.2, Eq. 16)."""
    _, recognition, variances = posterior(weights, noise, beta)
    missed = np.eye(len(weights)) - weights @ recognition  # x - W E[z|x] = missed @ x
    error = np.sum((missed @ moment @ missed.T).diagonal() / noise) + np.sum(weights.T**2 / noise * variances[:, None])
    fit = -0.5 * n * (error + np.sum(np.log(2 * np.pi * noise)))
    square = np.trace(recognition @ moment @ recognition.T)  # mean of |E[z|x]|²
    kl = 0.5 * n * (square + np.sum(variances - np.log(variances) - 1))
    return float(fit / beta - kl)


def gap(weights: Array, noise: Array, n: int, beta: float = 1.0) -> float:
    """Return the loss of free energy due to a factorised q, in nats: n / 2 log(prod Λ_kk / det Λ), Λ the precision.

    At beta = 1 it is the log-likelihood minus the free energy. It is 0 where the columns of W are orthogonal in the
    metric of the noise, and positive elsewhere (Hadamard's inequality).
    """
    precision = posterior(weights, noise, beta).precision
    return float(0.5 * n * (np.sum(np.log(np.diag(precision))) - np.linalg.slogdet(precision)[1]))


def rotated(weights: Array, theta: float) -> Array:
    """Rotate the two latents of `weights` [L, 2] by `theta` radians. The likelihood does not change."""
    cos, sin = np.cos(theta), np.sin(theta)
    return np.asarray(weights @ np.array([[cos, -sin], [sin, cos]]))


def rotation_gap(theta: float, scales: tuple[float, float], noise: float, n: int, beta: float = 1.0) -> float:
    """Return the gap in nats of two orthogonal columns of lengths `scales` after a rotation by `theta`, equal noise."""
    first, second = (scale**2 / noise / beta for scale in scales)
    tie = ((first - second) * np.sin(2 * theta)) ** 2 / (4 * (1 + first) * (1 + second))
    return float(0.5 * n * np.log1p(tie))


def duplicated(share: float, third: float) -> Array:
    """Return the weights [2, 3] of Eq. 17: two columns along (1, 1) and one of length `third` along (1, -1).

    The two have lengths `share` and sqrt(1 - share²). The likelihood is the same for every share in [0, 1].
    """
    first, second = share, np.sqrt(1 - share**2)
    return np.asarray(np.array([[first, second, third], [first, second, -third]]) / np.sqrt(2))


def duplication_gap(share: float, noise: float, n: int, beta: float = 1.0) -> float:
    """Return the gap in nats of `duplicated` weights, equal noise. It is 0 where one of the two copies has length 0."""
    square = share**2 * (1 - share**2)
    return float(0.5 * n * np.log1p(square / (beta * noise * (1 + beta * noise))))
