"""Encoders and decoders of the literature for any size of images and any number of latent dimensions.

An encoder maps images [B, C, H, W] to [B, 2 D], means first and log-variances second. A decoder maps codes [B, D] to
logits [B, C, H, W]. For 64 x 64 images each is the published net. Convolutional nets halve the image down to 4 x 4: for
larger images they have more leading layers, as wide as the published first one, and for smaller images fewer. The
decoder mirrors that at its end. The multilayer perceptrons take any shape. The initialisation is torch's.
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
    """An architecture of encoder and decoder.

    Args:
        summary: what the architecture is, as one phrase.
        build: maps the shape of the images (C, H, W) and the number of latent dimensions to encoder and decoder.
        convolutional: whether images must be square with a power of two as their side.
    """

    summary: str
    build: Callable[[Shape, int], Pair]
    convolutional: bool = True


def build(name: str, shape: Shape, latent: int) -> Pair:
    """Return a new encoder and decoder.

    Args:
        name: a name of `NETS`.
        shape: (C, H, W) of the images.
        latent: number of latent dimensions D.

    Returns:
        The encoder, [B, C, H, W] to [B, 2 D], and the decoder, [B, D] to logits [B, C, H, W].

    Raises:
        InputError: for an unknown name, or a size that a convolutional net cannot halve down to 4 x 4.

    Example:
        >>> encoder, decoder = build("burgess", (1, 32, 32), latent=5)
        >>> sum(parameter.numel() for parameter in encoder.parameters())
        233066
    """
    choose("net", name, NETS)
    if NETS[name].convolutional:
        _halvings(shape, name)
    return NETS[name].build(shape, latent)


def _halvings(shape: Shape, name: str = "a convolutional net", otherwise: str = "net=mlp_lvae") -> int:
    """Return how often the image is halved until it is 4 x 4. Raises `InputError` for another size."""
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
    """Return the MLP of beta-TCVAE and ISA-VAE (appendix A.4) for dSprites: ReLU encoder, deeper tanh decoder."""
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), *_dense([pixels, 1200, 1200, 2 * latent], nn.ReLU))
    decoder = nn.Sequential(*_dense([latent, 1200, 1200, 1200, pixels], nn.Tanh), nn.Unflatten(1, shape))
    return encoder, decoder


def mlp_lvae(shape: Shape, latent: int) -> Pair:
    """Return the MLP of the L-VAE paper for dSprites (Table 1)."""
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), *_dense([pixels, 1200, 1200, 2 * latent], nn.ReLU))
    decoder = nn.Sequential(*_dense([latent, 1200, 1200, pixels], nn.ReLU), nn.Unflatten(1, shape))
    return encoder, decoder


# --- convolutional nets -----------------------------------------------------------------------------------------------


def cnn_lvae(shape: Shape, latent: int) -> Pair:
    """Return the convolutional net of the L-VAE paper for colour images (Table 1).

    The last encoder layer has 32 channels, as in the table. The first transposed convolution maps 1 x 1 to 4 x 4 and
    has no padding. With padding, five layers would end at 32 x 32.
    """
    return _to_a_point(shape, latent, point=32)


def higgins_h(shape: Shape, latent: int) -> Pair:
    """Return the net of ControlVAE and DynamicVAE (their architecture H, after beta-VAE)."""
    return _to_a_point(shape, latent, point=256)


def burgess(shape: Shape, latent: int) -> Pair:
    """Return the net of Burgess et al. (2018), section A.1: 32 channels, then two layers of 256 units."""
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
    """Return the net of the study of Locatello et al. (2019); its third and fourth kernels are 2 x 2."""
    n = _halvings(shape)
    down = _down(shape[0], _last([32, 32, 64, 64], n), kernels=_last([4, 4, 2, 2], n))
    encoder = nn.Sequential(*down, nn.Flatten(), *_dense([1024, 256, 2 * latent], nn.ReLU))
    return encoder, _from_a_square(shape, latent, hidden=256)


def factor(shape: Shape, latent: int) -> Pair:
    """Return the net of FactorVAE and RF-VAE for dSprites, as in RF-VAE's published code."""
    n = _halvings(shape)
    encoder = nn.Sequential(
        *_down(shape[0], _last([32, 32, 64, 64], n)), nn.Flatten(), *_dense([1024, 128, 2 * latent], nn.ReLU)
    )
    return encoder, _from_a_square(shape, latent, hidden=128)


def conv_bn(shape: Shape, latent: int) -> Pair:
    """Return the net of beta-TCVAE and ISA-VAE for faces and cars: batch normalisation and ReLU after each layer but
    the last."""
    n = _halvings(shape)
    layers = _down(shape[0], _last([32, 32, 64, 64], n), lambda width: [nn.BatchNorm2d(width), nn.ReLU()])
    layers += [nn.Conv2d(64, 512, 4), nn.BatchNorm2d(512), nn.ReLU(), nn.Conv2d(512, 2 * latent, 1), nn.Flatten()]

    back: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
    back += [nn.ConvTranspose2d(latent, 512, 1), nn.BatchNorm2d(512), nn.ReLU()]
    back += [nn.ConvTranspose2d(512, 64, 4), nn.BatchNorm2d(64), nn.ReLU()]
    widths = _first([64, 32, 32], n - 1)
    for before, width in zip([64, *widths], widths, strict=False):
        back += [nn.ConvTranspose2d(before, width, 4, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
    back.append(nn.ConvTranspose2d([64, *widths][-1], shape[0], 4, 2, 1))
    return nn.Sequential(*layers), nn.Sequential(*back)


def small(shape: Shape, latent: int) -> Pair:
    """Net for training on processors at 32 x 32: a fifth of the arithmetic of `locatello` at that size."""
    n = _halvings(shape)
    widths = _last([16, 32, 32], n)
    encoder = nn.Sequential(*_down(shape[0], widths), nn.Flatten(), *_dense([512, 128, 2 * latent], nn.ReLU))
    decoder = nn.Sequential(
        *_dense([latent, 128, 512], nn.ReLU),
        nn.ReLU(),
        nn.Unflatten(1, (32, 4, 4)),
        *_up(32, _first([32, 16, 16], n - 1), shape[0]),
    )
    return encoder, decoder


def image_discriminator(shape: Shape) -> nn.Module:
    """Return DAVA's discriminator, images [B, C, H, W] to one logit [B, 1]: convolutions and instance normalisation."""
    widths = _last([32, 32, 64, 64], _halvings(shape, "DAVA's discriminator", "another method"))
    down = _down(shape[0], widths, lambda width: [nn.InstanceNorm2d(width, affine=True), nn.LeakyReLU(0.2)])
    return nn.Sequential(*down, nn.Flatten(), nn.Linear(1024, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))


def _to_a_point(shape: Shape, latent: int, point: int) -> Pair:
    """Return a net whose encoder ends with `point` channels of 1 x 1."""
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
    """Return a decoder of two linear layers and transposed convolutions from 64 channels of 4 x 4."""
    n = _halvings(shape)
    return nn.Sequential(
        *_dense([latent, hidden, 1024], nn.ReLU),
        nn.ReLU(),
        nn.Unflatten(1, (64, 4, 4)),
        *_up(64, _first([64, 32, 32], n - 1), shape[0]),
    )


def _dense(widths: Sequence[int], activation: type[nn.Module]) -> list[nn.Module]:
    """Return linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for before, width in itertools.pairwise(widths):
        layers += [nn.Linear(before, width), activation()]
    return layers[:-1]


def _relu(width: int) -> list[nn.Module]:  # noqa: ARG001
    """Return a ReLU."""
    return [nn.ReLU()]


def _down(
    before: int,
    widths: Sequence[int],
    after: Callable[[int], list[nn.Module]] = _relu,
    kernels: Sequence[int] | None = None,
) -> list[nn.Module]:
    """Return convolutions that halve the image, each with the layers `after(width)`. Kernels are 4 x 4 by default."""
    layers: list[nn.Module] = []
    for width, kernel in zip(widths, kernels or [4] * len(widths), strict=True):
        layers += [nn.Conv2d(before, width, kernel, 2, kernel // 2 - 1), *after(width)]
        before = width
    return layers


def _up(before: int, widths: Sequence[int], channels: int) -> list[nn.Module]:
    """Return transposed convolutions that double the image, with a ReLU between them; the last one gives logits."""
    layers: list[nn.Module] = []
    for width in [*widths, channels]:
        layers += [nn.ConvTranspose2d(before, width, 4, 2, 1), nn.ReLU()]
        before = width
    return layers[:-1]


def _last(values: list[int], n: int) -> list[int]:
    """Return the last n values. If there are fewer, the first is repeated."""
    return [values[0]] * (n - len(values)) + values[max(len(values) - n, 0) :]


def _first(values: list[int], n: int) -> list[int]:
    """Return the first n values. If there are fewer, the last is repeated."""
    return values[:n] + [values[-1]] * (n - len(values))


NETS: dict[str, Net] = {
    "mlp_tc": Net("MLP of beta-TCVAE and ISA-VAE for dSprites", mlp_tc, convolutional=False),
    "mlp_lvae": Net("MLP of the L-VAE paper for dSprites", mlp_lvae, convolutional=False),
    "cnn_lvae": Net("convolutional net of the L-VAE paper", cnn_lvae),
    "burgess": Net("Burgess et al. (2018), annealed capacity", burgess),
    "locatello": Net("Locatello et al. (2019), the field's common protocol", locatello),
    "factor": Net("FactorVAE and RF-VAE for dSprites", factor),
    "higgins_h": Net("ControlVAE and DynamicVAE, after beta-VAE", higgins_h),
    "small": Net("small convolutional net for training on processors at 32 x 32", small),
    "conv_bn": Net("beta-TCVAE and ISA-VAE for faces and cars, with batch normalisation", conv_bn),
}
"""All nets by name."""
