"""The prior of the plain VAE."""

import math

import torch
from torch import Tensor, nn


class StandardNormal(nn.Module):
    """N(0, I) over `latent` dimensions, each of them a part."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) [B] in nats, from z [B, D]."""
        return self.parts(z).sum(-1)

    def parts(self, z: Tensor) -> Tensor:
        """log p(z_j) [B, D] in nats of each dimension, from z [B, D]."""
        return -0.5 * (z.square() + math.log(2 * math.pi))

    def pool(self, t: Tensor) -> Tensor:
        """t [B, D] itself."""
        return t

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n draws [n, D]."""
        return torch.randn(n, self.latent, generator=generator)

    def kl(self, mean: Tensor, logvar: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002 - a prior without a closed form needs z
        """KL(q(z_j|x) || N(0, 1)) [B, D] in nats of each dimension; z [B, D] is not needed.

        (mean^2 + e^logvar - logvar - 1) / 2, with expm1 so that a collapsed dimension gives 0 and not rounding noise.
        """
        return 0.5 * (mean.square() + torch.expm1(logvar) - logvar)

    def logs(self) -> dict[str, Tensor]:
        """Nothing: it does not learn."""
        return {}
