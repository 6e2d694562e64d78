"""Pictures at another size, computed for each batch."""

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import pictures
from equipoise.data.columns import Columns
from equipoise.data.pixels import Bytes, ComputedPixels, Indices, Pixels, Shape
from equipoise.errors import InputError

_AT_ONCE = 32  # pictures resized at once: they stay in the cache of a core


def resized(pixels: Pixels, size: int) -> Pixels:
    """The same pictures at `size` x `size`, resized for each batch. Raises `InputError` for vectors.

    If height and width are multiples of `size`, a new pixel is the mean over its block of pixels, rounded to the
    nearest whole number, halves upwards. Otherwise they are resized with Lanczos' filter, by `pictures.resize`.
    """
    if isinstance(pixels, Columns):
        raise InputError("vectors have no size in pixels; remove data.size")
    shape = (pixels.shape[0], size, size)
    return ComputedPixels(len(pixels), shape, partial(_resized_rows, pixels, shape))


def _resized_rows(pixels: Pixels, shape: Shape, rows: Indices) -> Bytes:
    batch = np.empty((len(rows), *shape), np.uint8)
    (_, height, width), size = pixels.shape, shape[1]
    for first in range(0, len(rows), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        block = pixels.bytes(rows[part])
        if height % size == 0 and width % size == 0:
            batch[part] = block_means(block, height // size, width // size)
        else:
            batch[part] = [pictures.resize(picture, size) for picture in block]
    return batch


def block_means(pixels: Bytes, down: int, across: int) -> Bytes:
    """Means over blocks of `down` x `across` pixels, rounded, halves upwards: uint8 [B, C, H / down, W / across].

    pixels: uint8 [B, C, H, W], where H is a multiple of `down` and W of `across`.
    """
    area = down * across
    # 16 bits hold the sum of a block of up to 256 pixels. Slices with a step are added: 250,000 pictures of 3 x 64 x 64
    # a second on one core, ten times as many as numpy.mean over the axes of the blocks.
    sums: npt.NDArray[Any] = pixels[:, :, ::down].astype(np.uint16 if area <= 256 else np.uint32)
    for row in range(1, down):
        sums += pixels[:, :, row::down]
    means: npt.NDArray[Any] = sums[..., ::across].copy()
    for column in range(1, across):
        means += sums[..., column::across]
    means += area // 2
    means //= area
    return means.astype(np.uint8)
