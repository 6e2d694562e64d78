"""Codes of a model: what is kept of each image, and what it says of the evidence lower bound."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import SHAPE, build, small, toy

from equipoise import codes as coding
from equipoise import likelihoods, scoring
from equipoise.data import Images
from equipoise.errors import InputError
from equipoise.model import VAE

INDEX = np.arange(37)[::-1]


@pytest.fixture
def pictures() -> Images:
    return Images(np.random.default_rng(0).integers(256, size=(40, *SHAPE.image), dtype=np.uint8), name="noise")


def model(method: str = "vae", likelihood: likelihoods.Likelihood | None = None) -> VAE:
    objective = build(small(method))
    objective.likelihood = likelihood or objective.likelihood
    return toy(objective).float()


def test_sampled_errors_are_those_of_pictures_decoded_from_z(pictures: Images) -> None:
    vae = model()
    codes = coding.encode(vae, pictures, INDEX)
    x = torch.from_numpy(pictures.pixels(INDEX)) / 255
    for name, z in (("", "mean"), ("sampled_", "z")):
        errors = likelihoods.per_image(x, vae.decode(torch.from_numpy(codes[z])))
        for measure in ("sse", "bce"):
            np.testing.assert_allclose(codes[name + measure], errors[measure].numpy(), rtol=1e-6)
    assert not np.allclose(codes["z"], codes["mean"], atol=0.1)
    noise = (codes["z"] - codes["mean"]) / np.exp(0.5 * codes["logvar"])
    assert abs(noise.mean()) < 0.3
    assert noise.std() == pytest.approx(1, abs=0.2)


def test_samples_have_the_standard_deviation_of_the_posterior(pictures: Images) -> None:
    """For narrow and wide posteriors; the encoder returns the same mean and log-variance for every image."""
    mean, logvar = np.array([1.0, -2.0, 0.5]), np.array([-6.0, 0.5, 3.0])
    vae = model()
    with torch.no_grad():
        vae.encoder[-1].weight.zero_()
        vae.encoder[-1].bias.copy_(torch.from_numpy(np.concatenate([mean, logvar])))
    codes = coding.encode(vae, pictures, INDEX)
    noise = torch.randn(len(INDEX), 3, generator=torch.Generator().manual_seed(0)).numpy()
    np.testing.assert_allclose(codes["z"], mean + np.sqrt(np.exp(logvar)) * noise, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((codes["z"] - mean).std(0), np.sqrt(np.exp(logvar)), rtol=0.35)


def test_factors_and_images_are_those_of_the_index() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(256, size=(40, *SHAPE.image), dtype=np.uint8)
    factors = np.column_stack([np.arange(40), rng.integers(3, size=40)])
    codes = coding.encode(model(), Images(pixels, name="noise", factors=factors), INDEX)
    assert np.array_equal(codes["index"], INDEX)
    assert np.array_equal(codes["factors"], factors[INDEX])


def test_a_factor_with_the_name_of_another_column_is_in_the_table_under_its_own(tmp_path: Path) -> None:
    """Pictures that were decoded have their codes as factors, z0 and so on; an index is a usual column of a table."""
    codes = coding.Codes(
        index=np.array([7, 9]),
        mean=np.array([[0.5, 1.5], [2.5, 3.5]], np.float32),
        factors=np.array([[1, 10, 20], [2, 11, 21]]),
        factor_names=np.array(["index", "z1", "size"]),
    )
    coding.write(tmp_path / "codes.csv", codes, "")
    lines = (tmp_path / "codes.csv").read_text().splitlines()
    assert lines == ["index,factor_index,factor_z1,size,z0,z1", "7,1,10,20,0.5,1.5", "9,2,11,21,2.5,3.5"]


def test_codes_do_not_depend_on_the_batches(pictures: Images) -> None:
    whole, parts = (coding.encode(model(), pictures, INDEX, batch) for batch in (500, 7))
    assert whole.keys() == parts.keys()
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "exact"),
    [
        (likelihoods.Bernoulli(), None),
        (likelihoods.SquaredError(1.0), math.sqrt(0.5)),
        (likelihoods.SquaredError(0.5), 1.0),
        (likelihoods.Gaussian(0.3), 0.3),
        (likelihoods.CalibratedGaussian(), math.exp(math.log1p(math.exp(6)) - 6)),  # 1, but for its soft floor
    ],
)
def test_log_likelihood_is_that_of_the_model_with_its_constant(
    pictures: Images, likelihood: likelihoods.Likelihood, exact: float | None
) -> None:
    codes = coding.encode(model(likelihood=likelihood), pictures, INDEX)
    if exact is None:
        expected = -codes["sampled_bce"]
    else:  # the logarithm of a Gaussian density with this standard deviation
        expected = -codes["sampled_sse"] / (2 * exact**2) - codes["pixels"] / 2 * math.log(2 * math.pi * exact**2)
    np.testing.assert_allclose(codes["log_px_z"], expected, rtol=1e-5)


def test_bound_of_a_run_is_what_its_training_minimised(pictures: Images) -> None:
    vae = model()
    codes = coding.encode(vae, pictures, INDEX)
    scores = scoring.score_codes(codes, ("log_px_z", "elbo", "kl"), interval=False)
    with torch.no_grad():
        x = torch.from_numpy(pictures.pixels(INDEX)) / 255
        loss = vae.likelihood(vae.out(torch.from_numpy(codes["z"])), x).mean()
    assert scores["log_px_z"].params["likelihood"] == "model"
    assert scores["log_px_z"].value == pytest.approx(-float(loss), rel=1e-6)
    assert scores["elbo"].value == pytest.approx(-float(loss) - scores["kl"].value, rel=1e-6)


def test_kl_is_that_of_the_models_own_prior(pictures: Images) -> None:
    vae = model("isa-vae")
    codes = coding.encode(vae, pictures, INDEX)
    drawn = [torch.from_numpy(codes[name]) for name in ("mean", "logvar", "z")]
    with torch.no_grad():
        np.testing.assert_allclose(codes["kl"], vae.prior.kl(*drawn).sum(1).numpy(), rtol=1e-4, atol=1e-4)
    scores = scoring.score_codes(codes, ("elbo", "kl"), interval=False)
    assert scores["elbo"].extra["kl"] == pytest.approx(float(codes["kl"].mean()))
    assert abs(scores["elbo"].extra["kl"] - scores["kl"].value) > 0.01


def test_file_of_codes_without_draws_has_no_bound_and_says_what_it_needs(pictures: Images) -> None:
    codes = coding.encode(model(), pictures, INDEX)
    for name in ("sampled_sse", "sampled_bce"):
        del codes[name]
    with pytest.raises(InputError, match="elbo needs recon with sampled_sse and sampled_bce; pass that input"):
        scoring.score_codes(codes, ("elbo",))
    assert "elbo" not in scoring.score_codes(codes, interval=False)


def test_an_npz_of_means_and_other_codes_is_read_with_a_note(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mean=np.ones((2, 3)), codes=np.zeros((2, 3)))
    with pytest.warns(UserWarning, match="the array mean is read, and codes is not"):
        assert (coding.read_rows(tmp_path / "a.npz", 3) == 1).all()
