"""Pictures at another size, computed for each batch."""

from typing import Any

import numpy as np
import numpy.typing as npt

from equipoise.data import pictures
from equipoise.data.columns import Columns
from equipoise.data.pixels import Bytes, Indices, Pixels, Shape
from equipoise.errors import InputError

_AT_ONCE = 32  # pictures resized at once: they stay in the cache of a core


class ResizedPixels:
    """The pictures of other `Pixels` at `size` x `size`; implements `Pixels`. Nothing is stored.

    If height and width are multiples of `size`, a new pixel is the mean over its block of pixels, rounded to the
    nearest whole number, halves upwards. Otherwise each channel is resized with Lanczos' filter, as in
    `equipoise.data.pictures.prepare`.
    """

    def __init__(self, pixels: Pixels, size: int) -> None:
        if isinstance(pixels, Columns):
            raise InputError("vectors have no size in pixels; remove data.size")
        channels, height, width = pixels.shape
        self.pixels, self.size = pixels, size
        self.shape: Shape = (channels, size, size)
        self.uses_blocks = height % size == 0 and width % size == 0

    def __len__(self) -> int:
        """N."""
        return len(self.pixels)

    def bytes(self, rows: Indices) -> Bytes:
        """Pixels 0..255 of the pictures at `rows`, a new uint8 array [B, C, size, size]."""
        resized = np.empty((len(rows), *self.shape), np.uint8)
        for first in range(0, len(rows), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            resized[part] = self._resize(self.pixels.bytes(rows[part]))
        return resized

    def _resize(self, pixels: Bytes) -> Bytes:
        if self.uses_blocks:
            return block_means(pixels, pixels.shape[2] // self.size, pixels.shape[3] // self.size)
        planes = [pictures.resize(plane, self.size) for picture in pixels for plane in picture]
        return np.stack(planes).reshape(-1, *self.shape)


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
