"""Likelihoods against their formulas, written out."""

import math

import pytest
import torch

from equipoise import likelihoods
from equipoise.errors import InputError

OUT = torch.tensor([[[[-2.0, 0.0], [1.0, 40.0]]], [[[0.5, -0.5], [3.0, -3.0]]]])
X = torch.tensor([[[[0.0, 0.3], [1.0, 0.0]]], [[[1.0, 0.0], [0.5, 0.25]]]])


def test_bernoulli_is_softplus_minus_x_times_logit_and_does_not_saturate() -> None:
    expected = (torch.log1p(OUT.exp()) - X * OUT).double().flatten(1).sum(1)
    assert likelihoods.Bernoulli()(OUT, X).double() == pytest.approx(expected, rel=1e-6)
    # The fourth pixel of the first image is certain and wrong: 40 nats, where clamped probabilities would say 18.4.
    assert likelihoods.Bernoulli()(OUT, X)[0] > 40


def test_squared_error_is_summed_over_pixels_without_a_half() -> None:
    expected = (X - OUT.sigmoid()).square().flatten(1).sum(1)
    assert likelihoods.SquaredError()(OUT, X) == pytest.approx(expected)
    assert likelihoods.named("half_mse", 1)(OUT, X) == pytest.approx(expected / 2)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
def test_gaussian_equals_the_normal_density_of_torch(sigma: float) -> None:
    expected = -torch.distributions.Normal(OUT.sigmoid(), sigma).log_prob(X).flatten(1).sum(1)
    assert likelihoods.Gaussian(sigma)(OUT, X) == pytest.approx(expected, rel=1e-5)


def test_unit_is_the_factor_on_the_squared_error() -> None:
    assert likelihoods.named("mse", 3).unit == 1
    assert likelihoods.named("half_mse", 3).unit == 0.5
    assert likelihoods.named("gaussian", 3, 0.5).unit == pytest.approx(1 / (2 * 0.5**2))


def test_auto_is_bernoulli_for_grey_and_squared_error_for_colour() -> None:
    assert isinstance(likelihoods.named("auto", 1), likelihoods.Bernoulli)
    assert isinstance(likelihoods.named("auto", 3), likelihoods.SquaredError)


@pytest.mark.parametrize("name", ["bernoulli", "mse", "half_mse", "gaussian"])
def test_the_mean_lies_in_the_unit_interval_and_bf16_logits_are_read_in_fp32(name: str) -> None:
    likelihood = likelihoods.named(name, 1)
    assert likelihood.mean(OUT).min() >= 0
    assert likelihood.mean(OUT).max() <= 1
    assert likelihood(OUT.bfloat16(), X).dtype == torch.float32


def test_per_image_errors_of_a_perfect_binary_picture_are_zero() -> None:
    x = (X > 0.5).float()
    errors = likelihoods.per_image(x, x)
    assert errors["sse"].tolist() == [0, 0]
    assert errors["bce"].tolist() == [0, 0]
    assert likelihoods.per_image(x, 1 - x)["sse"].tolist() == [4, 4]


def test_images_are_uint8_or_floats_in_the_unit_interval() -> None:
    assert likelihoods.as_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0, 1]
    for wrong in (torch.tensor([-0.1]), torch.tensor([1.5]), torch.tensor([math.nan]), torch.tensor([3])):
        with pytest.raises(InputError, match=r"in \[0, 1\]"):
            likelihoods.as_float(wrong)
