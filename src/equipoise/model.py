"""The autoencoder, and the record of one forward pass that every term reads."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from equipoise.likelihoods import Likelihood, as_float
from equipoise.priors import Prior


@dataclass(frozen=True)
class Pass:
    """What one forward pass gave. x, out [B, C, H, W]; mean, logvar, z [B, D]; all float32 but `out` under bf16.

    In `shared` the first term that asks keeps what others need too.
    """

    x: Tensor
    mean: Tensor
    logvar: Tensor
    z: Tensor
    out: Tensor
    dataset_size: int
    prior: Prior
    likelihood: Likelihood
    shared: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)


class VAE(nn.Module):
    """Encoder, decoder, likelihood and prior of a variational autoencoder with a diagonal Gaussian posterior.

    `shape` is (C, H, W) of the images, `latent` the number of latent dimensions D, `dataset_size` the number of images
    trained on. The encoder gives [B, 2 D], means first and log-variances second; the decoder gives logits.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: Prior,
        shape: tuple[int, int, int],
        dataset_size: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.shape = shape
        self.dataset_size = dataset_size
        self.bf16 = False  # in training: the two nets, and nothing else, run under bfloat16 autocast

    @property
    def latent(self) -> int:
        return self.prior.latent

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Pass:
        """One training pass over x, float [B, C, H, W] in [0, 1], with one posterior sample an image."""
        mean, logvar, z = self.sample(x, generator)
        return Pass(x, mean, logvar, z, self.out(z), self.dataset_size, self.prior, self.likelihood)

    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """mean, logvar and one sample z of q(z|x), float32 [B, D] each, with gradients."""
        with self._autocast(x):
            mean, logvar = self.posterior(x)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return mean, logvar, mean + (0.5 * logvar).exp() * noise

    def out(self, z: Tensor) -> Tensor:
        """What the decoder makes of codes z [B, D], logits [B, C, H, W], with gradients."""
        with self._autocast(z):
            out: Tensor = self.decoder(z)
        return out

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and self.training)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mean, logvar, float32 [B, D], of q(z|x), with gradients and without a look at what x holds."""
        mean, logvar = self.encoder(x).to(x.dtype).chunk(2, dim=1)
        return mean, logvar

    @torch.no_grad()
    def encode(self, x: Tensor | npt.NDArray[Any]) -> tuple[Tensor, Tensor]:
        """mean, logvar [B, D] of q(z|x); x [B, C, H, W], tensor or array, is uint8 in 0..255 or float in [0, 1].

        Raises `InputError` for anything else.
        """
        return self.posterior(as_float(x).to(next(self.encoder.parameters()).device))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """E[x|z], float [B, C, H, W] in [0, 1], from codes z [B, D]."""
        z = z.to(next(self.decoder.parameters()).device, torch.float32)
        return self.likelihood.mean(self.decoder(z))
