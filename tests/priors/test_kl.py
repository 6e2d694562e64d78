"""Estimates of the KL from a sample, against the closed form and one another."""

import pytest
import torch
from tests.priors.paper import normal
from torch import Tensor
from torch.distributions import Normal

from equipoise.errors import InputError
from equipoise.priors import Estimator, LpNested, Prior, StandardNormal, sampled_kl

ESTIMATORS: list[Estimator] = ["mc", "entropy", "stl"]
GAUSSIAN: list[Prior] = [StandardNormal(4), LpNested([3, 1], p0=2, p=2, scale=2)]


def estimates(prior: Prior, estimator: Estimator, n: int = 40_000) -> tuple[Tensor, Tensor]:
    """n estimates [n, S] for one posterior, and the gradient of each to mean and log-variance, [n, 8]."""
    posterior = torch.tensor([0.5, -1.0, 0.0, 0.3, -0.5, 0.2, -2.0, 0.0], dtype=torch.float64)
    posterior = posterior.repeat(n, 1).requires_grad_()
    mean, logvar = posterior.chunk(2, 1)
    kl = sampled_kl(prior, mean, logvar, mean + (0.5 * logvar).exp() * normal(n, 4), estimator)
    (gradient,) = torch.autograd.grad(kl.sum(), posterior)
    return kl.detach(), gradient


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("prior", GAUSSIAN)
def test_estimates_and_their_gradients_have_the_mean_of_the_closed_form(prior: Prior, estimator: Estimator) -> None:
    kl, gradient = estimates(prior, estimator)
    posterior = torch.tensor([[0.5, -1.0, 0.0, 0.3, -0.5, 0.2, -2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    closed = StandardNormal(4).kl(*posterior.chunk(2, 1), posterior)
    (slope,) = torch.autograd.grad(closed.sum(), posterior)
    for estimate, exact in ((kl, prior.pool(closed.detach())), (gradient, slope)):
        assert ((estimate.mean(0) - exact[0]).abs() < 4.5 * estimate.std(0) / 200 + 1e-12).all()


def test_the_estimators_agree_in_the_mean_for_a_prior_without_a_closed_form() -> None:
    prior = LpNested([3, 1], p=[1.5, 2.2])
    reference, slope = estimates(prior, "mc")
    for estimator in ESTIMATORS[1:]:
        for left, right in zip(estimates(prior, estimator), (reference, slope), strict=True):
            difference = left - right
            assert (difference.mean(0).abs() < 4.5 * difference.std(0) / 200 + 1e-12).all()


@pytest.mark.parametrize("prior", GAUSSIAN)
def test_where_posterior_and_prior_are_equal_stl_has_no_noise(prior: Prior) -> None:
    posterior = torch.zeros(100, 8, dtype=torch.float64, requires_grad=True)
    mean, logvar = posterior.chunk(2, 1)
    z = mean + (0.5 * logvar).exp() * normal(100, 4)
    noise = {}
    for estimator in ESTIMATORS:
        kl = sampled_kl(prior, mean, logvar, z, estimator)
        (gradient,) = torch.autograd.grad(kl.sum(), posterior, retain_graph=True)
        noise[estimator] = float(kl.detach().abs().max()), float(gradient.abs().max())
    assert max(noise["stl"]) < 1e-12
    assert noise["mc"][0] < 1e-12 < 1 < noise["mc"][1]  # the value is exact, its gradient is the score of q
    assert min(noise["entropy"]) > 1


def test_kl_of_the_nested_prior_is_the_published_estimate() -> None:
    prior, (mean, logvar, z) = LpNested([4, 4]), normal(3, 10, 8)
    kl = prior.kl(mean, logvar, z)
    assert kl.shape == (10, 2)
    assert torch.allclose(kl.sum(1), Normal(mean, (0.5 * logvar).exp()).log_prob(z).sum(1) - prior.log_prob(z))


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(InputError, match="no such estimator"):
        sampled_kl(StandardNormal(2), *normal(3, 5, 2), "exact")  # type: ignore[arg-type]
