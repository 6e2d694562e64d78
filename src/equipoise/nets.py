"""Encoders and decoders of the literature, from the size of the images and the number of latent dimensions.

An encoder maps images [B, C, H, W] to [B, 2 D], means first and log-variances second; a decoder maps codes [B, D] to
logits [B, C, H, W]. At 64 x 64 each is the published net. Convolutional nets halve the image down to 4 x 4, so a larger
image takes further leading layers as wide as the published first one, a smaller one drops leading layers; the decoder
mirrors that at its end. The multilayer perceptrons take any shape. Initialisation is torch's.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from equipoise.errors import InputError, choose

Shape = tuple[int, int, int]
Pair = tuple[nn.Module, nn.Module]


@dataclass(frozen=True)
class Net:
    """A named pair of encoder and decoder."""

    summary: str
    build: Callable[[Shape, int], Pair]
    convolutional: bool = True


def build(name: str, shape: Shape, latent: int) -> Pair:
    """The encoder and decoder called `name` for images of `shape` (C, H, W) and `latent` dimensions.

    Raises `InputError` for an unknown name, and for a size that a convolutional net cannot halve down to 4 x 4.
    """
    choose("net", name, NETS)
    if NETS[name].convolutional:
        _halvings(shape, name)
    return NETS[name].build(shape, latent)


def _halvings(shape: Shape, name: str = "a convolutional net", otherwise: str = "net=mlp_lvae") -> int:
    """How often the image is halved until it is 4 x 4."""
    _, height, width = shape
    halvings = int(math.log2(max(height, 1))) - 2
    if height != width or halvings < 1 or 4 * 2**halvings != height:
        raise InputError(
            f"{name} needs square images of 8, 16, 32, 64, 128 or a larger power of two a side, these are "
            f"{height} x {width}; set data.size=64, or {otherwise}"
        )
    return halvings


# --- multilayer perceptrons -------------------------------------------------------------------------------------------


def mlp_tc(shape: Shape, latent: int) -> Pair:
    """beta-TCVAE and ISA-VAE, dSprites (ISA-VAE, appendix A.4): ReLU in the encoder, tanh in a deeper decoder."""
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), *_dense([pixels, 1200, 1200, 2 * latent], nn.ReLU))
    decoder = nn.Sequential(*_dense([latent, 1200, 1200, 1200, pixels], nn.Tanh), nn.Unflatten(1, shape))
    return encoder, decoder


def mlp_lvae(shape: Shape, latent: int) -> Pair:
    """L-VAE, dSprites (Table 1, MLP)."""
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), *_dense([pixels, 1200, 1200, 2 * latent], nn.ReLU))
    decoder = nn.Sequential(*_dense([latent, 1200, 1200, pixels], nn.ReLU), nn.Unflatten(1, shape))
    return encoder, decoder


# --- convolutional nets -----------------------------------------------------------------------------------------------


def cnn_lvae(shape: Shape, latent: int) -> Pair:
    """L-VAE, colour images (Table 1, CNN).

    Its table gives the last encoder layer 32 channels. The first transposed convolution maps 1 x 1 to 4 x 4, so it has
    no padding; with padding, five layers would end at 32 x 32.
    """
    return _to_a_point(shape, latent, point=32)


def higgins_h(shape: Shape, latent: int) -> Pair:
    """ControlVAE and DynamicVAE (their architecture H, after beta-VAE)."""
    return _to_a_point(shape, latent, point=256)


def burgess(shape: Shape, latent: int) -> Pair:
    """Burgess et al. (2018), section A.1: 32 channels throughout, two layers of 256 on each side."""
    n = _halvings(shape)
    encoder = nn.Sequential(*_down(shape[0], [32] * n), nn.Flatten(), *_dense([512, 256, 256, 2 * latent], nn.ReLU))
    decoder = nn.Sequential(
        *_dense([latent, 256, 256, 512], nn.ReLU),
        nn.ReLU(),
        nn.Unflatten(1, (32, 4, 4)),
        *_up(32, [32] * (n - 1), shape[0]),
    )
    return encoder, decoder


def locatello(shape: Shape, latent: int) -> Pair:
    """Locatello et al. (2019), the net of their study; its third and fourth kernels are 2 x 2."""
    n = _halvings(shape)
    widths, kernels = _last([32, 32, 64, 64], n), _last([4, 4, 2, 2], n)
    layers: list[nn.Module] = []
    for before, width, kernel in zip([shape[0], *widths], widths, kernels, strict=False):
        layers += [nn.Conv2d(before, width, kernel, 2, padding=kernel // 2 - 1), nn.ReLU()]
    encoder = nn.Sequential(*layers, nn.Flatten(), *_dense([1024, 256, 2 * latent], nn.ReLU))
    return encoder, _from_a_square(shape, latent, hidden=256)


def factor(shape: Shape, latent: int) -> Pair:
    """FactorVAE and RF-VAE, dSprites (RF-VAE's published code)."""
    n = _halvings(shape)
    encoder = nn.Sequential(
        *_down(shape[0], _last([32, 32, 64, 64], n)), nn.Flatten(), *_dense([1024, 128, 2 * latent], nn.ReLU)
    )
    return encoder, _from_a_square(shape, latent, hidden=128)


def conv_bn(shape: Shape, latent: int) -> Pair:
    """beta-TCVAE and ISA-VAE, faces and cars: batch normalisation and ReLU after all layers but the last."""
    n = _halvings(shape)
    widths = _last([32, 32, 64, 64], n)
    layers: list[nn.Module] = []
    for before, width in zip([shape[0], *widths], widths, strict=False):
        layers += [nn.Conv2d(before, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
    layers += [nn.Conv2d(64, 512, 4), nn.BatchNorm2d(512), nn.ReLU(), nn.Conv2d(512, 2 * latent, 1), nn.Flatten()]

    back: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
    back += [nn.ConvTranspose2d(latent, 512, 1), nn.BatchNorm2d(512), nn.ReLU()]
    back += [nn.ConvTranspose2d(512, 64, 4), nn.BatchNorm2d(64), nn.ReLU()]
    widths = _first([64, 32, 32], n - 1)
    for before, width in zip([64, *widths], widths, strict=False):
        back += [nn.ConvTranspose2d(before, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
    back.append(nn.ConvTranspose2d([64, *widths][-1], shape[0], 4, 2, 1))
    return nn.Sequential(*layers), nn.Sequential(*back)


def image_discriminator(shape: Shape) -> nn.Module:
    """One logit [B, 1] for images [B, C, H, W]: convolutions with instance normalisation (DAVA, published code)."""
    widths = _last([32, 32, 64, 64], _halvings(shape, "DAVA's discriminator", "another method"))
    layers: list[nn.Module] = []
    for before, width in zip([shape[0], *widths], widths, strict=False):
        layers += [nn.Conv2d(before, width, 4, 2, 1), nn.InstanceNorm2d(width, affine=True), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1024, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))


def _to_a_point(shape: Shape, latent: int, point: int) -> Pair:
    n = _halvings(shape)
    down = _down(shape[0], _last([32, 32, 64, 64], n))
    encoder = nn.Sequential(*down, nn.Conv2d(64, point, 4), nn.ReLU(), nn.Flatten(), nn.Linear(point, 2 * latent))
    decoder = nn.Sequential(
        nn.Linear(latent, 256),
        nn.ReLU(),
        nn.Unflatten(1, (256, 1, 1)),
        nn.ConvTranspose2d(256, 64, 4),
        nn.ReLU(),
        *_up(64, _first([64, 32, 32], n - 1), shape[0]),
    )
    return encoder, decoder


def _from_a_square(shape: Shape, latent: int, hidden: int) -> nn.Module:
    n = _halvings(shape)
    return nn.Sequential(
        *_dense([latent, hidden, 1024], nn.ReLU),
        nn.ReLU(),
        nn.Unflatten(1, (64, 4, 4)),
        *_up(64, _first([64, 32, 32], n - 1), shape[0]),
    )


def _dense(widths: Sequence[int], activation: type[nn.Module]) -> list[nn.Module]:
    """Linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for before, width in itertools.pairwise(widths):
        layers += [nn.Linear(before, width), activation()]
    return layers[:-1]


def _down(channels: int, widths: Sequence[int]) -> list[nn.Module]:
    """Convolutions that halve the image, each with a ReLU."""
    layers: list[nn.Module] = []
    for before, width in zip([channels, *widths], widths, strict=False):
        layers += [nn.Conv2d(before, width, 4, 2, 1), nn.ReLU()]
    return layers


def _up(before: int, widths: Sequence[int], channels: int) -> list[nn.Module]:
    """Transposed convolutions that double the image, with a ReLU between them; the last gives the logits."""
    layers: list[nn.Module] = []
    for width in [*widths, channels]:
        layers += [nn.ConvTranspose2d(before, width, 4, 2, 1), nn.ReLU()]
        before = width
    return layers[:-1]


def _last(values: list[int], n: int) -> list[int]:
    """The last n values; where that is more than there are, the first is repeated."""
    return [values[0]] * (n - len(values)) + values[max(len(values) - n, 0) :]


def _first(values: list[int], n: int) -> list[int]:
    """The first n values; where that is more than there are, the last is repeated."""
    return values[:n] + [values[-1]] * (n - len(values))


NETS: dict[str, Net] = {
    "mlp_tc": Net("MLP of beta-TCVAE and ISA-VAE for dSprites", mlp_tc, convolutional=False),
    "mlp_lvae": Net("MLP of the L-VAE paper for dSprites", mlp_lvae, convolutional=False),
    "cnn_lvae": Net("convolutional net of the L-VAE paper", cnn_lvae),
    "burgess": Net("Burgess et al. (2018), annealed capacity", burgess),
    "locatello": Net("Locatello et al. (2019), the field's common protocol", locatello),
    "factor": Net("FactorVAE and RF-VAE for dSprites", factor),
    "higgins_h": Net("ControlVAE and DynamicVAE, after beta-VAE", higgins_h),
    "conv_bn": Net("beta-TCVAE and ISA-VAE for faces and cars, with batch normalisation", conv_bn),
}
"""Every net by name."""
