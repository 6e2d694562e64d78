"""Converted pixels of images of your own: those of files in the cache folder, others in memory up to 256 MB."""

import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from equipoise import progress
from equipoise.data import store
from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError, RunError

LIMIT = 256 << 20  # bytes of pixels in memory, at most
BLOCK = 512  # images at once, at most
_BLOCK_BYTES = 32 << 20  # of pixels at once, at most


def place(*identity: object) -> Path:
    """The folder in the cache for pixels of a place and a form. If the files there change, it is written again."""
    return store.in_cache("folders", hashlib.sha256(repr(identity).encode()).hexdigest()[:20])


def gather(
    images: int,
    shape: Shape,
    blocks: Callable[[int], Iterator[Bytes]],
    *,
    name: str,
    folder: Path | None,
    key: Sequence[object],
) -> Bytes:
    """The images that `blocks` yields, uint8 [N, C, H, W], in memory or memory-mapped.

    blocks: given the number of an image, yields uint8 [n, C, H, W] from that image on.
    folder: where the images are stored for the next time (`store.write`, which resumes); without it up to `LIMIT` bytes
        are in memory, and more in a temporary file in the cache.
    key: identifies the pixels; others in the folder are replaced.

    Raises `InputError` if the disk is too small, and `RunError` if other processes replace the images in the folder.
    """
    size = images * math.prod(shape)
    if folder is not None:
        for _ in range(2):
            store.write(folder, images=images, shape=shape, blocks=blocks, source=repr(key), name=name)
            if (pixels := read(folder, key)) is not None:
                return pixels
        raise RunError(
            f"{name}: other processes replaced its pixels in {folder} twice; run the command again when they are done"
        )
    with progress.bar(name, images, "images") as advance:
        if size > LIMIT:
            return _on_disk(images, shape, blocks(0), name, advance)
        pixels = np.empty((images, *shape), np.uint8)
        count = 0
        for part in blocks(0):
            pixels[count : count + len(part)] = part
            count += len(part)
            advance(len(part))
    return pixels


def is_kept(folder: Path, size: int, *, always: bool) -> bool:
    """Whether `size` bytes of pixels are stored in a folder of the cache instead of in memory.

    More than `LIMIT` always are. Fewer are if `always` is set, the folder can be written and the disk has room.
    """
    if size > LIMIT or not always:
        return size > LIMIT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        store.check_room(folder, "", size)
    except (OSError, InputError):
        return False
    return os.access(folder, os.W_OK)


def _on_disk(images: int, shape: Shape, blocks: Iterator[Bytes], name: str, advance: Callable[[int], None]) -> Bytes:
    folder = store.in_cache()
    folder.mkdir(parents=True, exist_ok=True)
    store.check_room(folder, name, images * math.prod(shape))
    with tempfile.TemporaryFile(dir=folder) as file:
        for part in blocks:
            file.write(np.ascontiguousarray(part).data)
            advance(len(part))
        file.flush()
        # The file has no name and is deleted with the array.
        return np.memmap(file, np.uint8, "r", shape=(images, *shape))


def read(folder: Path, key: Sequence[object]) -> Bytes | None:
    """The pixels of this key in a folder, memory-mapped; None if there are none. Raises `InputError` if damaged."""
    images = store.read(folder)
    if images is None or images.source != repr(key):
        return None
    pixels: Bytes = np.lib.format.open_memmap(folder / "images.npy", mode="r")
    return pixels


def digest(
    folder: Path | None, key: Sequence[object], factors: npt.ArrayLike | None, names: Sequence[str] | None
) -> str | None:
    """The digest of more than `LIMIT` bytes of this key in a folder, with these factors; None if there are none."""
    record = None if folder is None else store.describe(folder)
    if record is None or record["source"] != repr(key) or record["images"] * math.prod(record["shape"]) <= LIMIT:
        return None
    state = hashlib.sha256(repr((record["digest"], names)).encode())
    state.update(b"" if factors is None else np.ascontiguousarray(factors).tobytes())
    return state.hexdigest()


def block(shape: Sequence[int]) -> int:
    """How many images of this shape to convert at once: up to `BLOCK`, fewer if they are large."""
    return max(1, min(BLOCK, _BLOCK_BYTES // math.prod(shape)))
