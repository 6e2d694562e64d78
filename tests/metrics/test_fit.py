"""Reconstruction, KL and active units against values worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics.fit import reconstruction


def test_errors_are_summed_over_pixels_and_averaged_over_images() -> None:
    x = np.array([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]])
    xhat = np.array([[[0.5, 0.5], [1.0, 0.0]], [[1.0, 0.9], [0.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]])
    assert metrics.sse((x, xhat)).value == pytest.approx((0.5 + 0.01 + 0) / 3)
    assert metrics.mse((x, xhat)).value == pytest.approx((0.5 + 0.01 + 0) / 3 / 4)
    grey = 4 * math.log(2)  # the entropy of the pixels, which a perfect reconstruction keeps
    assert metrics.bce((x, xhat)).value == pytest.approx((2 * math.log(2) - math.log(0.9) + grey) / 3)
    assert metrics.sse((x, xhat)).params == {"pixels": 4}


def test_certain_mistake_costs_a_hundred_nats() -> None:
    x, xhat = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert metrics.bce((x, xhat)).value == 100
    assert metrics.bce((x, xhat)).value == torch.nn.functional.binary_cross_entropy(xhat, x, reduction="sum").item() / 2


def test_images_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, xhat = rng.random((7, 3, 4, 4), dtype=np.float32), rng.random((7, 3, 4, 4), dtype=np.float32)
    whole = reconstruction((x, xhat))
    monkeypatch.setattr("equipoise.metrics.fit._PIXELS", 100)
    parts = reconstruction((x, xhat))
    assert np.array_equal(whole["sse"], parts["sse"])
    assert np.array_equal(whole["bce"], parts["bce"])
    given = {"sse": whole["sse"].astype(np.float32), "bce": torch.tensor(whole["bce"]), "pixels": np.array(48)}
    assert metrics.mse(given).value == pytest.approx(metrics.mse((x, xhat)).value, rel=1e-6)
    assert metrics.bce(given).value == metrics.bce((x, xhat)).value


def test_kl_is_that_of_torch_and_zero_at_the_prior() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, logvar = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    posterior = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    exact = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean(dim=0)
    result = metrics.kl(mean, logvar)
    np.testing.assert_allclose(result.per_latent, exact.numpy(), atol=1e-12)
    assert result.value == pytest.approx(exact.sum().item())
    assert metrics.kl(np.zeros((2, 3)), np.zeros((2, 3))).value == 0
    assert metrics.kl(np.zeros((2, 1)), np.full((2, 1), 1e-6)).value == pytest.approx(2.5e-13, rel=1e-3)


def test_latent_is_active_by_the_variance_of_its_mean_and_again_by_its_kl() -> None:
    rng = np.random.default_rng(1)
    mean = rng.standard_normal((1000, 3)) * [1.0, 0.05, 0.05]
    logvar = np.log([[0.1, 1.0, 0.1]]) * np.ones((1000, 1))
    result = metrics.active_units(mean, logvar)
    assert (result.value, result.extra["by_kl"]) == (1, 2)  # the third is narrow but says nothing
    np.testing.assert_allclose(result.per_latent, mean.var(axis=0, ddof=1))
    np.testing.assert_allclose(result.extra["kl"], metrics.kl(mean, logvar).per_latent)
    assert metrics.active_units(mean, logvar, threshold=0.001).value == 3


def test_signal_to_noise_ratio_is_that_of_the_mean_error_over_images() -> None:
    x = np.zeros((3, 4))
    xhat = np.array([[0.0] * 4, [0.1] * 4, [0.2] * 4])
    assert metrics.psnr((x, xhat)).value == pytest.approx(-10 * math.log10((0 + 0.01 + 0.04) / 3))
    assert metrics.psnr((x, x)).value == math.inf


def test_log_likelihood_of_gaussian_pixels_is_that_of_torch_and_best_at_the_error_itself() -> None:
    generator = torch.Generator().manual_seed(1)
    x, xhat = torch.rand(2, 20, 3, 4, 4, generator=generator, dtype=torch.float64)
    exact = torch.distributions.Normal(xhat, 0.7).log_prob(x).sum() / 20
    assert metrics.log_px_z((x, xhat), likelihood="gaussian", sigma=0.7).value == pytest.approx(exact.item())
    best = metrics.mse((x, xhat)).value
    ours = metrics.log_px_z((x, xhat), likelihood="gaussian", sigma=best**0.5).value
    assert ours == pytest.approx(-24 * (math.log(2 * math.pi * best) + 1))


def test_log_likelihood_is_the_models_own_where_that_is_known() -> None:
    rng = np.random.default_rng(3)
    errors = {"sse": rng.random(30), "bce": rng.random(30), "pixels": 16}
    own = {"log_px_z": -rng.random(30), "kl": rng.random(30)}
    likelihood = [metrics.log_px_z(errors | own, likelihood=name) for name in (None, "model", "bernoulli")]
    assert [result.value for result in likelihood] == [own["log_px_z"].mean()] * 2 + [-errors["bce"].mean()]
    assert [result.params["likelihood"] for result in likelihood] == ["model", "model", "bernoulli"]
    assert metrics.log_px_z(errors).params == {"likelihood": "bernoulli", "sigma": 1.0}
    bound = metrics.elbo(np.ones((30, 2)), np.zeros((30, 2)), errors | own)
    assert bound.value == pytest.approx((own["log_px_z"] - own["kl"]).mean())
    assert bound.extra == {"log_px_z": own["log_px_z"].mean(), "kl": own["kl"].mean()}  # not that to N(0, I), 1


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"likelihood": "gaussian", "sigma": 0}, "sigma = 0: expected above 0"),
        ({"likelihood": "laplace"}, "laplace: no such likelihood; choose one of model, bernoulli, gaussian"),
        ({"likelihood": "model"}, "likelihood model: recon lacks log_px_z"),
    ],
)
def test_likelihood_that_is_not_known_is_refused(params: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        metrics.log_px_z((np.ones((3, 2)), np.ones((3, 2))), **params)


def test_elbo_takes_the_pictures_of_samples_not_those_of_means() -> None:
    rng = np.random.default_rng(2)
    mean, logvar = rng.standard_normal((2, 30, 3))
    recon = {"sse": rng.random(30), "bce": rng.random(30), "pixels": 16}
    sampled = {"sampled_sse": rng.random(30) + 1, "sampled_bce": rng.random(30) + 1}
    scores = metrics.score(mean, logvar=logvar, recon={**recon, **sampled}, which=["log_px_z", "elbo", "kl", "bce"])
    assert scores["log_px_z"].value == pytest.approx(-sampled["sampled_bce"].mean())
    assert scores["elbo"].value == pytest.approx(scores["log_px_z"].value - scores["kl"].value)
    assert scores["elbo"].extra == {"log_px_z": scores["log_px_z"].value, "kl": scores["kl"].value}
    assert scores["elbo"].low < scores["elbo"].value < scores["elbo"].high
    assert scores["bce"].value == pytest.approx(recon["bce"].mean())
    assert set(metrics.score(mean, logvar=logvar, recon=recon, interval=False)).isdisjoint(("log_px_z", "elbo"))
    with pytest.raises(InputError, match="sampled has 29 images, codes 30 rows"):
        metrics.elbo(mean, logvar, {"sse": np.ones(29), "bce": np.ones(29), "pixels": 16})
    with pytest.raises(InputError, match="expected sse, bce, sampled_sse, sampled_bce of the same images"):
        metrics.score(mean, recon={**recon, "sampled_sse": np.ones(29), "sampled_bce": np.ones(30)})
