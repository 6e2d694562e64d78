"""Likelihoods that learn nothing: cross-entropy, squared error, a Gaussian of fixed deviation."""

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from equipoise.likelihoods.contract import Likelihood, Link


class Bernoulli(Likelihood):
    """Binary cross-entropy from logits.

    Grey targets between 0 and 1 are allowed; the smallest value is then their entropy, not 0.

    Source:
        Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014, appendix C.1, https://arxiv.org/abs/1312.6114

    Example:
        >>> Bernoulli()(torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1))
        tensor([0.6931, 0.6931])
    """

    name: ClassVar[str] = "bernoulli"
    error_name: ClassVar[str] = "cross-entropy"
    unit = 1.0

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log p(x|z) [B] in nats per image, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        return (
            torch.nn.functional.binary_cross_entropy_with_logits(out.to(x.dtype), x, reduction="none").flatten(1).sum(1)
        )


class SquaredError(Likelihood):
    """Squared error of the picture, summed over channels and pixels.

    Up to its constant it is a Gaussian of variance 1 / (2 scale). In settings, `mse` has scale 1, as L-VAE, ControlVAE
    and DynamicVAE, and `half_mse` has scale 0.5. A KL weight beta with `half_mse` equals 2 beta with `mse`.

    Args:
        scale: factor of the squared error, above 0.
        link: None for pixels, `identity` for vectors.

    Example:
        >>> SquaredError(0.5)(torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1))  # sigmoid(0) is 0.5
        tensor([0.1250, 0.1250])
    """

    name: ClassVar[str] = "squared-error"

    def __init__(self, scale: Annotated[float, Field(gt=0)] = 1.0, link: Link = None) -> None:
        super().__init__()
        self.scale = self.unit = scale
        self.link = link

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """Squared error [B] per image times scale, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        error = self.squared_error(out, x)
        return error if self.scale == 1 else self.scale * error

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) [B] in nats of the Gaussian of variance 1 / (2 scale), with the constant that training leaves out.

        `out` and `x` as in `forward`.
        """
        return super().log_prob(out, x) - 0.5 * x[0].numel() * math.log(math.pi / self.scale)


class Gaussian(Likelihood):
    """A Gaussian of fixed standard deviation around the picture, constants included.

    -log p(x|z) is negative where the picture is close to the image and sigma is small.

    Args:
        sigma: standard deviation in units of a pixel's range 0 to 1, of vectors in scaled units, above 0.
        link: None for pixels, `identity` for vectors.

    Example:
        >>> Gaussian(0.1)(torch.zeros(2, 1, 1, 1), torch.full((2, 1, 1, 1), 0.5))
        tensor([-1.3836, -1.3836])
    """

    name: ClassVar[str] = "gaussian"
    can_be_negative = True

    def __init__(self, sigma: Annotated[float, Field(gt=0)] = 1.0, link: Link = None) -> None:
        super().__init__()
        self.sigma, self.unit, self.link = sigma, 0.5 / sigma**2, link

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from `out` and `x` in [0, 1], both [B, C, H, W]."""
        pixels = x[0].numel()
        return self.unit * self.squared_error(out, x) + pixels * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))
