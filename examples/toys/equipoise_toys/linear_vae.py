"""The linear beta-VAE with known noise: what beta does to weights that are fitted.

x|z ~ N(W z, noise I), data with second moment S. At fixed weights beta does not change the best directions. The best
weights lose beta times the noise in each principal direction (Lucas et al., 2019, for beta = 1,
https://arxiv.org/abs/1911.02469).
"""

import numpy as np
from scipy.optimize import minimize

from equipoise_toys.factor_analysis import Array, free_energy, posterior


def optimum(moment: Array, noise: float, beta: float) -> Array:
    """Return W Wᵀ [L, L] at the minimum of R + beta K: Σ_k max(λ_k - beta noise, 0) u_k u_kᵀ over the eigenpairs of S.

    A direction is pruned where its variance λ_k is at most beta times the noise.
    """
    variance, directions = np.linalg.eigh(moment)
    return np.asarray((directions * np.maximum(variance - beta * noise, 0)) @ directions.T)


def fit(moment: Array, noise: float, latents: int, beta: float, seed: int) -> Array:
    """Minimise R + beta K numerically from random weights and return the weights [L, latents].

    The encoder is the best one for the weights at every step, so the free energy of one datum is maximised.
    """
    size = len(moment)
    diagonal = np.full(size, noise)
    start = np.random.default_rng(seed).standard_normal(size * latents)

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(size, latents)
        value = free_energy(weights, diagonal, moment, 1, beta)
        return -value, -gradient(weights, diagonal, moment, beta).ravel()

    solution = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-10, "maxiter": 5000})
    return np.asarray(solution.x.reshape(size, latents))


def gradient(weights: Array, noise: Array, moment: Array, beta: float) -> Array:
    """Return the derivative [L, K] of the free energy of one datum by the weights, at the best q for these weights."""
    _, recognition, variances = posterior(weights, noise, beta)
    second = recognition @ moment @ recognition.T + np.diag(variances)  # mean of E_q z zᵀ
    return np.asarray((moment @ recognition.T - weights @ second) / noise[:, None] / beta)
