"""A net as a list of layers that the page's own code can run, with weights of as few bits as the result allows.

The page keeps images and activations with the channels last. A layer is one matrix: its rows are multiplied with the
input (`dense`), with each patch of it (`conv`), or with each of its pixels, to be laid over each other (`up`, a
transposed convolution). Reshapes between images and vectors become an order of rows or columns and are gone.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from equipoise.errors import InputError

Weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d

BITS = range(10, 17)  # of a weight; 16 are the most that the page's format takes
ACTIVATIONS: dict[type[nn.Module], Literal["relu", "tanh"]] = {nn.ReLU: "relu", nn.Tanh: "tanh"}


@dataclass(frozen=True)
class Layer:
    """A weighted layer and what follows it up to the next: rows [M, K], bias [out], sizes as height, width, channels.

    K counts the numbers of a patch or pixel. M is the channels that come out; of `up` each channel of a patch.
    """

    kind: Literal["dense", "conv", "up"]
    rows: Tensor
    bias: Tensor
    activation: Literal["relu", "tanh", "none"]
    input: tuple[int, int, int]
    output: tuple[int, int, int]
    kernel: int = 1
    stride: int = 1
    padding: int = 0

    def described(self) -> dict[str, Any]:
        """All but the weights, ready for JSON."""
        names = ("kind", "activation", "input", "output", "kernel", "stride", "padding")
        return {name: getattr(self, name) for name in names} | {"rows": list(self.rows.shape)}

    def whole(self, bits: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The rows as whole numbers [M, K] of `bits` bits, and the scale [M] of each, which together are the rows."""
        scale = self.rows.abs().amax(1).clamp(min=_SMALLEST) / _most(bits)
        return (self.rows / scale[:, None]).round().int().numpy(), scale.numpy()


def layers_of(net: nn.Module, shape: Sequence[int]) -> list[Layer]:
    """The layers of a net that takes [B, *shape], `shape` being (C, H, W) or (D,).

    Raises `InputError` for a net that is anything but a sequence of linear layers, convolutions and transposed ones
    with square kernels, batch normalisation after these, ReLU, tanh, flatten and unflatten.
    """
    found: list[Layer] = []
    flat: tuple[int, int, int] | None = None  # height, width, channels of an image whose pixels are a vector now
    x = torch.zeros(1, *shape)
    for module in _fused(net):
        before, x = x, _run(module, x)
        if isinstance(module, Weighted):
            found.append(_layer(module, before, x, flat))
            flat = None
        elif type(module) in ACTIVATIONS and found and found[-1].activation == "none":
            found[-1] = replace(found[-1], activation=ACTIVATIONS[type(module)])
        elif isinstance(module, nn.Flatten) and before.ndim == 4:
            flat = _size(before)
        elif isinstance(module, nn.Unflatten) and x.ndim == 4:
            if found and found[-1].kind == "dense":
                found[-1] = _as_image(found[-1], _size(x))
            elif before.shape[1] != x.shape[1]:
                raise _refusal(module)
        else:
            raise _refusal(module)
    if flat is not None and flat[:2] != (1, 1):
        raise InputError("the explorer cannot run a net that ends with the pixels of an image in a row")
    return found


def rounded(net: nn.Module, bits: int) -> nn.Module:
    """A copy of the net whose weights are those that the page unpacks, for measuring what the rounding does."""
    copy = nn.Sequential(*_fused(net))
    for module in copy:
        if isinstance(module, Weighted):
            weight = module.weight.detach()
            inputs = 0 if isinstance(module, nn.ConvTranspose2d) else tuple(range(1, weight.ndim))
            scale = weight.abs().amax(inputs, keepdim=True).clamp(min=_SMALLEST) / _most(bits)
            module.weight = nn.Parameter((weight / scale).round() * scale)
    return copy


def fewest_bits(error: Callable[[int], float], allowed: float) -> tuple[int, float]:
    """The fewest bits of a weight whose `error` is at most `allowed`, or the most there are; and that error."""
    found = 0.0
    for bits in BITS:
        found = error(bits)
        if found <= allowed:
            break
    return bits, found


_SMALLEST = 1e-30  # of a scale, for rows of zeros


def _most(bits: int) -> int:
    return (1 << (bits - 1)) - 1


def _fused(net: nn.Module) -> list[nn.Module]:
    """The modules of a sequence; batch normalisation, linear in evaluation, is taken into the convolution before it."""
    if not isinstance(net, nn.Sequential):
        raise _refusal(net)
    modules: list[nn.Module] = []
    for module in net:
        last = modules[-1] if modules else None
        if isinstance(module, nn.BatchNorm2d) and isinstance(last, nn.Conv2d | nn.ConvTranspose2d):
            modules[-1] = fuse_conv_bn_eval(last, module, transpose=isinstance(last, nn.ConvTranspose2d))
        else:
            modules.append(deepcopy(module))
    return modules


@torch.no_grad()
def _run(module: nn.Module, x: Tensor) -> Tensor:
    out: Tensor = module(x)
    return out


def _size(x: Tensor) -> tuple[int, int, int]:
    """Height, width and channels of [1, C, H, W], and of a vector [1, D] as of one pixel."""
    if x.ndim == 2:
        return 1, 1, x.shape[1]
    return x.shape[2], x.shape[3], x.shape[1]


def _layer(module: Weighted, x: Tensor, out: Tensor, flat: tuple[int, int, int] | None) -> Layer:
    """The layer of one module, for its input x and output; `flat` is the image whose pixels a linear layer takes."""
    weight = module.weight.detach()
    bias = torch.zeros(_size(out)[2]) if module.bias is None else module.bias.detach()
    if isinstance(module, nn.Linear):
        if flat is not None:
            height, width, channels = flat
            weight = weight.reshape(-1, channels, height, width).permute(0, 2, 3, 1).flatten(1)
        return Layer("dense", weight, bias, "none", (1, 1, weight.shape[1]), _size(out))
    if not _plain(module):
        raise _refusal(module)
    up = isinstance(module, nn.ConvTranspose2d)
    rows = weight.permute(2, 3, 1, 0).flatten(0, 2) if up else weight.permute(0, 2, 3, 1).flatten(1)
    kernel, stride, padding = module.kernel_size[0], module.stride[0], int(module.padding[0])
    return Layer("up" if up else "conv", rows, bias, "none", _size(x), _size(out), kernel, stride, padding)


def _plain(module: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution is square, in one group, padded with zeros on all sides alike, and nothing more."""
    square = all(len(set(pair)) == 1 for pair in (module.kernel_size, module.stride, module.padding))
    more = (*module.dilation, module.groups, *(1 + extra for extra in module.output_padding))
    return square and not isinstance(module.padding, str) and set(more) == {1} and module.padding_mode == "zeros"


def _as_image(layer: Layer, size: tuple[int, int, int]) -> Layer:
    """A linear layer whose numbers come out as an image, with its channels last."""
    height, width, channels = size
    rows = layer.rows.reshape(channels, height, width, -1).permute(1, 2, 0, 3).flatten(0, 2)
    bias = layer.bias.reshape(channels, height, width).permute(1, 2, 0).flatten()
    return replace(layer, rows=rows, bias=bias)


def _refusal(module: nn.Module) -> InputError:
    return InputError(
        f"the explorer cannot run {module}; it takes nets that are a sequence of linear layers, convolutions, batch "
        f"normalisation, ReLU and tanh, as those of `equipoise list nets` are"
    )
