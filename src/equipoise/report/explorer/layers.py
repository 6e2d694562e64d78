"""Encoder and decoder as lists of layers that the page's JavaScript can run.

The page stores images and activations with the channels last. A layer is one matrix. Its rows are multiplied with the
input (`dense`), with each patch of it (`conv`), or with each of its pixels, whose results are added where they overlap
(`up`, a transposed convolution). A reshape between image and vector becomes an order of rows or columns.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from equipoise.errors import InputError
from equipoise.gates import SPEED, Gate, Gated

Weighted = nn.Linear | nn.Conv2d | nn.ConvTranspose2d
Activation = Literal["relu", "tanh", "silu", "none"]

BITS = 14  # of a stored weight; pixels change by at most 0.1 of 255 levels, and the file is 20 % smaller than with 16
ACTIVATIONS: dict[type[nn.Module], Activation] = {nn.ReLU: "relu", nn.SiLU: "silu", nn.Tanh: "tanh"}


@dataclass(frozen=True)
class Layer:
    """A layer with weights and the activation after it.

    `rows` is [M, K]. K is the size of the input, of a patch or of a pixel. M is the number of output channels, for `up`
    times the number of pixels of the kernel. `input` and `output` are height, width and channels, `kernel` is height
    and width. `gate` [3, n] has the slope, offset and constant of each unit of a layer with gates. The output is g(u)
    times the output without gates, plus the constant, where u is the slope times the level of beta, plus the offset.
    """

    kind: Literal["dense", "conv", "up"]
    rows: Tensor
    bias: Tensor
    activation: Activation
    input: tuple[int, int, int]
    output: tuple[int, int, int]
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: int = 0
    gate: Tensor | None = None

    def describe(self) -> dict[str, Any]:
        """Return all but the weights, ready for JSON."""
        names = ("kind", "activation", "input", "output", "kernel", "stride", "padding")
        return {name: getattr(self, name) for name in names} | {
            "rows": list(self.rows.shape),
            "gated": self.gate is not None,
        }


@torch.no_grad()
def layers_of(net: nn.Module, shape: Sequence[int]) -> list[Layer]:
    """Return the layers of a net that takes [B, *shape]; `shape` is (C, H, W) or (D,).

    The net is a sequence of linear layers, convolutions and transposed convolutions, batch normalisation
    after these, ReLU, SiLU, tanh, flatten and unflatten, or such a sequence with gates. Raises `InputError` for any
    other.
    """
    if isinstance(net, Gated):
        return _with_gates(net, shape)
    layers: list[Layer] = []
    flat: tuple[int, int, int] | None = None  # height, width, channels of an image that was flattened
    x = torch.zeros(1, *shape)
    for module in _fused(net):
        before, x = x, module(x)
        if isinstance(module, Weighted):
            layers.append(_layer(module, before, x, flat))
            flat = None
        elif type(module) in ACTIVATIONS and layers and layers[-1].activation == "none":
            layers[-1] = replace(layers[-1], activation=ACTIVATIONS[type(module)])
        elif isinstance(module, nn.Flatten) and before.ndim == 4:
            flat = _size(before)
        elif isinstance(module, nn.Unflatten) and x.ndim == 4:
            if layers and layers[-1].kind == "dense":
                layers[-1] = _as_image(layers[-1], _size(x))
            elif before.shape[1] != x.shape[1]:
                raise _refusal(module)
        else:
            raise _refusal(module)
    if flat is not None and flat[:2] != (1, 1):
        raise InputError("the explorer cannot run a net that ends by flattening an image; end it with a linear layer")
    return layers


def _with_gates(net: Gated, shape: Sequence[int]) -> list[Layer]:
    """Return the layers of a net with gates.

    The parameters of the gates replace the biases in copies of the net, so `layers_of` orders them like the biases.
    """

    def biases(values: Callable[[Gate], Tensor], *, normalised: bool) -> Iterator[Tensor]:
        copy = deepcopy(net.net)
        for i, gate in net.gates.items():
            copy[int(i)].bias = nn.Parameter(values(gate).detach())  # type: ignore[arg-type]
        modules = (module for module in copy if normalised or not isinstance(module, nn.BatchNorm2d))
        return (layer.bias for layer in layers_of(nn.Sequential(*modules), shape))

    slopes = biases(lambda gate: SPEED * gate.slope, normalised=False)
    offsets = biases(lambda gate: SPEED * gate.offset, normalised=False)
    ungated = biases(lambda gate: torch.zeros_like(gate.slope), normalised=True)  # what batch normalisation adds
    has_gate = [str(i) in net.gates for i, module in enumerate(net.net) if isinstance(module, Weighted)]
    return [
        replace(layer, bias=layer.bias - constant, gate=torch.stack([slope, offset, constant])) if gated else layer
        for layer, gated, slope, offset, constant in zip(
            layers_of(net.net, shape), has_gate, slopes, offsets, ungated, strict=True
        )
    ]


def integers(weights: Tensor, dims: int | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return weights as integers of 14 bits and their scale, the same along `dims`. The product is the weights."""
    scale = weights.abs().amax(dims, keepdim=True).clamp(min=1e-30) / (2 ** (BITS - 1) - 1)
    return (weights / scale).round().to(torch.int16), scale


def rounded(net: nn.Module) -> nn.Module:
    """Return a copy of the net with the weights that the page stores."""
    copy = nn.Sequential(*_fused(net))
    for module in copy:
        if isinstance(module, Weighted):
            weight = module.weight.detach()
            inputs = 0 if isinstance(module, nn.ConvTranspose2d) else tuple(range(1, weight.ndim))
            numbers, scale = integers(weight, inputs)
            module.weight = nn.Parameter(numbers * scale)
    return copy


def _fused(net: nn.Module) -> list[nn.Module]:
    """Return copies of the modules of a sequence, with batch normalisation fused into the convolution before it."""
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


def _size(x: Tensor) -> tuple[int, int, int]:
    """Return height, width and channels of [1, C, H, W]; a vector [1, D] is one pixel."""
    if x.ndim == 2:
        return 1, 1, x.shape[1]
    return x.shape[2], x.shape[3], x.shape[1]


def _layer(module: Weighted, x: Tensor, out: Tensor, flat: tuple[int, int, int] | None) -> Layer:
    """Return the layer of a module with its input and output; `flat` is the size of an image that it takes flat."""
    weight = module.weight.detach()
    bias = torch.zeros(_size(out)[2]) if module.bias is None else module.bias.detach()
    if isinstance(module, nn.Linear):
        if flat is not None:
            height, width, channels = flat
            weight = weight.reshape(-1, channels, height, width).permute(0, 2, 3, 1).flatten(1)
        return Layer("dense", weight, bias, "none", (1, 1, weight.shape[1]), _size(out))
    if not _is_plain(module):
        raise _refusal(module)
    up = isinstance(module, nn.ConvTranspose2d)
    rows = weight.permute(2, 3, 1, 0).flatten(0, 2) if up else weight.permute(0, 2, 3, 1).flatten(1)
    down, across = module.kernel_size
    stride, padding = module.stride[0], int(module.padding[0])
    return Layer("up" if up else "conv", rows, bias, "none", _size(x), _size(out), (down, across), stride, padding)


def _is_plain(module: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether a convolution has equal strides and zero padding in both directions, one group and no dilation."""
    equal = all(len(set(pair)) == 1 for pair in (module.stride, module.padding))
    has_zeros = not isinstance(module.padding, str) and module.padding_mode == "zeros"
    return equal and has_zeros and {*module.dilation, module.groups} == {1}


def _as_image(layer: Layer, size: tuple[int, int, int]) -> Layer:
    """Return a linear layer with its outputs in the order of an image with the channels last."""
    height, width, channels = size
    rows = layer.rows.reshape(channels, height, width, -1).permute(1, 2, 0, 3).flatten(0, 2)
    bias = layer.bias.reshape(channels, height, width).permute(1, 2, 0).flatten()
    return replace(layer, rows=rows, bias=bias)


def _refusal(module: nn.Module) -> InputError:
    return InputError(
        f"the explorer cannot run {module}; it supports sequences of linear layers, convolutions, batch normalisation, "
        f"ReLU, SiLU and tanh; train with a net of `equipoise list nets`"
    )
