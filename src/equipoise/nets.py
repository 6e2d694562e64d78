"""Encoders and decoders of the literature for any size of images and any number of latent dimensions.

An encoder maps images [B, C, H, W] to [B, 2 D], means first and log-variances second. A decoder maps codes [B, D] to
logits [B, C, H, W]. For 64 x 64 images each is the published net. Convolutional nets halve the image until its longer
side is 4 to 7 pixels: for larger images they have more leading layers, as wide as the published first one, and for
smaller images fewer. The decoder mirrors that at its end. Images have any sides from 8 pixels up: a side of odd length
is halved downwards, and the decoder adds the pixel again. The multilayer perceptrons take any shape. The initialisation
is torch's.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equipoise.convolutions import Conv2d, ConvTranspose2d
from equipoise.errors import InputError, choose

Shape = tuple[int, int, int]
Size = tuple[int, int]
Pair = tuple[nn.Module, nn.Module]
Layer = type[nn.Module]
After = Callable[[int], list[nn.Module]]  # from the width of a convolution to the layers that follow it

LEAST = 8  # pixels a side for a convolutional net
LEVEL = 1e-2  # least distance of a first picture from black and white


@dataclass(frozen=True)
class Net:
    """An architecture of encoder and decoder.

    Args:
        summary: what the architecture is, as one phrase.
        build: maps the shape of the images (C, H, W) and the number of latent dimensions to encoder and decoder.
        convolutional: whether images must have 8 pixels or more a side.
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
        InputError: for an unknown name, or a side below 8 pixels with a convolutional net.

    Example:
        >>> encoder, decoder = build("burgess", (1, 32, 32), latent=5)
        >>> sum(parameter.numel() for parameter in encoder.parameters())
        233066
    """
    choose("net", name, NETS)
    if NETS[name].convolutional:
        check(shape, name)
    return NETS[name].build(shape, latent)


def check(shape: Shape, name: str = "a convolutional net", otherwise: str | None = None) -> None:
    """Raise `InputError` for images that are too small for the net `name`; `otherwise` is what to use instead."""
    _, height, width = shape
    if min(height, width) < LEAST:
        is_vector = height == 1
        other = otherwise or ("net=mlp" if is_vector else "net=mlp_lvae")
        remedy = other if is_vector else f"data.size=32, or {other}"
        raise InputError(
            f"{name} needs images of {LEAST} x {LEAST} pixels or more, these are {height} x {width}; set {remedy}"
        )


def _sizes(shape: Shape) -> list[Size]:
    """Return height and width of the image and after each halving; the last longer side is 4 to 7 pixels.

    A side is halved down to 1 pixel at most, so an image that is much longer than wide is halved less often.
    """
    _, height, width = shape
    halvings = min(int(math.log2(max(height, width))) - 2, int(math.log2(min(height, width))))
    return [(height >> k, width >> k) for k in range(halvings + 1)]


# --- multilayer perceptrons -------------------------------------------------------------------------------------------


def mlp_tc(shape: Shape, latent: int) -> Pair:
    """Return the MLP of beta-TCVAE and ISA-VAE (appendix A.4) for dSprites: ReLU encoder, deeper tanh decoder."""
    return _perceptrons(shape, latent, [1200, 1200], nn.ReLU, [1200, 1200, 1200], nn.Tanh)


def mlp(shape: Shape, latent: int) -> Pair:
    """Net for vectors: two hidden layers of 256 units, with the activation of `small`."""
    return _perceptrons(shape, latent, [256, 256], nn.SiLU, [256, 256], nn.SiLU)


def mlp_lvae(shape: Shape, latent: int) -> Pair:
    """Return the MLP of the L-VAE paper for dSprites (Table 1)."""
    return _perceptrons(shape, latent, [1200, 1200], nn.ReLU, [1200, 1200], nn.ReLU)


def _perceptrons(
    shape: Shape, latent: int, down: list[int], activation: Layer, up: list[int], activation_up: Layer
) -> Pair:
    """Return perceptrons with these units in the hidden layers of the encoder and of the decoder."""
    size = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), *_dense([size, *down, 2 * latent], activation))
    return encoder, nn.Sequential(*_dense([latent, *up, size], activation_up), nn.Unflatten(1, shape))


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
    return _through_a_grid(shape, latent, [32], [256, 256])


def locatello(shape: Shape, latent: int) -> Pair:
    """Return the net of the study of Locatello et al. (2019); its third and fourth kernels are 2 x 2."""
    sizes = _sizes(shape)
    kernels = [
        # 3 where a side is odd, to read its last pixel
        (2 + height % 2, 2 + width % 2) if kernel == 2 else (4, 4)
        for kernel, (height, width) in zip(_last([4, 4, 2, 2], len(sizes) - 1), sizes, strict=False)
    ]
    return _through_a_grid(shape, latent, [32, 32, 64, 64], [256], kernels=kernels)


def factor(shape: Shape, latent: int) -> Pair:
    """Return the net of FactorVAE and RF-VAE for dSprites, as in RF-VAE's published code."""
    return _through_a_grid(shape, latent, [32, 32, 64, 64], [128])


def conv_bn(shape: Shape, latent: int) -> Pair:
    """Return the net of beta-TCVAE and ISA-VAE for faces and cars: batch normalisation and ReLU after each layer but
    the last."""
    sizes = _sizes(shape)
    n = len(sizes) - 1
    layers = _down(shape[0], _last([32, 32, 64, 64], n), _normalised)
    layers += [Conv2d(64, 512, sizes[-1]), *_normalised(512), Conv2d(512, 2 * latent, 1), nn.Flatten()]

    back: list[nn.Module] = [nn.Unflatten(1, (latent, 1, 1))]
    back += [ConvTranspose2d(latent, 512, 1), *_normalised(512)]
    back += [ConvTranspose2d(512, 64, sizes[-1]), *_normalised(64)]
    back += _up(_first([64, 64, 32, 32], n), shape[0], sizes, _normalised)
    return nn.Sequential(*layers), nn.Sequential(*back)


def small(shape: Shape, latent: int) -> Pair:
    """Net for training on processors at 32 x 32: two fifths of the arithmetic of `locatello` at that size.

    Its activation is SiLU, with which weak factors are learned from a fraction of the images that ReLU needs.
    """
    return _through_a_grid(shape, latent, [16, 32, 32], [128], lambda _: [nn.SiLU()])


def split_last(decoder: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    """Return a decoder as two nets: the layers before the last one with weights, and the rest.

    Raises `InputError` for a decoder that is not a sequence of layers.
    """
    if not isinstance(decoder, nn.Sequential):
        raise InputError("edges need a decoder that is a sequence of layers; take one of `nets.NETS`")
    layers = list(decoder)
    last = max(i for i, layer in enumerate(layers) if isinstance(getattr(layer, "weight", None), Tensor))
    return nn.Sequential(*layers[:last]), nn.Sequential(*layers[last:])


@torch.no_grad()
def start_at(decoder: nn.Module, image: Tensor, has_logits: bool = True) -> None:
    """Set the last bias of a decoder so that its first pictures are an image [C, H, W], in [0, 1] if it has logits.

    A bias per channel takes the mean of the channel. Without it a decoder first learns the mean image, and a deep net
    stops using its codes before it has done so.
    """
    bias = [value for name, value in decoder.named_parameters() if name.rpartition(".")[2] == "bias"][-1]
    levels = image.flatten() if bias.numel() == image.numel() else image.flatten(1).mean(1)
    bias.copy_(levels.clamp(LEVEL, 1 - LEVEL).logit() if has_logits else levels)


def image_discriminator(shape: Shape) -> nn.Module:
    """Return DAVA's discriminator, images [B, C, H, W] to one logit [B, 1]: convolutions and instance normalisation.

    It is not the published one in every part: docs/methods/dava.md lists the deviations.
    """
    check(shape, "DAVA's discriminator", "another method")
    sizes = _sizes(shape)
    widths = _last([32, 32, 64, 64], len(sizes) - 1)
    down = _down(shape[0], widths, lambda width: [nn.InstanceNorm2d(width, affine=True), nn.LeakyReLU(0.2)])
    flat = 64 * math.prod(sizes[-1])
    return nn.Sequential(*down, nn.Flatten(), nn.Linear(flat, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))


def _to_a_point(shape: Shape, latent: int, point: int) -> Pair:
    """Return a net whose encoder ends with `point` channels of 1 x 1."""
    sizes = _sizes(shape)
    n = len(sizes) - 1
    down = _down(shape[0], _last([32, 32, 64, 64], n))
    last = [Conv2d(64, point, sizes[-1]), nn.ReLU(), nn.Flatten(), nn.Linear(point, 2 * latent)]
    decoder = nn.Sequential(
        nn.Linear(latent, 256),
        nn.ReLU(),
        nn.Unflatten(1, (256, 1, 1)),
        ConvTranspose2d(256, 64, sizes[-1]),
        nn.ReLU(),
        *_up(_first([64, 64, 32, 32], n), shape[0], sizes),
    )
    return nn.Sequential(*down, *last), decoder


def _relu(_: int) -> list[nn.Module]:
    return [nn.ReLU()]


def _through_a_grid(
    shape: Shape,
    latent: int,
    widths: list[int],
    units: list[int],
    after: After = _relu,
    kernels: Sequence[Size] | None = None,
) -> Pair:
    """Return a net of convolutions and linear layers, and the decoder that mirrors both.

    widths: the channels of the convolutions. units: those of the hidden linear layers.
    """
    sizes = _sizes(shape)
    n, flat = len(sizes) - 1, widths[-1] * math.prod(sizes[-1])
    (activation,) = after(widths[-1])
    down = _down(shape[0], _last(widths, n), after, kernels)
    encoder = nn.Sequential(*down, nn.Flatten(), *_dense([flat, *units, 2 * latent], type(activation)))
    dense = _dense([latent, *reversed(units), flat], type(activation))
    up = _up(_first(widths[::-1], n), shape[0], sizes, after)
    return encoder, nn.Sequential(*dense, activation, nn.Unflatten(1, (widths[-1], *sizes[-1])), *up)


def _dense(widths: Sequence[int], activation: Layer) -> list[nn.Module]:
    """Return linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for before, width in itertools.pairwise(widths):
        layers += [nn.Linear(before, width), activation()]
    return layers[:-1]


def _normalised(width: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(width), nn.ReLU()]


def _down(
    before: int, widths: Sequence[int], after: After = _relu, kernels: Sequence[Size] | None = None
) -> list[nn.Module]:
    """Return convolutions that halve the image, each with the layers `after(width)`. Kernels are 4 x 4 by default."""
    layers: list[nn.Module] = []
    for width, kernel in zip(widths, kernels or [(4, 4)] * len(widths), strict=True):
        layers += [Conv2d(before, width, kernel, 2, 1 if kernel == (4, 4) else 0), *after(width)]
        before = width
    return layers


def _up(widths: Sequence[int], channels: int, sizes: Sequence[Size], after: After = _relu) -> list[nn.Module]:
    """Return transposed convolutions from the last of `sizes` to the first. The last one gives logits.

    widths: the channels of each input, followed by the layers `after(width)` but for the first.
    """
    layers: list[nn.Module] = []
    for k, (before, width) in enumerate(itertools.pairwise([*widths, channels])):
        (height, across), (small, narrow) = sizes[-2 - k], sizes[-1 - k]
        odd = (height - 2 * small, across - 2 * narrow)
        layers += [ConvTranspose2d(before, width, 4, 2, 1, output_padding=odd), *after(width)]
    return layers[: -len(after(channels))]


def _last(values: list[int], n: int) -> list[int]:
    """Return the last n values. If there are fewer, the first is repeated."""
    return [values[0]] * (n - len(values)) + values[max(len(values) - n, 0) :]


def _first(values: list[int], n: int) -> list[int]:
    """Return the first n values. If there are fewer, the last is repeated."""
    return values[:n] + [values[-1]] * (n - len(values))


NETS: dict[str, Net] = {
    "mlp": Net("multilayer perceptron for vectors", mlp, convolutional=False),
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
