"""Conversion of images for the likelihoods, and errors of pictures."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from equipoise.errors import InputError
from equipoise.likelihoods.contract import Link


def per_image(x: Tensor, mean: Tensor, link: Link = None) -> dict[str, Tensor]:
    """Squared error `sse` and, for pixels, Bernoulli cross-entropy `bce`, [B] each, of `mean` against images `x`.

    Both are [B, C, H, W] in [0, 1]. Methods are compared by these errors, whatever likelihood they were trained with.
    `bce` clamps its logarithms at -100, as torch does, so a pixel that is certain and wrong costs 100 nats.
    """
    errors = {"sse": (x - mean).square().flatten(1).sum(1)}
    if link is None:
        # `F.binary_cross_entropy` of torch 2.13 takes its logarithms one by one, which is five times as slow.
        off, on = torch.log1p(-mean).clamp_min(-100), mean.log().clamp_min(-100)
        errors["bce"] = -torch.lerp(off, on, x).flatten(1).sum(1)
    return errors


def as_float(x: Tensor | npt.NDArray[Any], link: Link = None) -> Tensor:
    """Images as float32 in [0, 1]: uint8 in 0..255 is divided by 255, floats must be in [0, 1] already.

    Scaled vectors, with the link `identity`, are any finite numbers. Raises `InputError` for other types and ranges.
    """
    if isinstance(x, np.ndarray):
        if x.dtype.kind not in "biufc":
            raise InputError(f"images are {x.dtype}; expected uint8 in 0..255 or floats in [0, 1]")
        # torch takes no negative strides and only the byte order of the machine
        x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    x = torch.as_tensor(x)
    if link is not None:
        if not x.isfinite().all():
            raise InputError("the vectors have values that are not finite; repair or remove them")
        return x.float()
    if x.dtype == torch.uint8:
        return x.float() / 255
    if x.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise InputError(f"images are {x.dtype}; expected uint8 in 0..255 or floats in [0, 1]")
    low, high = (float(v) for v in torch.aminmax(x)) if x.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        raise InputError(f"images range from {low:g} to {high:g}; expected floats in [0, 1], or uint8 in 0..255")
    return x.float()
