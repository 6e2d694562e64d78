"""The contract of priors, and the KL of a diagonal Gaussian posterior and any prior, estimated from one sample."""

import math
from abc import abstractmethod
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from equipoise.errors import choose
from equipoise.part import Part

Estimator = Literal["mc", "entropy", "stl"]


class Prior(Part):
    """A prior p(z) over `latent` dimensions: a product of S independent parts.

    A subclass defines `parts` and `sample`, and an attribute `latent`. The defaults of the other methods are those of a
    prior in which each dimension is a part of variance 1, with a KL that is estimated from the sample.
    """

    latent: int
    is_estimated: ClassVar[bool] = True  # whether `kl` is an estimate, which can be negative
    is_discrete: ClassVar[bool] = False  # whether codes are points that take few values, without noise

    @property
    def sizes(self) -> tuple[int, ...]:
        """Dimensions of each part, [S] numbers."""
        return (1,) * self.latent

    @property
    def deviation(self) -> Tensor:
        """Standard deviation [D] of each dimension."""
        return torch.ones(self.latent)

    def bound(self, mean: Tensor) -> Tensor:
        """The means [B, D] of an encoder in the range of the codes."""
        return mean

    def nearest(self, mean: Tensor) -> Tensor:
        """The codes [B, D] of means [B, D] in that range: the means, or for a discrete prior the nearest values."""
        return mean

    def straight_through(self, mean: Tensor) -> Tensor:
        """The codes [B, D] of `nearest`, with the gradient of `mean` [B, D]."""
        return mean + (self.nearest(mean) - mean).detach()

    def count(self, z: Tensor) -> None:
        """In training, follow how often the codes z [B, D] of a batch occur."""

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


def sampled_kl(prior: Prior, mean: Tensor, logvar: Tensor, z: Tensor, estimator: Estimator = "mc") -> Tensor:
    """An unbiased estimate of KL(q(z_k|x) || p(z_k)) [B, S] in nats of each part; it can be negative.

    The value of part k is the sum of log q(z_j|x) over its dimensions, less log p(z_k). The estimators differ in their
    variance.

    Args:
        prior: the prior p.
        mean, logvar: [B, D] of q(z|x).
        z: a sample of q(z|x), [B, D], with gradients to mean and logvar.
        estimator: "mc" takes both logarithms at the sample, as the published code of ISA-VAE (Stuehmer et al., AISTATS
            2020, Eq. 12); where q is close to p, its values vary less than those of "entropy". "entropy" replaces log
            q by its mean, minus the entropy of q; its gradients are those of "mc". "stl" has the value of "mc", but its
            gradient leaves out the score of q, whose mean is 0; so the gradient vanishes where q = p (Roeder, Wu &
            Duvenaud, "Sticking the Landing", 2017, https://arxiv.org/abs/1703.09194).

    Raises:
        InputError: for another estimator.

    Example:
        >>> from equipoise.priors import StandardNormal
        >>> zero = torch.zeros(1, 2)
        >>> sampled_kl(StandardNormal(2), mean=zero, logvar=zero, z=torch.ones(1, 2))
        tensor([[0., 0.]])
    """
    if choose("estimator", estimator, get_args(Estimator)) == "entropy":
        log_q = -0.5 * (logvar + math.log(2 * math.pi) + 1)
    else:
        if estimator == "stl":
            mean, logvar = mean.detach(), logvar.detach()
        log_q = -0.5 * ((z - mean).square() * (-logvar).exp() + logvar + math.log(2 * math.pi))
    return prior.pool(log_q) - prior.parts(z)
