"""Squared error."""

import math
from typing import Annotated, ClassVar

from pydantic import Field
from torch import Tensor

from equipoise.likelihoods.contract import Likelihood, squared_error


class SquaredError(Likelihood):
    """Squared error of the picture, summed over channels and pixels.

    Up to its constant it is a Gaussian of variance 1 / (2 scale). In settings, `mse` has scale 1, as L-VAE, ControlVAE
    and DynamicVAE, and `half_mse` has scale 0.5. A KL weight beta with `half_mse` equals 2 beta with `mse`.

    Args:
        scale: factor of the squared error, above 0.

    Example:
        >>> import torch
        >>> from equipoise.likelihoods import SquaredError
        >>> SquaredError(0.5)(torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1))  # sigmoid(0) is 0.5
        tensor([0.1250, 0.1250])
    """

    name: ClassVar[str] = "squared-error"

    def __init__(self, scale: Annotated[float, Field(gt=0)] = 1.0) -> None:
        super().__init__()
        self.scale = self.unit = scale

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """Squared error [B] per image times scale, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        error = squared_error(out, x)
        return error if self.scale == 1 else self.scale * error

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) [B] in nats of the Gaussian of variance 1 / (2 scale), with the constant that training leaves out.

        `out` and `x` as in `forward`.
        """
        return super().log_prob(out, x) - 0.5 * x[0].numel() * math.log(math.pi / self.scale)
