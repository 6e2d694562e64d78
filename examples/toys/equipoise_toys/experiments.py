"""The experiments: their settings and their curves.

The paper does not give weights, noise and number of data in B.3 to B.5: these settings are our choice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from equipoise_toys import factor_analysis, ica, linear_vae
from equipoise_toys.factor_analysis import Array

N = 10  # data of the factor analyses
NOISE = 0.25  # variance
SCALES = (2.0, 1.0)  # of the two components; with equal scales a rotation has no effect
BETAS = (0.5, 1.0, 2.0, 5.0, 20.0)
THIRD = 0.5  # length of the component along (1, -1) in experiment 2

VARIANCES = (5.0, 2.0, 1.0, 0.4)  # of the data of the linear VAE along their principal directions
LATENTS = 6  # of the linear VAE: two more than directions
GRID = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 25.0)  # its betas; none is at a threshold λ / noise

ICA_BETAS = (1.0, 5.0)  # the paper's
BUDGET = 100  # EM iterations after which the result looks like the paper's figure
ITERATIONS = 700  # of EM; directions and number of components no longer change after these
GONE = 0.1  # a component is pruned below this fraction of the longest one


@dataclass(frozen=True)
class Rotation:
    """Experiments 1 and 3: log-likelihood [T] and, by beta, free energy [T] in nats over the angle [T] in degrees."""

    angle: Array
    log_likelihood: Array
    free_energy: dict[float, Array]


@dataclass(frozen=True)
class Pruning:
    """Experiment 2: log-likelihood and free energy [A] over the length `share` [A] of the first of two copies; nats."""

    share: Array
    log_likelihood: Array
    free_energy: Array


@dataclass(frozen=True)
class Shrinking:
    """The linear beta-VAE: by beta the eigenvalues [L] of W Wᵀ after the fit, and the largest error of W Wᵀ."""

    eigenvalues: dict[float, Array]
    error: dict[float, float]


@dataclass(frozen=True)
class Learned:
    """Over-complete ICA: the true weights, then those after each EM iteration, [T + 1, L, K]."""

    seed: int
    beta: float
    weights: Array


def rotation() -> Rotation:
    """Rotate the latents of an orthogonal solution in steps of half a degree."""
    weights, noise = np.diag(SCALES), np.full(2, NOISE)
    moment = weights @ weights.T + np.diag(noise)
    angle = np.arange(0, 180.5, 0.5)
    turned = [factor_analysis.rotated(weights, theta) for theta in np.deg2rad(angle)]
    likelihood = np.array([factor_analysis.log_likelihood(w, noise, moment, N) for w in turned])
    free = {b: np.array([factor_analysis.free_energy(w, noise, moment, N, b) for w in turned]) for b in BETAS}
    return Rotation(angle, likelihood, free)


def pruning(share: Array) -> Pruning:
    """Divide one component into two parallel ones, the first of length `share` [A]."""
    noise = np.full(2, NOISE)
    weights = [factor_analysis.duplicated(float(a), THIRD) for a in share]
    moment = weights[0] @ weights[0].T + np.diag(noise)
    likelihood = np.array([factor_analysis.log_likelihood(w, noise, moment, N) for w in weights])
    free = np.array([factor_analysis.free_energy(w, noise, moment, N) for w in weights])
    return Pruning(share, likelihood, free)


def shrinking() -> Shrinking:
    """Fit the linear beta-VAE numerically in a random basis, for each beta."""
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((len(VARIANCES), len(VARIANCES))))[0]
    moment = basis * np.array(VARIANCES) @ basis.T
    eigenvalues, error = {}, {}
    for beta in GRID:
        weights = linear_vae.fit(moment, NOISE, LATENTS, beta, seed=0)
        eigenvalues[beta] = np.asarray(np.linalg.svd(weights, compute_uv=False) ** 2, dtype=np.float64)
        error[beta] = float(np.abs(weights @ weights.T - linear_vae.optimum(moment, NOISE, beta)).max())
    return Shrinking(eigenvalues, error)


def components(seed: int, beta: float, iterations: int, advance: Callable[[], object]) -> Learned:
    """Learn over-complete ICA by EM on the data of a seed; `advance` is called after each iteration."""
    x, z, weights = ica.sample(seed)
    path = [weights]
    for learned in islice(ica.learn(x, z, weights, beta), iterations):
        path.append(learned)
        advance()
    return Learned(seed, beta, np.stack(path))
