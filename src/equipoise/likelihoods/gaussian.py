"""A Gaussian of fixed deviation."""

import math
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from equipoise.likelihoods.contract import Likelihood, squared_error


class Gaussian(Likelihood):
    """A Gaussian of fixed standard deviation around the picture, constants included.

    -log p(x|z) is negative where the picture is close to the image and sigma is small.

    Args:
        sigma: standard deviation in units of a pixel's range 0 to 1, above 0.

    Example:
        >>> import torch
        >>> from equipoise.likelihoods import Gaussian
        >>> Gaussian(0.1)(torch.zeros(2, 1, 1, 1), torch.full((2, 1, 1, 1), 0.5))
        tensor([-1.3836, -1.3836])
    """

    name: ClassVar[str] = "gaussian"
    can_be_negative = True

    def __init__(self, sigma: Annotated[float, Field(gt=0)] = 1.0) -> None:
        super().__init__()
        self.sigma, self.unit = sigma, 0.5 / sigma**2

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from `out` and `x` in [0, 1], both [B, C, H, W]."""
        pixels = x[0].numel()
        return self.unit * squared_error(out, x) + pixels * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))
