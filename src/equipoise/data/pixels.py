"""How the pixels of images are stored: as bytes, as bits, or not at all but computed for each batch."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from equipoise.errors import InputError

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Shape = tuple[int, int, int]


class Pixels(Protocol):
    """N pictures of one shape, read by their rows, int64 [B] in 0..N-1. A row is always the same picture."""

    @property
    def shape(self) -> Shape:
        """(C, H, W)."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def bytes(self, rows: Indices) -> Bytes:
        """Pixels 0..255, a new contiguous array, uint8 [B, C, H, W]."""
        ...


class StoredPixels:
    """Pictures in an array uint8 [N, C, H, W], in memory or memory-mapped, which is not copied."""

    def __init__(self, array: Bytes) -> None:
        self.array = np.asarray(array)  # the plain view: a numpy.memmap is slower to index
        self.shape: Shape = self.array.shape[1:]

    def __len__(self) -> int:
        """N."""
        return len(self.array)

    def bytes(self, rows: Indices) -> Bytes:
        """Pixels 0..255, uint8 [B, C, H, W]."""
        return np.ascontiguousarray(self.array[rows])


class PackedPixels:
    """Black and white pictures packed to bits in the order of `numpy.packbits`, uint8 [N, C*H*W/8]."""

    def __init__(self, array: Bytes, shape: Shape) -> None:
        self.array, self.shape = np.asarray(array), shape

    def __len__(self) -> int:
        """N."""
        return len(self.array)

    def bytes(self, rows: Indices) -> Bytes:
        """Pixels 0 and 255, uint8 [B, C, H, W]."""
        return np.unpackbits(self.array[rows], axis=1).reshape(-1, *self.shape) * np.uint8(255)


class ColouredPixels:
    """Grey pictures with three equal channels; implements `Pixels`. `read` returns uint8 [B, 1, H, W] of some rows."""

    def __init__(self, read: Callable[[Indices], Bytes], count: int, shape: Shape) -> None:
        self.read, self.count = read, count
        self.shape: Shape = (3, *shape[1:])

    def __len__(self) -> int:
        """N."""
        return self.count

    def bytes(self, rows: Indices) -> Bytes:
        """Pixels 0..255, uint8 [B, 3, H, W]."""
        return np.repeat(self.read(rows), 3, axis=1)


def blocks(read: Callable[[Indices], Bytes], count: int, size: int = 1000) -> Iterator[tuple[int, Bytes]]:
    """Yield the number of the first image, and the pixels [n, C, H, W], of up to `size` images at a time, in order."""
    for first in range(0, count, size):
        yield first, read(np.arange(first, min(first + size, count)))


def from_array(array: npt.NDArray[Any], shape: Shape | None, name: str) -> Pixels:
    """`StoredPixels`, or `PackedPixels` for rows of bits with a shape. Raises `InputError` for other arrays."""
    if array.dtype == np.uint8 and array.size:
        if array.ndim == 4 and shape in (None, array.shape[1:]):
            return StoredPixels(array)
        if array.ndim == 2 and shape is not None and array.shape[1] * 8 == math.prod(shape):
            return PackedPixels(array, shape)
    if array.dtype == np.uint8 and array.ndim in (2, 4) and not array.size:
        raise InputError(f"{name}: an array of shape {list(array.shape)} has no images; give at least one")
    raise InputError(
        f"{name}: images are uint8 [N, C, H, W], or uint8 [N, C*H*W/8] with their shape (C, H, W), "
        f"not {array.dtype} {list(array.shape)}"
    )
