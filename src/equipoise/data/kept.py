"""Pixels of one's own images brought to one form: held in memory while they are few, else on the disk."""

import hashlib
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise import progress
from equipoise.data import store
from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError

LIMIT = 256 << 20  # bytes; more pixels than these are not held in memory
BLOCK = 512  # files or images in one go
_BLOCK_BYTES = 32 << 20  # of pixels in one go, at most


def place(*identity: object) -> Path:
    """The folder in the cache for pixels which follow from `identity` alone: what they are made from, and how."""
    return _cache() / "folders" / hashlib.sha256(repr(identity).encode()).hexdigest()[:20]


def gathered(
    images: int, shape: Shape, blocks: Callable[[int], Iterator[Bytes]], *, name: str, folder: Path | None = None
) -> Bytes:
    """The images that `blocks` yields, uint8 [N, C, H, W]: in memory up to `LIMIT` bytes, memory-mapped beyond it.

    blocks: given the number of an image, yields uint8 [n, C, H, W] from that image on.
    folder: where more than `LIMIT` bytes are kept for the next time (`store.write`, which goes on where it stopped);
        without it they are in a file in the cache that vanishes with the process.
    """
    size = images * math.prod(shape)
    if size > LIMIT and folder is not None:
        store.write(folder, images=images, shape=shape, blocks=blocks, source=folder.name, name=name)
        written = opened(folder)
        assert written is not None
        return written
    with progress.bar(name, images, "images") as advance:
        if size > LIMIT:
            return _on_disk(images, shape, blocks(0), name, advance)
        pixels = np.empty((images, *shape), np.uint8)
        done = 0
        for some in blocks(0):
            pixels[done : done + len(some)] = some
            done += len(some)
            advance(len(some))
    return pixels


def _on_disk(images: int, shape: Shape, blocks: Iterator[Bytes], name: str, advance: Callable[[int], None]) -> Bytes:
    folder, size = _cache(), images * math.prod(shape)
    folder.mkdir(parents=True, exist_ok=True)
    if size > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"{name} needs {size / 1e9:,.1f} GB and {folder} has {free / 1e9:,.1f} GB left; make room, or name a "
            "folder on a larger disk with EQUIPOISE_CACHE"
        )
    with tempfile.TemporaryFile(dir=folder) as file:
        for some in blocks:
            file.write(np.ascontiguousarray(some).data)
            advance(len(some))
        file.flush()
        return np.memmap(file, np.uint8, "r", shape=(images, *shape))  # keeps the file, which has no name, on the disk


def opened(folder: Path) -> Bytes | None:
    """The pixels that were kept in a folder, memory-mapped; None where there are none. InputError for damaged ones."""
    if store.read(folder) is None:
        return None
    pixels: Bytes = np.lib.format.open_memmap(folder / "images.npy", mode="r")
    return pixels


def digest(folder: Path | None, factors: npt.ArrayLike | None, names: Sequence[str] | None) -> str | None:
    """What `Images.digest` is to say of the kept pixels with these factors, found without reading them.

    None where none are kept.
    """
    about = None if folder is None else store.describe(folder)
    if about is None:
        return None
    state = hashlib.sha256(repr((about["digest"], names)).encode())
    state.update(b"" if factors is None else np.ascontiguousarray(factors).tobytes())
    return state.hexdigest()


def block(shape: Shape) -> int:
    """How many images of this shape to prepare in one go: up to `BLOCK`, fewer where they are large."""
    return max(1, min(BLOCK, _BLOCK_BYTES // math.prod(shape)))


def _cache() -> Path:
    try:
        return store.cache_folder()
    except RuntimeError as error:
        raise InputError("there is no home folder to keep images in; set EQUIPOISE_CACHE to a folder") from error
