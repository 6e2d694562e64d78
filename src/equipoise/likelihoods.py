"""The noise of the decoder: -log p(x|z) in nats per image, summed over channels and pixels."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise.errors import InputError


class Likelihood(nn.Module):
    """The contract: `forward(out, x)` gives -log p(x|z) [B] in nats per image from logits `out` and images `x` in
    [0, 1], both [B, C, H, W]; `unit` is the weight in it of one squared error, or of one nat of cross-entropy. What it
    learns is a parameter, what it remembers a buffer that moves in training alone.

    It is `nats(error(out, x), pixels)`: `error` is what each image has by itself, here everything, and `nats` what
    depends on the batch. Of several processes each has the images of its part of a batch, and the errors of all.
    """

    unit: float | Tensor

    def error(self, out: Tensor, x: Tensor) -> Tensor:
        """What [B] each image contributes by itself, from `out` and `x` as `forward` takes them."""
        error: Tensor = self(out, x)
        return error

    def nats(self, error: Tensor, pixels: int) -> Tensor:  # noqa: ARG002
        """-log p(x|z) [B] in nats per image, from the `error` [B] of all images of a batch, of `pixels` values each."""
        return error

    def mean(self, out: Tensor) -> Tensor:
        """E[x|z], [B, C, H, W] in [0, 1]."""
        return out.sigmoid()

    def logs(self) -> dict[str, Tensor]:
        """What it learned and remembers, [] by name, for a row of the log."""
        return {}


class Bernoulli(Likelihood):
    """Binary cross-entropy from logits; grey targets in [0, 1] are allowed (its floor is then their entropy)."""

    unit = 1.0

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log p(x|z) [B] in nats per image, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        return F.binary_cross_entropy_with_logits(out.to(x.dtype), x, reduction="none").flatten(1).sum(1)


class SquaredError(Likelihood):
    """`scale` times the squared error of sigmoid(out): a Gaussian of variance 1/(2 scale) up to its constant.

    `scale=1` is `mse`, the sum that L-VAE, ControlVAE and DynamicVAE use; `scale=0.5` is `half_mse`. A KL weight beta
    beside `half_mse` is 2 beta beside `mse`.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = self.unit = scale

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """Squared error [B] per image, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        error = F.mse_loss(out.to(x.dtype).sigmoid(), x, reduction="none").flatten(1).sum(1)
        return error if self.scale == 1 else self.scale * error


class Gaussian(Likelihood):
    """A Gaussian of fixed standard deviation `sigma` around sigmoid(out), constants included; it can be negative."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma, self.unit = sigma, 0.5 / sigma**2

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from `out` and `x` in [0, 1], both [B, C, H, W]."""
        error = F.mse_loss(out.to(x.dtype).sigmoid(), x, reduction="none").flatten(1).sum(1)
        pixels = x[0].numel()
        return self.unit * error + pixels * (math.log(self.sigma) + 0.5 * math.log(2 * math.pi))


class CalibratedGaussian(Likelihood):
    """A Gaussian around sigmoid(out) whose one standard deviation sigma is fitted; constants included, in nats.

    `form="optimal"`: sigma^2 is the mean squared error over the batch, its maximum-likelihood value, with gradients
    through it (which change nothing but by the soft floor: it is the minimum). What is kept, and used in evaluation, is
    a running mean of log sigma; the published code takes each test batch's own, which flatters its test likelihood.
    `form="learned"`: log sigma is a parameter, 0 at first.
    Either way log sigma is softly floored at -6: -6 + softplus(log sigma + 6).
    Rybkin, Daniilidis & Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021,
    https://arxiv.org/abs/2006.13202
    """

    log_sigma: Tensor
    batches: Tensor

    def __init__(self, form: Literal["optimal", "learned"] = "optimal", smoothing: float = 0.99) -> None:
        super().__init__()
        self.optimal, self.smoothing = form == "optimal", smoothing
        if self.optimal:
            self.register_buffer("log_sigma", torch.zeros(()))
            self.register_buffer("batches", torch.zeros(()))
        else:
            self.log_sigma = nn.Parameter(torch.zeros(()))

    @property
    def unit(self) -> Tensor:  # type: ignore[override]
        """1 / (2 sigma^2), the weight of the squared error, []; of the running mean where sigma is the batch's own."""
        return 0.5 * torch.exp(-2 * self._floored(self.log_sigma.detach()))

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from `out` and `x` in [0, 1], both [B, C, H, W].

        It can be negative.
        """
        return self.nats(self.error(out, x), x[0].numel())

    def error(self, out: Tensor, x: Tensor) -> Tensor:
        """Squared error [B] per image."""
        return F.mse_loss(out.to(x.dtype).sigmoid(), x, reduction="none").flatten(1).sum(1)

    def nats(self, error: Tensor, pixels: int) -> Tensor:
        """-log N(x; sigmoid(out), sigma^2) [B] in nats per image, from the squared errors [B] of a whole batch."""
        log_sigma = self.log_sigma
        if self.optimal and self.training:
            log_sigma = 0.5 * torch.log(error.mean() / pixels)
            self._remember(log_sigma.detach())
        log_sigma = self._floored(log_sigma)
        return 0.5 * torch.exp(-2 * log_sigma) * error + pixels * (log_sigma + 0.5 * math.log(2 * math.pi))

    def logs(self) -> dict[str, Tensor]:
        """sigma, [], in units of a pixel's range 0 to 1."""
        return {"sigma": self._floored(self.log_sigma.detach()).exp()}

    @torch.no_grad()
    def _remember(self, log_sigma: Tensor) -> None:
        """The running mean starts as the plain mean, so the first batches count in full."""
        self.batches += 1
        self.log_sigma += (log_sigma - self.log_sigma) * torch.clamp(1 / self.batches, min=1 - self.smoothing)

    @staticmethod
    def _floored(log_sigma: Tensor) -> Tensor:
        return F.softplus(log_sigma + 6) - 6


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
