"""Batches as a pure function of seed, step and stream, so that a checkpoint needs no state of the data."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import torch

from equipoise.data.images import Images
from equipoise.data.pixels import Indices
from equipoise.errors import InputError

Draw = Callable[[int, int, int, int], Indices]
"""The images [size] of a batch, as a function of size, seed, step and stream, like `batch_index` for given images."""


class Batches:
    """Batches of `size` images, in an order that depends on `seed` alone; of each batch, only `rows` are read.

    draw: Chooses the images of a batch, such as pairs. Default: `batch_index`. Raises `InputError` if there are fewer
    images than a batch needs.
    """

    def __init__(
        self, images: Images, size: int, seed: int, rows: slice = slice(None), draw: Draw | None = None
    ) -> None:
        self.images, self.size, self.seed, self.rows = images, size, seed, rows
        self.draw = draw or partial(batch_index, len(images))
        self.draw(size, seed, 0, 0)  # raises before training if there are too few images

    def __call__(self, step: int, stream: int = 0) -> torch.Tensor:
        """The batch of `step`, counted from 0, float32 [B, C, H, W] in [0, 1] on the CPU. See `batch_index`."""
        return self.images.floats(self.draw(self.size, self.seed, step, stream)[self.rows])


def batch_index(n: int, size: int, seed: int, step: int, stream: int = 0) -> Indices:
    """Which of n images make up the batch of a step, counted from 0: int64 [size], a pure function of the arguments.

    Each epoch is a new permutation of the images, cut into batches; an incomplete last batch is dropped, so an epoch
    contains each image at most once. Stream 1 is half an epoch ahead in the same permutation, so its batch has no image
    in common with that of stream 0 at the same step, as the second batch of FactorVAE requires (Kim and Mnih 2018,
    algorithm 2). Raises `InputError` if n < size, and if n < 2 * size for stream 1.
    """
    if size < 1 or step < 0 or seed < 0 or stream not in (0, 1):
        raise InputError(
            f"a batch needs train.batch of 1 or more, a step and a seed of 0 or more and stream 0 or 1, "
            f"not train.batch={size}, step={step}, train.seed={seed}, stream={stream}"
        )
    if n < size:
        raise InputError(f"train.batch is {size} but there are only {n} images; set train.batch to {n} or less")
    if stream == 1 and n < 2 * size:
        raise InputError(
            f"this method draws two disjoint batches a step: train.batch={size} needs {2 * size} images and there are "
            f"{n}; " + (f"set train.batch to {n // 2} or less" if n > 1 else "give more images")
        )
    per_epoch = n // size
    epoch, batch = divmod(step, per_epoch)
    first = (batch + stream * (per_epoch // 2)) % per_epoch * size
    return _permutation(n, seed, epoch)[first : first + size].copy()


def fitting_size(images: Images, size: int, *, has_second: bool, processes: int = 1, is_paired: bool = False) -> int:
    """The largest batch of up to `size` images that a step can draw from `images`, a multiple of `processes`.

    has_second: whether a step draws two batches without a common image. is_paired: whether each process has whole
    pairs. Raises `InputError` if there are not enough images for a batch of two, which is the smallest, and for a
    `size` that is not made of pairs.
    """
    n, unit = len(images), 2 * processes if is_paired else processes
    if size % unit and is_paired:
        workers = f" in each of {processes} processes" if processes > 1 else ""
        raise InputError(
            f"train.batch is {size}; expected pairs of images{workers}, such as {max(size // unit, 1) * unit}"
        )
    least = max(2, unit) * (2 if has_second else 1)
    if n < least:
        method = "this method, which draws two batches a step," if has_second else "training"
        workers = f" in {processes} processes" if processes > 1 else ""
        raise InputError(
            f"{images.name} has {n} image{'' if n == 1 else 's'}, and {method} needs at least {least}{workers}; add "
            "images"
        )
    largest = n // 2 if has_second else n
    return size if size <= largest else largest // unit * unit


@lru_cache(maxsize=4)  # the epochs of training and of an evaluation at the same time; 6 MB each for dSprites
def _permutation(n: int, seed: int, epoch: int) -> Indices:
    # Not the seed (seed, epoch): numpy treats (0, 0) like 0, which may be the seed of the split.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,))).permutation(n)
