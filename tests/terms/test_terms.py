"""What holds for every term, and the table of them."""

import inspect
import math

import pytest
import torch
from tests.terms.conftest import codes, of

from equipoise import priors, terms
from equipoise.likelihoods import Bernoulli, CalibratedGaussian, Likelihood, SquaredError
from equipoise.model import Pass
from equipoise.terms.basic import compute_once


def prior_for(name: str, latent: int) -> priors.Prior | None:
    """Codebooks for the terms that need them; None: a standard normal."""
    return priors.Codebooks(latent).double() if name in ("quantise", "commit") else None


@pytest.mark.parametrize("name", terms.TERMS)
def test_a_term_is_a_number_an_image_an_image_and_dimension_or_a_batch_and_has_gradients(name: str) -> None:
    value = terms.TERMS[name](codes(12, 3, prior=prior_for(name, 3)))
    assert value.shape in ((12,), (12, 3), ())
    assert value.isfinite().all()
    assert value.requires_grad or name == "rec"


@pytest.mark.parametrize("name", terms.TERMS)
def test_every_option_of_a_term_has_a_default_and_a_list_of_what_it_may_be(name: str) -> None:
    first, *options = inspect.signature(terms.TERMS[name]).parameters.values()
    assert first.name == "p"
    for option in options:
        assert option.default in option.annotation.__args__
        for choice in option.annotation.__args__:
            assert terms.TERMS[name](codes(), **{option.name: choice}).isfinite().all()


def test_terms_share_results_and_compute_them_again_if_they_have_no_gradients() -> None:
    """A monitor computes without gradients; a term of the loss that follows needs them."""
    p, fresh = codes(12, 3), codes(12, 3)
    with torch.no_grad():
        logged = terms.mi(p)
    value = terms.tc(p)
    assert not logged.requires_grad
    assert value.requires_grad
    for ours, theirs in zip(
        torch.autograd.grad(value.sum(), [p.mean, p.logvar]),
        torch.autograd.grad(terms.tc(fresh).sum(), [fresh.mean, fresh.logvar]),
        strict=True,
    ):
        assert torch.equal(ours, theirs)

    calls: list[str] = []
    for gradients in (False, False, True, True, False):
        with torch.set_grad_enabled(gradients):
            compute_once(p, "key", lambda: calls.append("computed"))
    assert len(calls) == 2, "once without gradients, and once with them"


def test_the_signed_terms_and_no_others_can_be_negative() -> None:
    kinds = [(seed, logvar) for seed in range(40) for logvar in (-2.0, 0.0, 2.0)]
    for name, term in terms.TERMS.items():
        passes = [codes(4, 2, seed, logvar, prior=prior_for(name, 2)) for seed, logvar in kinds]
        options = {"weights": "mss"} if name in ("mi", "tc") else {}
        means = [term(p, **options).detach().mean(0).sum() for p in passes]
        assert (min(means) < 0) == (name in terms.SIGNED), name


def test_the_sampled_kl_has_one_value_for_each_subspace_and_the_same_mean_as_the_closed_form() -> None:
    assert terms.kl_mc(codes(12, 5, prior=priors.LpNested([2, 3]))).shape == (12, 2)
    many = codes(20_000, 2)
    error = (terms.kl_mc(many) - terms.kl(many)).detach()
    assert float(error.mean().abs()) < 4 * float(error.std()) / 40_000**0.5
    entropy = (terms.kl_mc(many, "entropy") - terms.kl(many)).detach()
    assert float(entropy.mean().abs()) < 4 * float(entropy.std()) / 40_000**0.5


def test_closed_form_and_sampled_kl_vanish_together() -> None:
    zero = torch.zeros(3, 2)
    p = of(zero, zero, torch.randn(3, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(terms.kl(p), zero)
    assert torch.allclose(terms.kl_mc(p), zero, atol=1e-6)


def test_the_spread_is_the_variance_of_the_batch_under_squared_error() -> None:
    """And the cross-entropy of the mean image minus the entropy of the pixels under the Bernoulli likelihood."""
    x = torch.tensor([[0.2, 0.5], [0.6, 0.9]], dtype=torch.float64).view(2, 1, 1, 2)
    z = torch.zeros(2, 3, dtype=torch.float64)
    mean = x.mean(0)

    def spread(likelihood: Likelihood) -> list[float]:
        return terms.spread(Pass(x, z, z, z, x, 100, priors.StandardNormal(3), likelihood)).tolist()

    assert spread(SquaredError(0.5)) == pytest.approx((0.5 * (x - mean).square().flatten(1).sum(1)).tolist())
    divergence = x * (x / mean).log() + (1 - x) * ((1 - x) / (1 - mean)).log()
    assert spread(Bernoulli()) == pytest.approx(divergence.flatten(1).sum(1).tolist())


def test_the_spread_leaves_a_fitted_noise_as_it_is() -> None:
    """The noise is fitted to reconstructions that are off by 0.2; the mean image is off by 0.5 and has that noise."""
    x = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    out = torch.tensor([0.2, 0.8]).logit().view(2, 1, 1, 1).expand(2, 1, 4, 4)
    z = torch.zeros(2, 3)
    likelihood = CalibratedGaussian()
    p = Pass(x, z, z, z, out, 100, priors.StandardNormal(3), likelihood)
    nats = terms.rec(p)
    for _ in range(3):
        spread = terms.spread(Pass(x, z, z, z, out, 100, priors.StandardNormal(3), likelihood))
        assert spread.tolist() == pytest.approx([16 * 0.5**2 / (2 * 0.2**2)] * 2, rel=0.05), (
            "the floor moves sigma by 2 %"
        )
    assert float(likelihood.logs()["sigma"]) == pytest.approx(0.2, rel=0.03)
    assert likelihood.training
    assert float(nats[0]) == pytest.approx(16 * (0.5 + math.log(0.2) + 0.5 * math.log(2 * math.pi)), abs=0.1)
