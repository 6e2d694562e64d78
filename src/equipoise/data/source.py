"""The form in which images of your own pass from the reader to the following stages of `load_data`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from equipoise.data.factor_table import Table
from equipoise.data.intensity import Raw
from equipoise.data.pixels import Bytes, Shape

Picture = Callable[[], Raw]
"""Reads one picture as it is stored. Raises `Damaged` if it is unreadable."""


@dataclass(frozen=True)
class Source:
    """N pictures as a reader returns them, before any pixel is read, with the factors that came with them.

    name: in messages, and of the `Images`.
    count: N.
    heads: yields label and shape (C, H, W) of the pictures as they are stored: of all, or of one if all must be alike.
    read: from a first picture on, yields the pictures in order.
    array: the pixels, uint8 [N, C, H, W], if they are in this form already; then they are not copied.
    label: of a picture in messages, by its number; None for arrays, whose pictures are not read one by one.
    plural: what the pictures are called in messages.
    in_threads: whether several pictures may be read at the same time.
    block: how many pictures to take from `read` at once, at most; None: no limit.
    folder, files: of a folder, and the paths of its pictures relative to it, for tables of factors.
    key: identifies the pixels in the cache; empty: they are converted each time.
    factors: a table that came with the pictures, or was joined to them.
    frame: a data frame with a row for each picture, whose columns are factors unless a table is given.
    origin: for `Images.source`.
    """

    name: str
    count: int
    heads: Callable[[], Iterator[tuple[str, Shape]]]
    read: Callable[[int], Iterator[Picture]]
    array: Bytes | None = None
    label: Callable[[int], str] | None = None
    plural: str = "images"
    in_threads: bool = False
    block: int | None = None
    folder: Path | None = None
    files: Sequence[str] = ()
    key: tuple[object, ...] = ()
    factors: Table | None = None
    frame: Any = None
    origin: str | None = None

    def blocks(self, first: int, size: int) -> Iterator[list[Picture]]:
        """Yield the pictures from a first one on, in lists of up to `size`."""
        pictures = self.read(first)
        while block := list(islice(pictures, min(size, self.block or size))):
            yield block
