"""Nets for every beta in a range: each pre-activation is scaled by a gate of log beta."""

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from equipoise.errors import InputError

OPEN = 2.0  # first |u| of a gate, at which it is near 1: .88 in the encoder, .93 in the decoder
SPEED = 5.0  # of the learning of u, relative to that of a weight


@dataclass(frozen=True)
class Rates:
    """The betas of a model with gates: a range, and the beta of codes and pictures for which none is given.

    The gates read the level of a beta, which is log beta less the middle of its range.

    Raises:
        InputError: unless 0 < low <= beta <= high.

    Example:
        >>> round(Rates(low=1.0, high=100.0, beta=1.0).level(10.0), 6)
        0.0
    """

    low: float
    high: float
    beta: float

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.beta <= self.high:
            raise InputError(
                f"beta is {self.beta:g} and its range {self.low:g} to {self.high:g}; expected a range of positive "
                "numbers with beta in it"
            )

    @property
    def middle(self) -> float:
        """The middle of the range of log beta."""
        return (math.log(self.low) + math.log(self.high)) / 2

    def level(self, beta: float) -> float:
        """Return the level of a beta. Raises `InputError` for a beta outside the range."""
        if not self.low <= beta <= self.high:
            raise InputError(f"beta is {beta:g}; this model was trained for {self.low:g} to {self.high:g}")
        return math.log(beta) - self.middle


class Gate(nn.Module):
    """The gates of a layer with `width` units or channels, as functions of the level of beta.

    u = 5 (slope * level + offset) for each unit, and the gate is sigmoid(u) in an encoder and sqrt(max(1 - exp(u), 0))
    in a decoder. At first it is the same for all betas.
    """

    def __init__(self, width: int, *, of_decoder: bool) -> None:
        super().__init__()
        self.of_decoder = of_decoder
        self.slope = nn.Parameter(torch.zeros(width))
        self.offset = nn.Parameter(torch.full((width,), (-OPEN if of_decoder else OPEN) / SPEED))

    def forward(self, level: Tensor) -> Tensor:
        """Return the gates [..., width] of levels [...]."""
        u = SPEED * (level.unsqueeze(-1) * self.slope + self.offset)
        return (-u.expm1()).relu().sqrt() if self.of_decoder else u.sigmoid()


class Gated(nn.Module):
    """An encoder or decoder whose pre-activations are scaled by gates, all but the last of a decoder.

    Args:
        net: a sequence of layers; linear layers and convolutions get gates.
        rates: the betas that it serves.
        of_decoder: whether the net is a decoder.

    Source:
        Bae et al., Multi-Rate VAE: Train Once, Get the Full Rate-Distortion Curve, ICLR 2023, section 3,
        https://arxiv.org/abs/2212.03905
    """

    def __init__(self, net: nn.Sequential, rates: Rates, *, of_decoder: bool) -> None:
        super().__init__()
        self.net, self.rates = net, rates
        widths = {
            str(i): layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels
            for i, layer in enumerate(net)
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
        }
        if of_decoder:
            widths.popitem()
        self.gates = nn.ModuleDict({i: Gate(width, of_decoder=of_decoder) for i, width in widths.items()})

    def forward(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Return the output for inputs x [B, ...] at levels [B]. Without levels, beta is `rates.beta` for all."""
        if level is None:
            out: Tensor = self.at(self.rates.beta)(x)
            return out
        for i, layer in enumerate(self.net):
            x = layer(x)
            if str(i) in self.gates:
                gate = self.gates[str(i)](level).to(x.dtype)
                x = x * gate.reshape(*gate.shape, *[1] * (x.ndim - 2))
        return x

    def draw(self, n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return n betas and their levels, [n] each: log-uniform, one from each of n equal parts of the range."""
        place = next(self.parameters())
        shares = torch.rand(n, generator=generator, device=place.device, dtype=place.dtype)
        shares = (torch.arange(n, device=place.device) + shares) / n
        log_beta = math.log(self.rates.low) + math.log(self.rates.high / self.rates.low) * shares
        return log_beta.exp(), log_beta - self.rates.middle

    @torch.no_grad()
    def at(self, beta: float) -> nn.Sequential:
        """Return the plain net of one beta, whose weights are multiplied with the gates."""
        net = deepcopy(self.net)
        level = self.rates.level(beta)
        for i, gates in self.gates.items():
            layer: Any = net[int(i)]
            gate = gates(torch.tensor(level, dtype=torch.float64).to(layer.weight))
            output = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # the dimension of the output channels
            layer.weight *= gate.reshape([-1 if k == output else 1 for k in range(layer.weight.ndim)])
            layer.bias *= gate
        return net


def add(encoder: nn.Module, decoder: nn.Module, rates: Rates | None) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder with gates, or unchanged without rates. Raises `InputError` for other nets."""
    if rates is None:
        return encoder, decoder
    if not isinstance(encoder, nn.Sequential) or not isinstance(decoder, nn.Sequential):
        raise InputError("a model for every beta needs nets that are sequences of layers; take one of `nets.NETS`")
    return Gated(encoder, rates, of_decoder=False), Gated(decoder, rates, of_decoder=True)
