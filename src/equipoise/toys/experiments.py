"""The experiments: their settings and their curves.

Settings are ours where the paper gives none (weights, noise and number of data in B.3 to B.5).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from equipoise.toys import factor_analysis, ica, linear_vae
from equipoise.toys.factor_analysis import Array

N = 10  # data of the factor analyses
NOISE = 0.25  # variance
SCALES = (2.0, 1.0)  # of the two components; were they equal, no rotation would matter
BETAS = (0.5, 1.0, 2.0, 5.0, 20.0)
THIRD = 0.5  # length of the component along (1, -1) in experiment 2

VARIANCES = (5.0, 2.0, 1.0, 0.4)  # of the data of the linear VAE along their principal directions
LATENTS = 6  # of the linear VAE: two more than directions
GRID = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 25.0)  # its betas, none at a threshold λ / noise

ICA_BETAS = (1.0, 5.0)  # the paper's
BUDGET = 100  # EM iterations at which the paper's figure is met
ITERATIONS = 700  # of EM; directions and number of components no longer change by then
GONE = 0.1  # a component this much shorter than the longest is pruned


@dataclass(frozen=True)
class Rotation:
    """Experiments 1 and 3: log-likelihood [T] and, by beta, free energy [T] in nats over the angle [T] in degrees."""

    angle: Array
    log_likelihood: Array
    free_energy: dict[float, Array]


@dataclass(frozen=True)
class Pruning:
    """Experiment 2: log-likelihood and free energy [A] over the share [A] of the first of two like components; nats."""

    share: Array
    log_likelihood: Array
    free_energy: Array


@dataclass(frozen=True)
class Shrinking:
    """The linear beta-VAE: by beta the eigenvalues [L] of W Wᵀ that were found, and the largest error of W Wᵀ."""

    eigenvalues: dict[float, Array]
    error: dict[float, float]


@dataclass(frozen=True)
class Learned:
    """Over-complete ICA: the weights [T + 1, L, K] from the truth on, one more an EM iteration."""

    seed: int
    beta: float
    weights: Array


def rotation() -> Rotation:
    """Log-likelihood and free energy as the latents of an orthogonal solution are rotated, half a degree at a time."""
    weights, noise = np.diag(SCALES), np.full(2, NOISE)
    moment = weights @ weights.T + np.diag(noise)
    angle = np.arange(0, 180.5, 0.5)
    turned = [factor_analysis.rotated(weights, theta) for theta in np.deg2rad(angle)]
    likelihood = np.array([factor_analysis.log_likelihood(w, noise, moment, N) for w in turned])
    free = {b: np.array([factor_analysis.free_energy(w, noise, moment, N, b) for w in turned]) for b in BETAS}
    return Rotation(angle, likelihood, free)


def pruning(share: Array) -> Pruning:
    """Log-likelihood and free energy where one component is two like ones, the first of length `share` [A]."""
    noise = np.full(2, NOISE)
    weights = [factor_analysis.duplicated(float(a), THIRD) for a in share]
    moment = weights[0] @ weights[0].T + np.diag(noise)
    likelihood = np.array([factor_analysis.log_likelihood(w, noise, moment, N) for w in weights])
    free = np.array([factor_analysis.free_energy(w, noise, moment, N) for w in weights])
    return Pruning(share, likelihood, free)


def shrinking() -> Shrinking:
    """The optimum of the linear beta-VAE in a random basis, found numerically."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((len(VARIANCES), len(VARIANCES))))[0]
    moment = basis * np.array(VARIANCES) @ basis.T
    eigenvalues, error = {}, {}
    for beta in GRID:
        weights = linear_vae.fit(moment, NOISE, LATENTS, beta, seed=0)
        eigenvalues[beta] = np.asarray(np.linalg.svd(weights, compute_uv=False) ** 2, dtype=np.float64)
        error[beta] = float(np.abs(weights @ weights.T - linear_vae.optimum(moment, NOISE, beta)).max())
    return Shrinking(eigenvalues, error)


def components(seed: int, beta: float, iterations: int, advance: Callable[[], object]) -> Learned:
    """The weights of over-complete ICA over EM iterations on the data of a seed; `advance` is called after each."""
    x, z, weights = ica.sample(seed)
    path = [weights]
    for learned in islice(ica.learn(x, z, weights, beta), iterations):
        path.append(learned)
        advance()
    return Learned(seed, beta, np.stack(path))
