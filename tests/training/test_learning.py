"""Training reaches optima that are known from elsewhere: an optimiser that takes no step fails here."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import equipoise as eq
from equipoise import priors, terms
from equipoise.balance import Fixed
from equipoise.likelihoods import Likelihood
from equipoise.model import VAE
from equipoise.objective import Objective
from equipoise.sections import Train
from equipoise.training.loop import Training, fit

NOISE = 0.25  # variance of the decoder
STEPS = 1000


class Linear(Likelihood):
    """A Gaussian of variance NOISE around the output of the decoder itself, without a sigmoid and without constants."""

    unit = 0.5 / NOISE

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        return self.unit * (x - out).square().flatten(1).sum(1)


def test_a_linear_vae_reaches_probabilistic_pca() -> None:
    """W W^T = U (L - NOISE) U^T over the leading eigenvalues L of the covariance, and the encoder is its posterior.

    Tipping & Bishop, Probabilistic Principal Component Analysis, 1999. The linear VAE has the same optimum: Lucas et
    al., Don't Blame the ELBO!, NeurIPS 2019, https://arxiv.org/abs/1911.02469
    """
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    data = rng.standard_normal((512, 5)) * np.sqrt([4.0, 1.5, 0.2, 0.15, 0.1]) @ basis.T + 0.5
    images = torch.tensor(data, dtype=torch.float32).view(-1, 1, 1, 5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), Posterior(5, 2))
        decoder = nn.Sequential(nn.Linear(2, 5), nn.Unflatten(1, (1, 1, 5)))
    objective = Objective(
        terms={"rec": terms.rec, "kl": terms.kl},
        balance=Fixed({"kl": 1.0}),
        likelihood=Linear(),
        prior=priors.StandardNormal(2),
    )
    model = VAE(encoder, decoder, objective.likelihood, objective.prior, (1, 1, 5), len(images))
    train = Train(steps=STEPS, batch=len(images), lr=0.1, schedule="one-cycle", log_every=STEPS)
    rows: list[dict[str, float]] = []
    fit(
        Training(model, objective, train, torch.device("cpu")),
        lambda step, stream: images,  # noqa: ARG005
        log=rows.append,
        save=lambda: None,
        after=lambda step: None,  # noqa: ARG005
        stop=lambda: False,
    )

    covariance = np.cov(data.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    expected = vectors[:, -2:] * (values[-2:] - NOISE) @ vectors[:, -2:].T
    weights = decoder[0].weight.detach().double().numpy()
    np.testing.assert_allclose(weights @ weights.T, expected, atol=0.04)
    np.testing.assert_allclose(decoder[0].bias.detach().numpy(), data.mean(0), atol=0.02)
    precision = np.eye(2) + weights.T @ weights / NOISE
    np.testing.assert_allclose(encoder[1].logvar.detach().exp(), 1 / np.diag(precision), rtol=0.05)
    posterior_mean = np.linalg.solve(precision, weights.T / NOISE)
    np.testing.assert_allclose(encoder[1].mean.weight.detach(), posterior_mean, atol=0.02)


class Posterior(nn.Module):
    """Means that are linear in x, and one log-variance for each latent."""

    def __init__(self, inputs: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(inputs, latent)
        self.logvar = nn.Parameter(torch.zeros(latent))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.mean(x), self.logvar.expand(len(x), -1)], 1)


def test_a_few_seconds_of_training_separate_two_factors(tmp_path: Path) -> None:
    """Two bars, a large and a small one, each in ten shades. An untrained net has a MIG of 0.2 to 0.5."""
    shades = np.linspace(0, 255, 10).round().astype(np.uint8)
    large, small = np.divmod(np.arange(100), 10)
    images = np.empty((100, 8, 8), np.uint8)
    images[:, :6], images[:, 6:] = shades[large, None, None], shades[small, None, None]
    path = tmp_path / "bars.npz"
    np.savez(path, images=images, factors=np.column_stack([large, small]), factor_names=["large", "small"])
    run = eq.train(
        path,
        method="beta-vae",
        net="burgess",
        steps=250,
        seed=0,
        out=tmp_path / "run",
        progress=False,
        settings={
            "method.likelihood": "mse",
            "method.beta": 0.3,
            "net.latent": 2,
            "train.lr": 1e-3,
            "train.batch": 50,
            "evaluate.which": ("mig", "sap"),
        },
    )
    assert run.scores["mig"].value > 0.7
    assert run.scores["sap"].value > 0.9
    assert run.logs[-1]["rec"] < 2, "squared error of an image; the mean image has 7"
