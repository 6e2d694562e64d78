"""Over-complete ICA: the free energy, the steps of EM, and what they find early and late."""

from itertools import islice

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm, t

from equipoise_toys import ica
from equipoise_toys.ica import Posteriors

BUDGET = 100


def start(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, Posteriors]:
    x, z, weights = ica.sample(seed, n=n)
    generator = np.random.default_rng(seed)
    return x, weights, Posteriors(z, np.log(generator.uniform(0.05, 0.5, z.shape)))


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_free_energy_of_a_datum_equals_its_integral(beta: float) -> None:
    x, weights, q = start(0, 1)
    mean, std = q.mean[0], np.exp(q.log_std[0])
    residual = x[0] - weights @ mean
    seen = norm.logpdf(residual, scale=0.1).sum() - 0.5 * np.sum(weights**2 * std**2) / 0.01
    kl = sum(
        quad(
            lambda z, m=m, s=s: norm.pdf(z, m, s) * (norm.logpdf(z, m, s) - t.logpdf(z, 3.5)),
            *(m - 10 * s, m + 10 * s),
            epsabs=1e-11,
        )[0]
        for m, s in zip(mean, std, strict=True)
    )
    value, _ = ica.free_energy(x, weights, q, beta)
    assert value == pytest.approx(seen / beta - kl, abs=1e-8)


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_derivatives_of_the_free_energy_are_right(beta: float) -> None:
    x, weights, q = start(1, 3)

    def value(flat: np.ndarray) -> float:
        return ica.free_energy(x, weights, Posteriors(*flat.reshape(2, 3, 3)), beta)[0]

    _, slope = ica.free_energy(x, weights, q, beta)
    numeric = approx_fprime(np.stack(q).ravel(), value, 1e-6)
    np.testing.assert_allclose(np.stack(slope).ravel(), numeric, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_every_step_raises_the_free_energy(beta: float) -> None:
    x, weights, q = start(2, 100)
    value, _ = ica.free_energy(x, weights, q, beta)
    for _ in range(20):
        q = ica.e_step(x, weights, q, beta)
        better, _ = ica.free_energy(x, weights, q, beta)
        assert better > value
        weights = ica.m_step(x, q)
        value, _ = ica.free_energy(x, weights, q, beta)
        assert value > better


def test_m_step_is_the_best_for_its_posteriors() -> None:
    x, _, q = start(3, 50)
    best = ica.m_step(x, q)
    for beta in (1.0, 5.0):
        highest, _ = ica.free_energy(x, best, q, beta)
        for direction in np.random.default_rng(0).standard_normal((5, *best.shape)):
            for size in (-1e-3, 1e-3):
                assert ica.free_energy(x, best + size * direction, q, beta)[0] < highest


def test_lengths_and_angle_of_known_columns() -> None:
    weights = np.array([[0.0, 3.0, 2.0], [0.1, 0.0, -2.0]])
    np.testing.assert_allclose(ica.lengths(weights), [0.1, 8**0.5, 3])
    assert ica.angle(weights) == pytest.approx(45)


@pytest.mark.parametrize("seed", range(4))
def test_after_a_hundred_iterations_beta_five_has_pruned_and_beta_one_has_not(seed: int) -> None:
    x, z, truth = ica.sample(seed)
    for beta in (1.0, 5.0):
        weights = next(islice(ica.learn(x, z, truth, beta), BUDGET - 1, None))
        sizes = ica.lengths(weights)
        if beta == 1:
            assert sizes[0] / sizes[-1] > 0.5
            assert 60 < ica.angle(weights) < 76  # more orthogonal than the truth, yet far from it
        else:
            assert sizes[0] / sizes[-1] < 0.1
            assert ica.angle(weights) > 84


@pytest.mark.slow
def test_at_convergence_beta_one_and_five_find_the_same_two_components() -> None:
    x, z, truth = ica.sample(0)
    one, five = (next(islice(ica.learn(x, z, truth, beta), 699, None)) for beta in (1.0, 5.0))
    np.testing.assert_allclose(ica.lengths(one), ica.lengths(five), atol=0.05)
    for weights in (one, five):
        assert ica.lengths(weights)[0] < 0.03
        assert ica.angle(weights) > 84
    for k in np.argsort(np.linalg.norm(one, axis=0))[1:]:
        pair = np.stack([one[:, k], five[:, k], np.zeros(2)], axis=1)
        assert ica.angle(pair) < 3
