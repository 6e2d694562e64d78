"""Variants of dSprites: sprites in colour, on noise, on a painting; and dSprites without its shape as a factor.

The variants of Locatello et al. 2019, https://arxiv.org/abs/1811.12359, section 5, as their program renders them
(https://github.com/google-research/disentanglement_lib), with one difference. There the colour, the noise or the part
of the painting is random each time an image is read; here it is a function of the image's row, so that an index is the
same picture in every batch, process and run. docs/dsprites-variants.md describes the consequences for results.
"""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.data.pictures import Form, image_of, read
from equipoise.data.pixels import Bytes, ComputedPixels, Indices
from equipoise.data.sets import dsprites
from equipoise.errors import InputError
from equipoise.files import user_path

PAINTING = "EQUIPOISE_SCREAM"  # environment variable, the path of a picture of Munch's The Scream
_LARGEST = (350, 274)  # width and height that the painting is shrunk to fit, as in disentanglement_lib

Words = npt.NDArray[np.uint64]


def in_colour(rows: Indices, sprites: Bytes) -> Bytes:
    """Each sprite in one colour, uniform in [0.5, 1]^3, on black."""
    return sprites & (random_bytes(rows, 3) | np.uint8(128))[:, :, None, None]


def on_noise(rows: Indices, sprites: Bytes) -> Bytes:
    """White sprites on noise, uniform in [0, 1] and independent in each pixel and channel."""
    return sprites | random_bytes(rows, 3 * 64 * 64).reshape(-1, 3, 64, 64)


def on_painting(rows: Indices, sprites: Bytes, painting: Bytes) -> Bytes:
    """Parts of a painting, uint8 [3, H, W], half mixed with a colour uniform in [0, 1]^3; inverted under the sprite."""
    parts = np.lib.stride_tricks.sliding_window_view(painting, (3, 64, 64))[0]  # [H - 63, W - 63, 3, 64, 64]
    place = random_words(rows, 3)
    part = parts[tuple((place[:, axis] % parts.shape[axis]).astype(np.int64) for axis in (0, 1))]
    colour = _bytes(place[:, 2:])[:, :3, None, None]
    mixture: Bytes = ((part.astype(np.uint16) + colour) // 2).astype(np.uint8)
    return mixture ^ sprites


def random_words(rows: Indices, words: int) -> Words:
    """Random numbers of 64 bits, uint64 [B, words], each a function of its row and place alone.

    Number `row * words + place` of the sequence of SplitMix64 with seed 0 (Steele, Lea and Flood 2014,
    https://doi.org/10.1145/2714064.2660195), whose numbers can be computed in any order.
    """
    place: Words = np.arange(1, words + 1, dtype=np.uint64)
    number: Words = rows.astype(np.uint64)[:, None] * np.uint64(words) + place
    number = number * np.uint64(0x9E3779B97F4A7C15)
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


def random_bytes(rows: Indices, count: int) -> Bytes:
    """Random bytes, uint8 [B, count], each a function of its row and place alone."""
    return _bytes(random_words(rows, -(-count // 8)))[:, :count]


def _bytes(words: Words) -> Bytes:
    """The bytes of numbers, the lowest first, uint8 [B, 8 * words]."""
    return np.ascontiguousarray(words, "<u8").view(np.uint8)


def stand_in() -> Bytes:
    """Wavy bands of an evening sky and a fjord, uint8 [3, 274, 216], in place of the painting.

    Computed from whole numbers only, so that it is the same on every machine.
    """
    y, x = np.arange(274)[:, None], np.arange(216)
    knots = random_bytes(np.arange(10), 8).astype(np.int64)  # one every 32 pixels, joined by straight lines
    (top, below), (left, right) = divmod(y, 32), divmod(x, 32)
    upper = knots[top, left] * (32 - right) + knots[top, left + 1] * right
    lower = knots[top + 1, left] * (32 - right) + knots[top + 1, left + 1] * right
    bend = (upper * (32 - below) + lower * below) // 1024  # 0..255
    band, along = divmod((12 * y + 4 * bend) % 640, 128)
    colours = np.array([(226, 110, 42), (242, 182, 84), (122, 132, 118), (38, 62, 104), (84, 52, 44), (226, 110, 42)])
    picture = (colours[band] * (128 - along[..., None]) + colours[band + 1] * along[..., None]) // 128
    grain = random_bytes(np.arange(274), 216).astype(np.int64) % 25 - 12
    return np.ascontiguousarray(np.clip(picture + grain[..., None], 0, 255).astype(np.uint8).transpose(2, 0, 1))


def painting(path: Path) -> Bytes:
    """The picture in a file, shrunk to fit 350 x 274 pixels, uint8 [3, H, W].

    Raises `InputError` for a file that is missing, unreadable or too small.
    """
    if not path.is_file():
        raise InputError(f"{PAINTING}: there is no file {path}; name a picture of the painting, or unset the variable")
    picture = image_of(Form().prepare(read(path, name=str(path)), 3, str(path)))
    picture.thumbnail(_LARGEST)
    if min(picture.size) < 64:
        raise InputError(
            f"{PAINTING}: {path} is {picture.width} x {picture.height} pixels when it fits {_LARGEST[0]} x "
            f"{_LARGEST[1]}, too small for parts of 64 x 64; name a larger picture"
        )
    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))


def load_scream() -> Images:
    """dSprites on The Scream as Images: 737,280 of (3, 64, 64), the factors of dSprites.

    The painting is read from the file in the environment variable EQUIPOISE_SCREAM. Without it, a rendered texture is
    used, which the name of the images and their source state. Raises `InputError` if the file cannot be read.
    """
    if path := os.environ.get(PAINTING):
        picture, name = painting(user_path(path)), "dsprites-scream"
        background = f"the painting in {path}"
    else:
        picture, name = stand_in(), "dsprites-scream (stand-in)"
        background = "a rendered texture in place of the painting"
    digest = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()
    return _images(name, partial(on_painting, painting=picture), f" on {background}", digest)


def load_noshape() -> Images:
    """dSprites as Images with four factors: the shape varies as before but is not one of them."""
    sprites = dsprites.load()
    codes = np.stack([sprites.factor(name) for name in dsprites.FACTOR_NAMES[1:]], axis=1)
    return Images(
        sprites._pixels,
        name="dsprites-noshape",
        factors=codes,
        factor_names=dsprites.FACTOR_NAMES[1:],
        factor_sizes=dsprites.FACTOR_SIZES[1:],
        source=sprites.source,
        licence=sprites.licence,
        citation=sprites.citation,
        digest="dsprites-noshape-1",
    )


def _images(name: str, paint: Callable[[Indices, Bytes], Bytes], background: str = "", digest: str = "") -> Images:
    """Images of sprites that `paint` computes from their rows, int64 [B], and from 0 and 255, uint8 [B, 1, 64, 64].

    background, digest: the background in words and as a digest.
    """
    return Images(
        ComputedPixels(dsprites.N, (3, 64, 64), partial(_painted, dsprites.load(), paint)),
        name=name,
        factors="grid",
        factor_names=dsprites.FACTOR_NAMES,
        factor_sizes=dsprites.FACTOR_SIZES,
        factor_values=dsprites.FACTOR_VALUES,
        source=f"rendered by equipoise.data.sets.dsprites_variants{background}",
        licence=dsprites.DSPRITES.licence,
        citation=_CITATION,
        digest=f"{name}-1 {digest}".strip(),
    )


def _painted(sprites: Images, paint: Callable[[Indices, Bytes], Bytes], rows: Indices) -> Bytes:
    return paint(rows, sprites.pixels(rows))


_CITATION = (
    f"{dsprites.DSPRITES.citation}; F. Locatello, S. Bauer, M. Lucic, G. Rätsch, S. Gelly, B. Schölkopf and O. Bachem: "
    "Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations, ICML 2019"
)


def _dataset(name: str, draw: Callable[[], Images], summary: str, channels: int = 3, first: int = 0) -> Dataset:
    return Dataset(
        name=name,
        summary=summary,
        draw=draw,
        images=dsprites.N,
        shape=(channels, 64, 64),
        factor_names=dsprites.FACTOR_NAMES[first:],
        factor_sizes=dsprites.FACTOR_SIZES[first:],
        home="https://github.com/google-research/disentanglement_lib",
        licence=dsprites.DSPRITES.licence,
        citation=_CITATION,
    )


COLOR = _dataset(
    "dsprites-color",
    partial(_images, "dsprites-color", in_colour),
    "dSprites, each sprite in a random colour on black; rendered",
)
NOISY = _dataset(
    "dsprites-noisy",
    partial(_images, "dsprites-noisy", on_noise),
    "dSprites, white on random noise of all colours; rendered",
)
SCREAM = _dataset(
    "dsprites-scream",
    load_scream,
    "dSprites, inverting a random part of The Scream, read from the file in EQUIPOISE_SCREAM; without it, of a "
    "rendered texture",
)
NOSHAPE = _dataset(
    "dsprites-noshape",
    load_noshape,
    "dSprites without shape among the factors: it varies, but is not scored",
    channels=1,
    first=1,
)
DATASETS = (COLOR, NOISY, SCREAM, NOSHAPE)
