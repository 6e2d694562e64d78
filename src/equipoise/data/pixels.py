"""How the pixels of images are stored: as bytes, as bits, or not at all but computed for each batch."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

    def __len__(self) -> int: ...

    def bytes(self, rows: Indices, /) -> Bytes:
        """Pixels 0..255, a new contiguous array, uint8 [B, C, H, W]."""
        ...


class StoredPixels:
    """Pictures in memory or memory-mapped, which are not copied; implements `Pixels`.

    array: uint8 [N, C, H, W]; or of black and white pictures bits in the order of `numpy.packbits`, [N, C*H*W/8].
    """

    def __init__(self, array: Bytes, shape: Shape) -> None:
        self.array = np.asarray(array)  # the plain view: a numpy.memmap is slower to index
        self.shape = shape

    def __len__(self) -> int:
        return len(self.array)

    def bytes(self, rows: Indices) -> Bytes:
        """Pixels 0..255, uint8 [B, C, H, W]."""
        if self.array.ndim == 4:
            return np.ascontiguousarray(self.array[rows])
        return np.unpackbits(self.array[rows], axis=1).reshape(-1, *self.shape) * np.uint8(255)


@dataclass
class ComputedPixels:
    """Pictures that a function computes from their rows; implements `Pixels`. Nothing is stored."""

    count: int
    shape: Shape
    bytes: Callable[[Indices], Bytes]

    def __len__(self) -> int:
        return self.count


def blocks(read: Callable[[Indices], Bytes], count: int, size: int = 1000) -> Iterator[tuple[int, Bytes]]:
    """Yield the number of the first image, and the pixels [n, C, H, W], of up to `size` images at a time, in order."""
    for first in range(0, count, size):
        yield first, read(np.arange(first, min(first + size, count)))


def from_array(array: npt.NDArray[Any], shape: Shape | None, name: str) -> Pixels:
    """Pixels of an array, see `StoredPixels`; a shape is needed for bits. Raises `InputError` for other arrays."""
    if array.dtype == np.uint8 and array.size:
        if array.ndim == 4 and shape in (None, array.shape[1:]):
            return StoredPixels(array, array.shape[1:])
        if array.ndim == 2 and shape is not None and array.shape[1] * 8 == math.prod(shape):
            return StoredPixels(array, shape)
    if array.dtype == np.uint8 and array.ndim in (2, 4) and not array.size:
        raise InputError(f"{name}: an array of shape {list(array.shape)} has no images; give at least one")
    raise InputError(
        f"{name}: images are uint8 [N, C, H, W], or uint8 [N, C*H*W/8] with their shape (C, H, W), "
        f"not {array.dtype} {list(array.shape)}"
    )
