"""The prior of the plain VAE."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from equipoise.priors.contract import Prior


class StandardNormal(Prior):
    """The standard normal N(0, I), with independent dimensions.

    Args:
        latent: number of dimensions D.

    Example:
        >>> mean, logvar = torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2)
        >>> StandardNormal(2).kl(mean, logvar, z=mean)
        tensor([[0.5000, 0.0000]])
    """

    name: ClassVar[str] = "standard-normal"
    is_estimated = False

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def parts(self, z: Tensor) -> Tensor:
        """log p(z_j) [B, D] in nats of each dimension, from z [B, D]."""
        return -0.5 * (z.square() + math.log(2 * math.pi))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent draws [n, D]."""
        return torch.randn(n, self.latent, generator=generator)

    def kl(self, mean: Tensor, logvar: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002 - a prior without a closed form needs z
        """KL(q(z_j|x) || N(0, 1)) [B, D] in nats of each dimension, in closed form; z [B, D] has no effect.

        It is (mean^2 + e^logvar - logvar - 1) / 2, with expm1 so that a collapsed dimension gives exactly 0.
        """
        return 0.5 * (mean.square() + torch.expm1(logvar) - logvar)
