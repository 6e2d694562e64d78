"""Converted pixels of images of one's own: in memory up to 256 MB, otherwise in the cache folder."""

import hashlib
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise import progress
from equipoise.data import store
from equipoise.data.pixels import Bytes, Shape

LIMIT = 256 << 20  # bytes of pixels in memory, at most
BLOCK = 512  # images at once, at most
_BLOCK_BYTES = 32 << 20  # of pixels at once, at most


def place(*identity: object) -> Path:
    """The folder in the cache for pixels that depend on `identity` alone: their files and how they are converted."""
    return store.in_cache("folders", hashlib.sha256(repr(identity).encode()).hexdigest()[:20])


def gather(
    images: int, shape: Shape, blocks: Callable[[int], Iterator[Bytes]], *, name: str, folder: Path | None = None
) -> Bytes:
    """The images that `blocks` yields, uint8 [N, C, H, W]: in memory up to `LIMIT` bytes, otherwise memory-mapped.

    blocks: given the number of an image, yields uint8 [n, C, H, W] from that image on.
    folder: where more than `LIMIT` bytes are stored for the next time (`store.write`, which resumes); without it they
        are in a temporary file in the cache. Raises `InputError` if the disk is too small.
    """
    size = images * math.prod(shape)
    if size > LIMIT and folder is not None:
        store.write(folder, images=images, shape=shape, blocks=blocks, source=folder.name, name=name)
        written = read(folder)
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
    folder = store.in_cache()
    folder.mkdir(parents=True, exist_ok=True)
    store.check_room(folder, name, images * math.prod(shape))
    with tempfile.TemporaryFile(dir=folder) as file:
        for some in blocks:
            file.write(np.ascontiguousarray(some).data)
            advance(len(some))
        file.flush()
        return np.memmap(
            file, np.uint8, "r", shape=(images, *shape)
        )  # the file has no name and is deleted with the array


def read(folder: Path) -> Bytes | None:
    """The pixels stored in a folder, memory-mapped; None if there are none. Raises `InputError` for damaged ones."""
    if store.read(folder) is None:
        return None
    pixels: Bytes = np.lib.format.open_memmap(folder / "images.npy", mode="r")
    return pixels


def digest(folder: Path | None, factors: npt.ArrayLike | None, names: Sequence[str] | None) -> str | None:
    """The digest of the pixels stored in a folder with these factors, without reading them; None if none are stored."""
    about = None if folder is None else store.describe(folder)
    if about is None:
        return None
    state = hashlib.sha256(repr((about["digest"], names)).encode())
    state.update(b"" if factors is None else np.ascontiguousarray(factors).tobytes())
    return state.hexdigest()


def block(shape: Shape) -> int:
    """How many images of this shape to convert at once: up to `BLOCK`, fewer if they are large."""
    return max(1, min(BLOCK, _BLOCK_BYTES // math.prod(shape)))
