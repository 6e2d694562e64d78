"""Over-complete independent component analysis by beta-VI (Stühmer et al., 2020, Figure 1 and appendix B.7, B.8).

x = W z + e, each z_k Student-t with `degrees` of freedom, e ~ N(0, noise I), fewer observed dimensions than
components. Each datum has its own factorised Gaussian q. W is learned; noise and prior are fixed at their true values,
and learning starts at the true W. The paper does not give the number of data, noise, angles and steps: these are our
choice.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite import hermgauss
from scipy.optimize import minimize
from scipy.special import gammaln

from equipoise_toys.factor_analysis import Array

DEGREES = 3.5  # of freedom (B.8): tails so heavy that the fourth moment is infinite
NOISE = 0.01  # variance
ANGLES = (0.0, 60.0, 120.0)  # of the true components, degrees
DATA = 300

# E f(e) for e ~ N(0, 1) is Σ f(node) mass, exact for polynomials up to degree 59.
NODES, MASS = hermgauss(30)
NODES, MASS = NODES * np.sqrt(2), MASS / np.sqrt(np.pi)


class Posteriors(NamedTuple):
    """The Gaussian q of every datum: means and log standard deviations, [N, K] each."""

    mean: Array
    log_std: Array


def sample(
    seed: int, n: int = DATA, angles: Sequence[float] = ANGLES, noise: float = NOISE, degrees: float = DEGREES
) -> tuple[Array, Array, Array]:
    """Draw data x [n, 2]; return them with their true latents z [n, K] and the true weights [2, K].

    The columns of the weights have length 1 and lie at `angles`, in degrees.
    """
    generator = np.random.default_rng(seed)
    radians = np.deg2rad(angles)
    weights = np.stack([np.cos(radians), np.sin(radians)])
    z = generator.standard_t(degrees, (n, len(radians)))
    x = z @ weights.T + np.sqrt(noise) * generator.standard_normal((n, 2))
    return x, z, weights


def free_energy(
    x: Array, weights: Array, q: Posteriors, beta: float, noise: float = NOISE, degrees: float = DEGREES
) -> tuple[float, Posteriors]:
    """Return E_q log p(x|z) / beta - KL(q || p) in nats, summed over data, and its derivatives by both parts of q.

    Likelihood and entropy are analytic; E_q log p(z) is computed by Gauss-Hermite quadrature.
    """
    mean, log_std = q
    std = np.exp(log_std)
    residual = x - mean @ weights.T
    curvature = np.sum(weights**2, axis=0) / (noise * beta)  # [K]
    fit = -0.5 * (np.sum(residual**2) / noise + x.size * np.log(2 * np.pi * noise)) / beta
    fit -= 0.5 * np.sum(curvature * std**2)
    entropy = np.sum(log_std) + 0.5 * mean.size * np.log(2 * np.pi * np.e)

    log_tail, pull, pull_std = np.zeros((3, *mean.shape))
    for node, mass in zip(NODES, MASS, strict=True):  # one node at a time needs less memory
        z = mean + node * std
        tail = degrees + z**2
        log_tail += mass * np.log(tail)
        z *= mass / tail
        pull += z
        pull_std += node * z
    constant = gammaln((degrees + 1) / 2) - gammaln(degrees / 2) - 0.5 * np.log(degrees * np.pi)
    constant += 0.5 * (degrees + 1) * np.log(degrees)
    prior = mean.size * constant - 0.5 * (degrees + 1) * np.sum(log_tail)

    by_mean = residual @ weights / (noise * beta) - (degrees + 1) * pull
    by_log_std = 1 - curvature * std**2 - (degrees + 1) * std * pull_std
    return float(fit + entropy + prior), Posteriors(by_mean, by_log_std)


def e_step(
    x: Array,
    weights: Array,
    q: Posteriors,
    beta: float,
    noise: float = NOISE,
    degrees: float = DEGREES,
    iterations: int = 20,
) -> Posteriors:
    """Improve q for all data at once by at most `iterations` quasi-Newton steps on the free energy."""
    shape = q.mean.shape

    def unpack(flat: Array) -> Posteriors:
        mean, log_std = flat.reshape(2, *shape)
        return Posteriors(mean, log_std)

    def loss(flat: Array) -> tuple[float, Array]:
        value, slope = free_energy(x, weights, unpack(flat), beta, noise, degrees)
        return -value, -np.stack(slope).ravel()

    solution = minimize(loss, np.stack(q).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    return unpack(solution.x)


def m_step(x: Array, q: Posteriors) -> Array:
    """Return the best weights [L, K] for q: (Σ x E[z]ᵀ) (Σ E[z zᵀ])⁻¹. They do not depend on beta or noise."""
    second = q.mean.T @ q.mean + np.diag(np.sum(np.exp(2 * q.log_std), axis=0))
    return np.asarray(np.linalg.solve(second, q.mean.T @ x).T, np.float64)


def learn(
    x: Array, z: Array, weights: Array, beta: float, noise: float = NOISE, degrees: float = DEGREES
) -> Iterator[Array]:
    """Yield the weights [L, K] after each EM iteration, without end, starting from true latents and weights."""
    q = Posteriors(z, np.full(z.shape, np.log(0.1)))
    q = e_step(x, weights, q, beta, noise, degrees, iterations=100)  # the initial q may be far from the best one
    while True:
        weights = m_step(x, q)
        yield weights
        q = e_step(x, weights, q, beta, noise, degrees)


def lengths(weights: Array) -> Array:
    """Return the lengths of the columns [..., K], ascending."""
    return np.sort(np.sqrt(np.sum(weights**2, axis=-2)), axis=-1)


def angle(weights: Array) -> float:
    """Return the angle between the lines of the two longest columns, 0 to 90 degrees."""
    first, second = weights.T[np.argsort(np.linalg.norm(weights, axis=0))[-2:]]
    cosine = abs(first @ second) / (np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.degrees(np.arccos(min(1.0, cosine))))
