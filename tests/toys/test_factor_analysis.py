"""Laws and printed tables of factor analysis with a factorised posterior."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from equipoise_toys import experiments
from equipoise_toys.factor_analysis import (
    Array,
    duplicated,
    duplication_gap,
    free_energy,
    gap,
    log_likelihood,
    posterior,
    rotated,
    rotation_gap,
)

BETAS = (0.5, 1.0, 2.0, 5.0, 20.0)
NOISE = np.full(2, 0.25)
WEIGHTS = np.diag([2.0, 1.0])
MOMENT = WEIGHTS @ WEIGHTS.T + np.diag(NOISE)


def some(seed: int, dimensions: int = 4, latents: int = 3) -> tuple[Array, Array, Array]:
    """Random weights, noise variances and a second moment that has nothing to do with them."""
    generator = np.random.default_rng(seed)
    data = generator.standard_normal((20, dimensions))
    return generator.standard_normal((dimensions, latents)), generator.uniform(0.1, 2, dimensions), data.T @ data / 20


def test_free_energy_is_log_likelihood_less_the_gap_at_beta_one() -> None:
    for seed in range(5):
        weights, noise, moment = some(seed)
        lost = log_likelihood(weights, noise, moment, 20) - free_energy(weights, noise, moment, 20)
        assert lost == pytest.approx(gap(weights, noise, 20), abs=1e-9)
        assert lost > 0


@pytest.mark.parametrize("beta", BETAS)
def test_gap_is_zero_exactly_where_columns_are_orthogonal_in_the_metric_of_the_noise(beta: float) -> None:
    weights, noise, _ = some(0)
    orthogonal = np.sqrt(noise)[:, None] * np.linalg.qr(weights)[0]
    assert gap(orthogonal, noise, 20, beta) == pytest.approx(0, abs=1e-12)
    assert gap(np.linalg.qr(weights)[0], noise, 20, beta) > 1e-3


@pytest.mark.parametrize("beta", BETAS)
def test_free_energy_is_what_two_gaussians_say_of_each_datum(beta: float) -> None:
    weights, noise, _ = some(1)
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    moment = (x.T @ x / 20).numpy()
    _, recognition, variances = posterior(weights, noise, beta)
    mean, variance = x @ torch.from_numpy(recognition).T, torch.from_numpy(variances)
    decoder, scatter = torch.from_numpy(weights), torch.from_numpy(noise)
    seen = torch.distributions.Normal(mean @ decoder.T, scatter.sqrt()).log_prob(x).sum()
    seen = (
        seen - 0.5 * 20 * (decoder.square() * variance / scatter[:, None]).sum()
    )  # E_q of the square, less that at E z
    q = torch.distributions.Normal(mean, variance.sqrt().expand_as(mean))
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = torch.distributions.kl_divergence(q, prior).sum()
    assert free_energy(weights, noise, moment, 20, beta) == pytest.approx(float(seen / beta - kl), abs=1e-9)


@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_no_factorised_gaussian_has_a_higher_free_energy(beta: float) -> None:
    weights, noise, _ = some(2)
    x = np.array([1.0, -2.0, 0.5, 0.3])

    def loss(flat: Array) -> float:
        mean, log_std = flat.reshape(2, 3)
        error = np.sum((x - weights @ mean) ** 2 / noise) + np.sum(weights.T**2 / noise * np.exp(2 * log_std)[:, None])
        fit = -0.5 * (error + np.sum(np.log(2 * np.pi * noise)))
        return float(0.5 * np.sum(mean**2 + np.exp(2 * log_std) - 2 * log_std - 1) - fit / beta)

    found = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-7})
    _, recognition, variances = posterior(weights, noise, beta)
    np.testing.assert_allclose(found.x, [*recognition @ x, *0.5 * np.log(variances)], atol=1e-6)
    assert -found.fun == pytest.approx(free_energy(weights, noise, np.outer(x, x), 1, beta), abs=1e-9)


@pytest.mark.parametrize("beta", BETAS)
def test_gap_of_a_rotation_has_its_closed_form(beta: float) -> None:
    for theta in np.linspace(0, np.pi, 37):
        turned = rotated(WEIGHTS, theta)
        closed = rotation_gap(theta, (2.0, 1.0), 0.25, 10, beta)
        assert closed == pytest.approx(gap(turned, NOISE, 10, beta), abs=1e-9)
        below = free_energy(WEIGHTS, NOISE, MOMENT, 10, beta) - free_energy(turned, NOISE, MOMENT, 10, beta)
        assert closed == pytest.approx(below, abs=1e-9)


@pytest.mark.parametrize("beta", BETAS)
def test_gap_of_a_duplicated_component_has_its_closed_form(beta: float) -> None:
    alone = duplicated(0.0, 0.5)
    moment = alone @ alone.T + np.diag(NOISE)
    for share in np.linspace(0, 1, 21):
        weights = duplicated(share, 0.5)
        closed = duplication_gap(share, 0.25, 10, beta)
        assert closed == pytest.approx(gap(weights, NOISE, 10, beta), abs=1e-9)
        below = free_energy(alone, NOISE, moment, 10, beta) - free_energy(weights, NOISE, moment, 10, beta)
        assert closed == pytest.approx(below, abs=1e-9)


def test_rotation_from_the_right_keeps_the_likelihood_and_from_the_left_does_not() -> None:
    turn = rotated(np.eye(2), np.pi / 4)
    assert log_likelihood(WEIGHTS @ turn, NOISE, MOMENT, 10) == pytest.approx(-36.73, abs=5e-3)
    assert log_likelihood(turn @ WEIGHTS, NOISE, MOMENT, 10) == pytest.approx(-40.96, abs=5e-3)


def test_experiment_1_free_energy_touches_the_flat_likelihood_at_right_angles_only() -> None:
    found = experiments.rotation()
    np.testing.assert_allclose(found.log_likelihood, -36.7291, atol=5e-5)
    free = found.free_energy[1.0]
    np.testing.assert_allclose(np.interp([0, 22.5, 45], found.angle, free), [-36.7291, -37.6895, -38.4948], atol=5e-5)
    touching = found.log_likelihood - free < 1e-9
    assert found.angle[touching].tolist() == [0, 90, 180]


def test_experiment_2_prunes_one_of_the_copies_at_the_same_likelihood() -> None:
    share = np.array([0, 0.1, 0.3, 0.5, 0.5**0.5, 0.9, 1])
    found = experiments.pruning(share)
    np.testing.assert_allclose(found.log_likelihood, -26.0288, atol=5e-5)
    gaps = found.log_likelihood - found.free_energy
    np.testing.assert_allclose(gaps, [0, 0.1559, 1.1638, 2.3500, 2.9389, 2.0022, 0], atol=5e-5)


def test_experiment_3_beta_leaves_the_best_angles_and_its_two_scalings_differ() -> None:
    found = experiments.rotation()
    assert tuple(found.free_energy) == BETAS
    for free in found.free_energy.values():
        assert found.angle[free > free.max() - 1e-9].tolist() == [0, 90, 180]
    amplitude = np.array([np.ptp(free) for free in found.free_energy.values()])
    np.testing.assert_allclose(amplitude, [1.977, 1.766, 1.438, 0.872, 0.204], atol=5e-4)
    np.testing.assert_allclose(amplitude * BETAS, [0.988, 1.766, 2.877, 4.359, 4.082], atol=5e-4)
