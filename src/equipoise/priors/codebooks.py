"""Codes that take few values: a codebook of numbers for each dimension, and how often each is used."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from equipoise.priors.contract import Prior

RATE = 0.01  # of the running mean of the frequencies: about the last 100 batches
RAREST = 1e-6  # frequency of a value that is not used


class Codebooks(Prior):
    """Each dimension takes one of a few values, with the frequencies of the latest training batches.

    The posterior of an image is a point: the nearest value of each dimension. Its KL is -log of the frequency of that
    value, whose mean is the entropy of the dimension, in nats.

    Args:
        latent: number of dimensions D.
        values: number of values V of each dimension.
        learned: whether the values are parameters, at first V equal steps from -0.5 to 0.5. Otherwise they stay V equal
            steps from -1 to 1, and tanh limits the codes, normalised over the batch, to that range.

    Source:
        Hsu et al., Disentanglement via Latent Quantization, NeurIPS 2023, https://arxiv.org/abs/2305.18378; fixed
        values: Mentzer et al., Finite Scalar Quantization, ICLR 2024, https://arxiv.org/abs/2309.15505

    Example:
        >>> Codebooks(1, values=3, learned=False).nearest(torch.tensor([[0.4], [0.6]])).tolist()
        [[0.0], [1.0]]
    """

    name: ClassVar[str] = "codebooks"
    is_estimated = False
    is_discrete = True
    levels: Tensor
    usage: Tensor

    def __init__(self, latent: int, values: Annotated[int, Field(ge=2, le=1024)] = 12, learned: bool = True) -> None:
        super().__init__()
        self.latent, self.values, self.learned = latent, values, learned
        limit = 0.5 if learned else 1.0
        levels = torch.linspace(-limit, limit, values).repeat(latent, 1)
        if learned:
            self.levels = nn.Parameter(levels)
        else:
            self.register_buffer("levels", levels)
            self.norm = nn.BatchNorm1d(latent, affine=False)
        self.register_buffer("usage", torch.full((latent, values), 1 / values))

    @property
    def deviation(self) -> Tensor:
        """Standard deviation [D] of each dimension if all its values are equally frequent."""
        return self.levels.std(1, correction=0)

    def bound(self, mean: Tensor) -> Tensor:
        """The output of an encoder [B, D] in the range of the values.

        For fixed values it is normalised to mean 0 and variance 1, over the batch in training and by running means
        otherwise, before tanh. The first outputs differ by much less than a step between values, so without this all
        images would have the same code.
        """
        return mean if self.learned else self.norm(mean).tanh()

    def nearest(self, mean: Tensor) -> Tensor:
        """The nearest value [B, D] of each entry of `mean` [B, D], with a gradient to the values."""
        return self.levels.expand(len(mean), -1, -1).gather(2, self._index(mean)[..., None]).squeeze(2)

    @torch.no_grad()
    def count(self, z: Tensor) -> None:
        """In training, move the frequencies towards those of the codes z [B, D]."""
        if self.training:
            batch = nn.functional.one_hot(self._index(z), self.values).to(self.usage.dtype).mean(0)
            self.usage.lerp_(batch, RATE)

    def parts(self, z: Tensor) -> Tensor:
        """log p(z_j) [B, D] in nats of the nearest value of each dimension, from z [B, D]."""
        usage = self.usage.clamp(min=RAREST).log()
        return usage.expand(len(z), -1, -1).gather(2, self._index(z)[..., None]).squeeze(2)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n independent draws [n, D]."""
        index = torch.multinomial(self.usage.cpu(), n, replacement=True, generator=generator)
        return self.levels.detach().cpu().gather(1, index).T.contiguous()

    def kl(self, mean: Tensor, logvar: Tensor, z: Tensor) -> Tensor:  # noqa: ARG002 - the posterior is a point
        """KL of the point z_j and the frequencies [B, D] in nats of each dimension: -log p(z_j)."""
        return -self.parts(z)

    def _index(self, z: Tensor) -> Tensor:
        """The number of the nearest value [B, D]."""
        return (z.detach()[..., None] - self.levels.detach()).abs().argmin(2)
