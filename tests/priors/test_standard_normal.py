"""The closed form of the KL, and the density, against torch's own distributions."""

import torch
from tests.priors.paper import normal
from torch.distributions import Normal, kl_divergence

from equipoise.priors import StandardNormal

PRIOR = StandardNormal(3)
MEAN, LOGVAR, Z = normal(3, 50, 3)


def test_kl_equals_that_of_torch_and_is_never_negative() -> None:
    ours = PRIOR.kl(MEAN, LOGVAR, Z)
    assert torch.allclose(ours, kl_divergence(Normal(MEAN, (0.5 * LOGVAR).exp()), Normal(0.0, 1.0)))
    assert (ours >= 0).all()


def test_kl_is_zero_exactly_where_the_posterior_is_the_prior() -> None:
    zero = torch.zeros(1, 3, dtype=torch.float32)
    assert torch.equal(PRIOR.kl(zero, zero, zero), zero)
    # In float32 exp(v) - v - 1 is pure rounding here; the true value is v^2 / 4.
    small = torch.full((1, 3), 1e-3)
    assert torch.allclose(PRIOR.kl(zero, small, zero), small.square() / 4, rtol=1e-3)


def test_log_prob_equals_that_of_torch() -> None:
    assert torch.allclose(PRIOR.log_prob(Z), Normal(0.0, 1.0).log_prob(Z).sum(1))


def test_samples_are_standard_normal_and_seeded() -> None:
    draws = PRIOR.sample(20_000, torch.Generator().manual_seed(1))
    assert draws.shape == (20_000, 3)
    assert draws.mean(0).abs().max() < 0.03
    assert (draws.std(0) - 1).abs().max() < 0.03
    assert torch.equal(draws, PRIOR.sample(20_000, torch.Generator().manual_seed(1)))
