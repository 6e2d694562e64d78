"""Runs with a net of the literature and random weights, for the explorer: its pictures need not be good, only vary."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from equipoise import codes as coding
from equipoise import gates, nets
from equipoise.data import Images
from equipoise.gates import Rates
from equipoise.model import VAE


def explored(
    make: Callable[..., Any], net: str = "higgins_h", side: int = 16, width: int | None = None, **named: Any
) -> Any:
    """A run of `make` whose images are repeated to `side` pixels a side, with this net and the codes it gives them.

    width: columns of pixels that are kept; default: all.
    """
    run = make(**named)
    model = run.model
    index = run.codes["index"]
    images = run.images
    if side != model.shape[1] or width is not None:
        times = side // model.shape[1]
        pixels = images.pixels(np.arange(len(images))).repeat(times, 2).repeat(times, 3)[..., :width].copy()
        names = images.factor_names if images.factors is not None else None
        images = Images(pixels, name=images.name, factors=images.factors, factor_names=names)
    model = vae(net, images.shape, model)
    return run.but(model=model, images=images, codes=coding.encode(model, images, index))


def vae(net: str, shape: tuple[int, int, int], like: VAE) -> VAE:
    """A model with this net and random weights; likelihood and prior are those of `like`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder, decoder = nets.build(net, shape, like.latent)
        _enliven(encoder, torch.rand(64, *shape))
        _enliven(decoder, torch.randn(64, like.latent))
    return VAE(encoder, decoder, like.likelihood, like.prior, shape, like.dataset_size).eval()


@torch.no_grad()
def with_gates(model: VAE, rates: Rates) -> VAE:
    """The same model with gates that differ between units and betas; some of the decoder close at high betas."""
    encoder, decoder = gates.add(model.encoder, model.decoder, rates)
    generator = torch.Generator().manual_seed(2)
    gated = VAE(encoder, decoder, model.likelihood, model.prior, model.shape, model.dataset_size).eval()
    for gate in (module for module in gated.modules() if isinstance(module, gates.Gate)):
        gate.slope.copy_(0.15 * torch.randn(len(gate.slope), generator=generator))
        gate.offset.add_(0.05 * torch.randn(len(gate.slope), generator=generator))
    return gated


@torch.no_grad()
def _enliven(net: nn.Module, x: torch.Tensor) -> None:
    """Scale and shift every layer so that what comes out varies by 1 with x, about 0; torch's own start is nearly
    constant. Batch normalisation gets statistics and weights that are not 1 and 0."""
    for module in net.eval().children():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5)
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
        elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            module.weight /= (module(x) - module(x).mean(0)).std()
            others = [dim for dim in range(x.ndim) if dim != 1]
            module.bias -= module(x).mean(others)  # type: ignore[operator]
        x = module(x)
