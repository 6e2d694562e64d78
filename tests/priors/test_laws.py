"""Laws of all priors: a product of parts, a density, draws of it, and a KL."""

import copy
from typing import Any

import pytest
import torch
from tests.parts import LATENT, cases, label, made
from torch import Tensor

from equipoise.priors import PRIORS, Prior, sampled_kl


def normal(n: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(n, LATENT, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# A prior of points has no density; its laws are in test_codebooks.py.
DENSITIES = [case for case in cases("prior") if not PRIORS[case[1]].is_discrete]


@pytest.fixture(params=DENSITIES, ids=label)
def prior(request: pytest.FixtureRequest) -> Any:
    return made(request.param).double()


def test_the_parts_of_a_prior_add_up(prior: Prior) -> None:
    z = normal(6)
    assert sum(prior.sizes) == prior.latent == LATENT
    assert prior.parts(z).shape == prior.pool(z).shape == (6, len(prior.sizes))
    assert torch.allclose(prior.parts(z).sum(1), prior.log_prob(z))
    assert torch.allclose(prior.pool(z).sum(1), z.sum(1))


def test_the_density_integrates_to_one_and_has_the_stated_deviation(prior: Prior) -> None:
    z = normal(200_000, scale=2.0)
    proposal = torch.distributions.Normal(0.0, 2.0).log_prob(z).sum(1)
    with torch.no_grad():
        weights = (prior.log_prob(z) - proposal).exp()
        assert float(weights.mean()) == pytest.approx(1, abs=0.02)
        deviation = (weights[:, None] * z.square()).mean(0).sqrt()
        assert torch.allclose(deviation, prior.deviation.double(), rtol=0.03)


def test_draws_have_the_stated_deviation_and_are_those_of_the_generator(prior: Prior) -> None:
    draws = [prior.sample(50_000, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert torch.equal(*draws)
    assert draws[0].shape == (50_000, LATENT)
    assert torch.allclose(draws[0].double().std(0), prior.deviation.detach().double(), rtol=0.03)
    assert float(draws[0].mean(0).abs().max()) < 0.03


def test_the_kl_is_that_of_many_samples(prior: Prior) -> None:
    mean, logvar = normal(1, 1).expand(100_000, -1), normal(1, 2).expand(100_000, -1)
    z = mean + (0.5 * logvar).exp() * normal(100_000, 3)
    with torch.no_grad():
        kl = prior.kl(mean, logvar, z)
        assert kl.shape == (100_000, len(prior.sizes))
        estimate = sampled_kl(prior, mean, logvar, z)
        assert torch.allclose(kl.mean(0), estimate.mean(0), atol=0.02)
        if not prior.is_estimated:
            assert torch.equal(kl, prior.kl(mean, logvar, torch.zeros_like(z))), "a closed form does not depend on z"
            assert bool((kl >= 0).all())


@pytest.mark.parametrize("z", [0.0, 1e-20, 30.0])
@pytest.mark.parametrize("logvar", [-12.0, 5.0])
def test_density_and_kl_and_their_gradients_are_finite_at_extremes(prior: Prior, z: float, logvar: float) -> None:
    code = torch.full((2, LATENT), z, dtype=torch.float64, requires_grad=True)
    spread = torch.full((2, LATENT), logvar, dtype=torch.float64, requires_grad=True)
    kl = prior.kl(code, spread, code)
    assert bool(kl.isfinite().all())
    (kl.sum() + prior.log_prob(code).sum()).backward()
    leaves = [code, spread, *prior.parameters()]
    assert all(leaf.grad is not None and bool(leaf.grad.isfinite().all()) for leaf in leaves)


def test_evaluation_and_use_leave_the_state_unchanged(prior: Prior) -> None:
    before = copy.deepcopy(prior.state_dict())
    z = normal(4)
    prior.log_prob(z), prior.kl(z, z, z), prior.sample(3, torch.Generator().manual_seed(0))
    assert all(torch.equal(before[name], value) for name, value in prior.state_dict().items())
