"""The linear beta-VAE with known noise: how beta shrinks and prunes once the weights are fitted, too.

x|z ~ N(W z, noise I), data with second moment S. At fixed weights beta leaves the best directions alone; the best
weights themselves lose beta times the noise in each principal direction (after Lucas et al., 2019, beta = 1,
https://arxiv.org/abs/1911.02469).
"""

import numpy as np
from scipy.optimize import minimize

from equipoise.toys.factor_analysis import Array, free_energy, posterior


def optimum(moment: Array, noise: float, beta: float) -> Array:
    """W Wᵀ [L, L] of the minimum of R + beta K: Σ_k max(λ_k - beta noise, 0) u_k u_kᵀ over the eigenpairs of S.

    A direction whose variance λ_k is beta times the noise, or less, is pruned.
    """
    variance, directions = np.linalg.eigh(moment)
    return np.asarray((directions * np.maximum(variance - beta * noise, 0)) @ directions.T)


def fit(moment: Array, noise: float, latents: int, beta: float, seed: int) -> Array:
    """Weights [L, latents] that minimise R + beta K, found numerically from random ones.

    The encoder is always the best one for the weights, so what is maximised is the free energy of one datum.
    """
    size = len(moment)
    diagonal = np.full(size, noise)
    start = np.random.default_rng(seed).standard_normal(size * latents)

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(size, latents)
        value = free_energy(weights, diagonal, moment, 1, beta)
        return -value, -gradient(weights, diagonal, moment, beta).ravel()

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-10, "maxiter": 5000})
    return np.asarray(found.x.reshape(size, latents))


def gradient(weights: Array, noise: Array, moment: Array, beta: float) -> Array:
    """Derivative [L, K] of the free energy of one datum by the weights; q is at its best and so contributes nothing."""
    _, recognition, variances = posterior(weights, noise, beta)
    second = recognition @ moment @ recognition.T + np.diag(variances)  # mean of E_q z zᵀ
    return np.asarray((moment @ recognition.T - weights @ second) / noise[:, None] / beta)
