"""The contract of priors."""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from equipoise.part import Part
from equipoise.priors.kl import sampled_kl


class Prior(Part):
    """A prior p(z) over `latent` dimensions: a product of S independent parts.

    A subclass defines `parts` and `sample`, and an attribute `latent`. The defaults of the other methods are those of a
    prior in which each dimension is a part of variance 1, with a KL that is estimated from the sample.
    """

    latent: int
    is_estimated: ClassVar[bool] = True  # whether `kl` is an estimate, which can be negative

    @property
    def sizes(self) -> tuple[int, ...]:
        """Dimensions of each part, [S] numbers."""
        return (1,) * self.latent

    @property
    def deviation(self) -> Tensor:
        """Standard deviation [D] of each dimension."""
        return torch.ones(self.latent)

    @abstractmethod
    def parts(self, z: Tensor) -> Tensor:
        """log p(z_k) [B, S] in nats of each part, from z [B, D]."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent draws [n, D]."""

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) [B] in nats, from z [B, D]."""
        return self.parts(z).sum(-1)

    def pool(self, t: Tensor) -> Tensor:
        """t [B, D] summed over the dimensions of each part, [B, S]."""
        return t

    def kl(self, mean: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
        """KL(q(z_k|x) || p(z_k)) [B, S] in nats of each part, here an estimate from the sample z: see `sampled_kl`.

        mean, logvar [B, D] are those of q(z|x); z [B, D] was drawn from it.
        """
        return sampled_kl(self, mean, logvar, z)
