"""Draws from the L^p-nested prior, against its density."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from tests.priors.paper import TREES, count, norm

from equipoise.errors import InputError
from equipoise.priors import LpNested

SAMPLED = [([4] * 5, 2.1, [2.2] * 5), *TREES[1:], ([2, 3], 2.0, [30.0, 1.0])]


@pytest.mark.parametrize(("layout", "p0", "p"), SAMPLED)
def test_radii_of_draws_are_gamma_distributed(layout: Any, p0: float, p: list[float]) -> None:
    """f^p0 / s ~ Gamma(n / p0) and r_k^p0 / s ~ Gamma(n_k / p0)."""
    s = 1.7
    prior = LpNested(layout, p0, p, scale=s)
    z = prior.sample(4000, torch.Generator().manual_seed(3)).double().numpy()
    n = z.shape[1]
    whole = norm(layout, iter([p0, *p]), z) ** p0 / s
    assert stats.kstest(whole, stats.gamma(n / p0).cdf).pvalue > 1e-3
    exponents = iter(p)
    for child, x in zip(layout, np.split(z, np.cumsum(prior.sizes)[:-1], axis=1), strict=True):
        radius = norm(child, exponents, x) ** p0 / s
        assert stats.kstest(radius, stats.gamma(count(child) / p0).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("layout", "p0", "p"), SAMPLED)
def test_moments_of_draws_are_those_of_the_density(layout: Any, p0: float, p: list[float]) -> None:
    prior = LpNested(layout, p0, p, scale=1.7)
    z = prior.sample(40_000, torch.Generator().manual_seed(4)).double()
    squares, products = z.square(), z[:, :1] * z[:, 1:]
    assert ((squares.mean(0) - prior.variance).abs() < 4.5 * squares.std(0) / 200).all()
    assert (z.mean(0).abs() < 4.5 * z.std(0) / 200).all()
    assert (products.mean(0).abs() < 4.5 * products.std(0) / 200).all()


def test_directions_of_draws_are_those_of_the_density() -> None:
    """Within a subspace of two, |z_1|^p over the sum of both is Beta(1/p, 1/p)."""
    p = 1.4
    z = LpNested([2], p=p).sample(4000, torch.Generator().manual_seed(5)).abs().double() ** p
    assert stats.kstest((z[:, 0] / z.sum(1)).numpy(), stats.beta(1 / p, 1 / p).cdf).pvalue > 1e-3


def test_mean_density_of_draws_is_the_negative_entropy() -> None:
    """log p(0) - n / p0, which is -21.3326 for the layout of dSprites."""
    prior = LpNested([4] * 5)
    entropy = -float(prior.log_prob(torch.zeros(1, 20, dtype=torch.float64))) + 20 / 2.1
    assert -entropy == pytest.approx(-21.3326, abs=5e-5)
    density = prior.log_prob(prior.sample(50_000, torch.Generator().manual_seed(6)).double())
    assert abs(float(density.mean()) + entropy) < 4 * float(density.std()) / 50_000**0.5


def test_draws_depend_on_the_given_generator_alone() -> None:
    prior = LpNested([[2, 3], 4])
    draws = [prior.sample(5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert draws[0].shape == (5, 9)
    assert draws[0].dtype == torch.float32
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert torch.equal(prior.sample(5), draws[0])


def test_variance_is_that_of_the_closed_form() -> None:
    p0, n, p, s = 2.1, 4, 2.2, 1.3
    log = math.lgamma((n + 2) / p0) + math.lgamma(3 / p) + math.lgamma(n / p)
    log -= math.lgamma(n / p0) + math.lgamma(1 / p) + math.lgamma((n + 2) / p)
    expected = torch.full((20,), s ** (2 / p0) * math.exp(log), dtype=torch.float64)
    assert torch.allclose(LpNested([4] * 5, p0, p, scale=s).variance, expected, rtol=1e-12)


@pytest.mark.parametrize(("p0", "p", "scale"), [(2.1, 2.2, 2.0931), (2.1, 1.9, 2.3914), (2.0, 2.0, 2.0)])
def test_unit_variance_finds_the_scale(p0: float, p: float, scale: float) -> None:
    prior = LpNested([4] * 5, p0, p, scale="unit_variance")
    assert prior.scale == pytest.approx(scale, abs=5e-5)
    assert torch.allclose(prior.variance, torch.ones(20, dtype=torch.float64))


def test_unit_variance_is_refused_where_subspaces_need_different_scales() -> None:
    with pytest.raises(InputError, match=r"need scale=2\.1\d+ and others 2\.\d+; give a number"):
        LpNested([4, 2], scale="unit_variance", p=[1.9, 2.2])
    # With p = p0 all dimensions are alike, whatever the sizes.
    assert torch.allclose(LpNested([4, 1], 1.5, 1.5, "unit_variance").variance, torch.ones(5, dtype=torch.float64))
