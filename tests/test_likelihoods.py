"""Likelihoods: the laws that all obey, then each against its formula, written out."""

import copy
import math
from typing import Any

import pytest
import torch
from tests.parts import cases, label, made

from equipoise import likelihoods
from equipoise.errors import InputError
from equipoise.likelihoods import Likelihood

OUT = torch.tensor([[[[-2.0, 0.0], [1.0, 40.0]]], [[[0.5, -0.5], [3.0, -3.0]]]])
X = torch.tensor([[[[0.0, 0.3], [1.0, 0.0]]], [[[1.0, 0.0], [0.5, 0.25]]]])


@pytest.fixture(params=cases("likelihood"), ids=label)
def likelihood(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def test_a_likelihood_is_finite_per_image_and_its_gradients_reach_logits_and_own_parameters(
    likelihood: Likelihood,
) -> None:
    out = OUT.clone().requires_grad_()
    nats = likelihood(out, X)
    assert nats.shape == (2,)
    assert nats.dtype == likelihood(OUT.bfloat16(), X).dtype == torch.float32
    nats.sum().backward()
    assert all(bool(leaf.grad.isfinite().all()) for leaf in (out, *likelihood.parameters()))


def test_a_likelihood_is_its_error_per_image_followed_by_the_nats_of_the_batch(likelihood: Likelihood) -> None:
    halves = torch.cat([likelihood.error(OUT[:1], X[:1]), likelihood.error(OUT[1:], X[1:])])
    other = copy.deepcopy(likelihood)
    assert torch.equal(likelihood.nats(halves, X[0].numel()), other(OUT, X))


@pytest.mark.parametrize("logit", [-1e4, 0.0, 1e4])
def test_a_likelihood_is_finite_at_extremes(likelihood: Likelihood, logit: float) -> None:
    for pixel in (0.0, 1.0):
        out, x = torch.full((2, 1, 4, 4), logit), torch.full((2, 1, 4, 4), pixel)
        assert bool(likelihood(out, x).isfinite().all())
        assert bool(likelihood.log_prob(out, x).isfinite().all())
    assert float(likelihood.unit) > 0


def test_a_likelihood_is_negative_only_if_it_says_so(likelihood: Likelihood) -> None:
    x = OUT.sigmoid()
    for _ in range(50):
        nats = likelihood(OUT, x)
    if not likelihood.can_be_negative:
        assert bool((nats >= 0).all())


def test_the_log_density_differs_from_the_loss_by_a_constant(likelihood: Likelihood) -> None:
    likelihood.eval()
    with torch.no_grad():
        rest = torch.cat(
            [likelihood.log_prob(out, x) + likelihood(out, x) for out, x in ((OUT, X), (X, OUT.sigmoid()))]
        )
    assert torch.allclose(rest, rest[:1].expand(4), atol=1e-4)


def test_evaluation_leaves_the_state_of_a_likelihood_unchanged(likelihood: Likelihood) -> None:
    likelihood(OUT, X)
    likelihood.eval()
    before = copy.deepcopy(likelihood.state_dict())
    first, again = likelihood(OUT, X), likelihood(OUT[:1], X[:1])
    assert torch.allclose(first[:1], again), "in evaluation an image does not depend on its batch"
    assert all(torch.equal(before[name], value) for name, value in likelihood.state_dict().items())


def test_the_mean_of_a_likelihood_lies_in_the_unit_interval(likelihood: Likelihood) -> None:
    mean = likelihood.mean(100 * OUT)
    assert mean.shape == OUT.shape
    assert mean.min() >= 0
    assert mean.max() <= 1


def test_bernoulli_is_softplus_minus_x_times_logit_and_does_not_saturate() -> None:
    expected = (torch.log1p(OUT.exp()) - X * OUT).double().flatten(1).sum(1)
    assert likelihoods.Bernoulli()(OUT, X).double() == pytest.approx(expected, rel=1e-6)
    # The fourth pixel of the first image is certain and wrong: 40 nats, where clamped probabilities would say 18.4.
    assert likelihoods.Bernoulli()(OUT, X)[0] > 40


def test_squared_error_is_summed_over_pixels_without_a_half() -> None:
    expected = (X - OUT.sigmoid()).square().flatten(1).sum(1)
    assert likelihoods.SquaredError()(OUT, X) == pytest.approx(expected)
    assert likelihoods.from_name("half_mse", 1)(OUT, X) == pytest.approx(expected / 2)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
def test_gaussian_equals_the_normal_density_of_torch(sigma: float) -> None:
    expected = -torch.distributions.Normal(OUT.sigmoid(), sigma).log_prob(X).flatten(1).sum(1)
    assert likelihoods.Gaussian(sigma)(OUT, X) == pytest.approx(expected, rel=1e-5)


def test_unit_is_the_factor_on_the_squared_error() -> None:
    assert likelihoods.from_name("mse", 3).unit == 1
    assert likelihoods.from_name("half_mse", 3).unit == 0.5
    assert likelihoods.from_name("gaussian", 3, 0.5).unit == pytest.approx(1 / (2 * 0.5**2))


def test_auto_is_bernoulli_for_grey_and_squared_error_for_colour() -> None:
    assert isinstance(likelihoods.from_name("auto", 1), likelihoods.Bernoulli)
    assert isinstance(likelihoods.from_name("auto", 3), likelihoods.SquaredError)


def test_per_image_errors_of_a_perfect_binary_picture_are_zero() -> None:
    x = (X > 0.5).float()
    errors = likelihoods.per_image(x, x)
    assert errors["sse"].tolist() == [0, 0]
    assert errors["bce"].tolist() == [0, 0]
    assert likelihoods.per_image(x, 1 - x)["sse"].tolist() == [4, 4]


def test_per_image_cross_entropy_is_that_of_torch() -> None:
    mean, grey = torch.rand(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    mean[0, 0, 0], mean[0, 0, 1] = 0, 1  # certain, and wrong unless x is 0 or 1 there
    for x in (grey, (grey > 0.5).float()):
        expected = torch.nn.functional.binary_cross_entropy(mean, x, reduction="none").flatten(1).sum(1)
        torch.testing.assert_close(likelihoods.per_image(x, mean)["bce"], expected)


def test_images_are_uint8_or_floats_in_the_unit_interval() -> None:
    assert likelihoods.as_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0, 1]
    for wrong in (torch.tensor([-0.1]), torch.tensor([1.5]), torch.tensor([math.nan]), torch.tensor([3])):
        with pytest.raises(InputError, match=r"in \[0, 1\]"):
            likelihoods.as_float(wrong)


def calibrated(form: str = "optimal") -> likelihoods.CalibratedGaussian:
    return likelihoods.CalibratedGaussian(form).double()


def batch(n: int = 6, scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    out = torch.randn(n, 1, 4, 4, generator=generator, dtype=torch.float64)
    return out, (out.sigmoid() + scale * 0.2 * torch.rand(out.shape, generator=generator, dtype=torch.float64)).clamp(
        0, 1
    )


def floored(log_sigma: float) -> float:
    return -6 + math.log1p(math.exp(log_sigma + 6))


def test_the_soft_floor_is_the_published_one() -> None:
    floor = likelihoods.CalibratedGaussian._floored
    values = floor(torch.tensor([-1e3, -50.0, -6.0, 0.0, 3.0], dtype=torch.float64))
    assert float(values[3]) == pytest.approx(0.0024757, abs=1e-7)
    assert float(values[2]) == pytest.approx(-5.3069, abs=1e-4)
    assert bool((values.diff() >= 0).all())
    assert bool((values >= -6).all())


def test_optimal_sigma_gives_the_likelihood_at_its_maximum() -> None:
    """(pixels / 2) (1 + log 2 pi + log MSE) an image where the floor does not matter."""
    out, x = batch()
    error = (x - out.sigmoid()).square().mean()
    nats = calibrated()(out, x).mean()
    expected = 16 / 2 * (1 + math.log(2 * math.pi) + math.log(float(error)))
    assert float(nats) == pytest.approx(expected, rel=1e-3)  # the floor moves log sigma by log(1 + sigma^-1 e^-6)
    at = floored(0.5 * math.log(float(error)))
    exact = 16 * (at + 0.5 * math.log(2 * math.pi)) + 16 * float(error) / (2 * math.exp(2 * at))
    assert float(nats) == pytest.approx(exact, rel=1e-12)


def test_the_gradient_through_optimal_sigma_is_that_with_sigma_held_but_for_the_floor() -> None:
    """sigma is at the minimum, so it does not matter whether gradients flow through it (the envelope theorem)."""
    out, x = batch()
    through, held = out.clone().requires_grad_(), out.clone().requires_grad_()
    error = (x - through.sigmoid()).square()
    (error.flatten(1).sum(1).mean() / (2 * error.mean()) + 16 * 0.5 * error.mean().log()).backward()
    fixed = (x - held.sigmoid()).square()
    (fixed.flatten(1).sum(1).mean() / (2 * fixed.mean().detach())).backward()
    assert torch.allclose(through.grad, held.grad, atol=1e-12)
    ours = out.clone().requires_grad_()
    calibrated()(ours, x).mean().backward()
    assert torch.allclose(ours.grad, held.grad, rtol=5e-2)


def test_learned_sigma_of_one_is_half_the_squared_error_but_for_constants() -> None:
    out, x = batch()
    at = floored(0.0)
    half = 0.5 * (x - out.sigmoid()).square().flatten(1).sum(1)
    expected = half * math.exp(-2 * at) + 16 * (at + 0.5 * math.log(2 * math.pi))
    likelihood = calibrated("learned")
    assert torch.allclose(likelihood(out, x), expected)
    assert float(likelihood.unit) == pytest.approx(0.5 * math.exp(-2 * at))
    likelihood(out, x).mean().backward()
    assert likelihood.log_sigma.grad is not None


def test_learned_sigma_settles_at_the_root_mean_squared_error() -> None:
    out, x = batch()
    likelihood = calibrated("learned")
    adam = torch.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(400):
        adam.zero_grad()
        likelihood(out, x).mean().backward()
        adam.step()
    assert float(likelihood.logs()["sigma"]) == pytest.approx(
        float((x - out.sigmoid()).square().mean().sqrt()), rel=1e-3
    )


def test_evaluation_takes_the_running_mean_and_does_not_move_it() -> None:
    likelihood = calibrated()
    out, x = batch()
    likelihood(out, x)
    first = float(likelihood.log_sigma)
    assert first == pytest.approx(0.5 * math.log(float((x - out.sigmoid()).square().mean())))
    likelihood(*batch(scale=0.5))
    assert float(likelihood.log_sigma) < first
    likelihood.eval()
    before = likelihood.log_sigma.clone()
    assert not torch.allclose(likelihood(out, x), calibrated()(out, x))
    assert torch.equal(likelihood.log_sigma, before)


def test_a_perfect_reconstruction_has_a_finite_likelihood() -> None:
    out = torch.zeros(2, 1, 4, 4)
    assert likelihoods.CalibratedGaussian()(out, out.sigmoid()).isfinite().all()


def test_arrays_may_have_any_strides() -> None:
    array = X.numpy()
    assert torch.equal(likelihoods.as_float(array[..., ::-1]), X.flip(3))
    assert torch.equal(likelihoods.as_float(array[::-1]), X.flip(0))
