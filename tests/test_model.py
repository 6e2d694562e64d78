"""The forward pass of the autoencoder against its formula, written out with numbers, for narrow and wide posteriors."""

import math
import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equipoise import likelihoods, priors
from equipoise.errors import InputError
from equipoise.model import VAE

MEAN = [[0.5, -2.0, 1.0, 0.0], [3.0, 0.1, -0.7, 2.0], [-1.0, 4.0, 0.0, -3.0]]
LOGVAR = [[-6.0, -3.0, 1.0, 3.0], [2.0, -4.5, -6.0, 0.5], [-1.5, 3.0, -5.0, -2.5]]


class Constant(nn.Module):
    """An encoder that returns the same values for any input."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        return self.values


def autoencoder() -> VAE:
    """An autoencoder whose encoder returns MEAN and LOGVAR and whose decoder returns codes as 2 x 2 images."""
    encoder = Constant(torch.cat([torch.tensor(MEAN), torch.tensor(LOGVAR)], 1))
    with torch.random.fork_rng():
        identity = nn.Linear(4, 4, bias=False)
    identity.weight = nn.Parameter(torch.eye(4))
    decoder = nn.Sequential(identity, nn.Unflatten(1, (1, 2, 2)))
    return VAE(encoder, decoder, likelihoods.Bernoulli(), priors.StandardNormal(4), (1, 2, 2), dataset_size=50)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_sample_is_the_mean_plus_the_standard_deviation_times_the_noise_of_the_seed() -> None:
    x = torch.full((3, 1, 2, 2), 0.25)
    p = autoencoder()(x, seeded(11))
    noise = torch.randn(3, 4, generator=seeded(11)).tolist()
    assert torch.equal(p.mean, torch.tensor(MEAN))
    assert torch.equal(p.logvar, torch.tensor(LOGVAR))
    z = p.z.detach().numpy()
    for i in range(3):
        for j in range(4):
            expected = MEAN[i][j] + math.sqrt(math.exp(LOGVAR[i][j])) * noise[i][j]
            assert math.isclose(z[i, j], expected, rel_tol=1e-5, abs_tol=1e-6)
    assert torch.equal(p.out.flatten(1), p.z)
    assert torch.equal(p.x, x)
    assert p.dataset_size == 50


def test_samples_have_the_mean_and_the_variance_of_the_posterior() -> None:
    model, generator = autoencoder(), seeded(3)
    with torch.no_grad():
        z = torch.stack([model.sample(torch.zeros(3, 1, 2, 2), generator)[2] for _ in range(4000)])
    variance = torch.tensor(LOGVAR).exp()
    assert torch.allclose(z.var(0), variance, rtol=0.12)
    assert ((z.mean(0) - torch.tensor(MEAN)).abs() < 5 * (variance / 4000).sqrt()).all()


def test_the_gradient_of_a_sample_reaches_mean_and_log_variance() -> None:
    """dz / dmean = 1 and dz / dlogvar = (z - mean) / 2."""
    model = autoencoder()
    p = model(torch.zeros(3, 1, 2, 2), seeded(5))
    p.z.sum().backward()
    to_mean, to_logvar = model.encoder.values.grad.chunk(2, 1)
    assert torch.equal(to_mean, torch.ones(3, 4))
    assert torch.allclose(to_logvar, 0.5 * (p.z - p.mean).detach())


def test_decoded_images_are_the_means_of_the_likelihood() -> None:
    z = torch.tensor([[-2.0, 0.0, 1.0, 5.0]])
    expected = [1 / (1 + math.exp(-value)) for value in (-2.0, 0.0, 1.0, 5.0)]
    assert torch.allclose(autoencoder().decode(z).flatten(), torch.tensor(expected))


def test_bytes_and_floats_are_encoded_alike() -> None:
    with torch.random.fork_rng():
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(4, 8))
    model = VAE(encoder, nn.Identity(), likelihoods.Bernoulli(), priors.StandardNormal(4), (1, 2, 2), dataset_size=50)
    x = torch.tensor([[[[0, 51], [102, 255]]]], dtype=torch.uint8)
    for ours, theirs in zip(model.encode(x), model.posterior(x / 255), strict=True):
        assert torch.equal(ours, theirs)


def test_codes_are_decoded_from_arrays_and_lists_as_from_tensors() -> None:
    model, rows = autoencoder(), [[0.5, -2.0, 1.0, 0.0], [3.0, 0.1, -0.7, 2.0]]
    expected = model.decode(torch.tensor(rows))
    for codes in (rows, np.array(rows), np.array(rows, ">f4"), np.array(rows)[::-1][::-1], torch.tensor(rows).double()):
        assert torch.equal(model.decode(codes), expected)
    assert torch.equal(model.decode(rows[0]), expected[:1])
    assert torch.equal(model.decode(np.array([[1, 0, 0, 2]])), model.decode([[1.0, 0.0, 0.0, 2.0]]))


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        ("codes.npy", "codes are a str without real numbers; give an array [B, 4]"),
        (None, "codes are a NoneType without real numbers"),
        ([[1.0], [1.0, 2.0]], "codes are a list without real numbers"),
        (np.zeros((2, 4), complex), "codes are a ndarray without real numbers"),
        (np.zeros((2, 5)), "codes have the shape [2, 5]; expected [B, 4]"),
        (torch.zeros(2, 4, 1), "codes have the shape [2, 4, 1]; expected [B, 4]"),
    ],
)
def test_other_codes_are_refused_in_one_sentence(codes: object, sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        autoencoder().decode(codes)


def test_images_are_encoded_in_any_byte_order_and_objects_are_refused() -> None:
    model, pixels = autoencoder(), np.random.default_rng(0).random((3, 1, 2, 2)).astype(np.float32)
    assert torch.equal(model.encode(pixels.astype(">f4"))[0], model.encode(pixels)[0])
    with pytest.raises(InputError, match=r"images are object; expected uint8 in 0\.\.255 or floats in \[0, 1\]"):
        model.encode(pixels.astype(object))
