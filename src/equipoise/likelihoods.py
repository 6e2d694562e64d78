"""The noise of the decoder: -log p(x|z) in nats per image, summed over channels and pixels."""

import math
from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise.errors import InputError


class Bernoulli(nn.Module):
    """Binary cross-entropy from logits; grey targets in [0, 1] are allowed (its floor is then their entropy)."""

    unit = 1.0

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log p(x|z) [B] in nats per image, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        return F.binary_cross_entropy_with_logits(out.to(x.dtype), x, reduction="none").flatten(1).sum(1)

    def mean(self, out: Tensor) -> Tensor:
        """E[x|z] [B, C, H, W] in [0, 1]."""
        return out.sigmoid()


class SquaredError(nn.Module):
    """`scale` times the squared error of sigmoid(out): a Gaussian of variance 1/(2 scale) up to its constant.

    `scale=1` is `mse`, the sum that L-VAE, ControlVAE and DynamicVAE use; `scale=0.5` is `half_mse`. A KL weight beta
    beside `half_mse` is 2 beta beside `mse`.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    @property
    def unit(self) -> float:
        return self.scale

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """Squared error [B] per image, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        error = F.mse_loss(out.to(x.dtype).sigmoid(), x, reduction="none").flatten(1).sum(1)
        return error if self.scale == 1 else self.scale * error

    def mean(self, out: Tensor) -> Tensor:
        """E[x|z] [B, C, H, W] in [0, 1]."""
        return out.sigmoid()


class Gaussian(nn.Module):
    """A Gaussian of fixed standard deviation `sigma` around sigmoid(out), constants included; it can be negative."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    @property
    def unit(self) -> float:
        return 0.5 / self.sigma**2

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from `out` and `x` in [0, 1], both [B, C, H, W]."""
        error = F.mse_loss(out.to(x.dtype).sigmoid(), x, reduction="none").flatten(1).sum(1)
        pixels = x[0].numel()
        return self.unit * error + pixels * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))

    def mean(self, out: Tensor) -> Tensor:
        """E[x|z] [B, C, H, W] in [0, 1]."""
        return out.sigmoid()


Likelihood = Bernoulli | SquaredError | Gaussian

LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "bernoulli": Bernoulli,
    "mse": SquaredError,
    "half_mse": lambda: SquaredError(0.5),
}


def named(name: str, channels: int, sigma: float = 1.0) -> Likelihood:
    """The likelihood called `name`; `auto` is `bernoulli` for one channel and `mse` for colour."""
    if name == "auto":
        name = "bernoulli" if channels == 1 else "mse"
    if name == "gaussian":
        return Gaussian(sigma)
    if name not in LIKELIHOODS:
        raise InputError(f"{name}: no such likelihood; choose one of auto, gaussian, {', '.join(LIKELIHOODS)}")
    return LIKELIHOODS[name]()


def per_image(x: Tensor, mean: Tensor) -> dict[str, Tensor]:
    """Squared error `sse` and Bernoulli cross-entropy `bce` [B] of pictures `mean` against `x`, both in [0, 1].

    These are the measures methods are compared on, whatever likelihood they were trained with. `bce` clamps its
    logarithms at -100, as torch does, so a pixel that is certain and wrong costs 100 nats.
    """
    return {
        "sse": (x - mean).square().flatten(1).sum(1),
        "bce": F.binary_cross_entropy(mean, x, reduction="none").flatten(1).sum(1),
    }


def as_float(x: Tensor | npt.NDArray[Any]) -> Tensor:
    """Images as float32 in [0, 1]: uint8 0..255 is divided by 255, floats must lie in [0, 1] already."""
    x = torch.as_tensor(x)
    if x.dtype == torch.uint8:
        return x.float() / 255
    if x.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise InputError(f"images are {x.dtype}; expected uint8 in 0..255 or floats in [0, 1]")
    low, high = (float(v) for v in torch.aminmax(x)) if x.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        raise InputError(f"images range from {low:g} to {high:g}; expected floats in [0, 1], or uint8 in 0..255")
    return x.float()
