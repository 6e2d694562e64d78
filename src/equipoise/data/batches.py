"""Batches as a pure function of seed, step and stream: nothing to save, nothing to restore."""

from functools import lru_cache

import numpy as np
import torch

from equipoise.data.images import Images
from equipoise.data.pixels import Indices
from equipoise.errors import InputError


class Batches:
    """Batches of `size` images, in an order that depends on `seed` alone; `rows` are those of them that are wanted.

    InputError when there are fewer images than a batch needs.
    """

    def __init__(self, images: Images, size: int, seed: int, rows: slice = slice(None)) -> None:
        batch_index(len(images), size, seed, step=0)  # what cannot work fails before any training
        self.images, self.size, self.seed, self.rows = images, size, seed, rows

    def __call__(self, step: int, stream: int = 0) -> torch.Tensor:
        """The batch of `step`, counted from 0, float32 [B, C, H, W] in [0, 1] on the CPU. See `batch_index`."""
        return self.images.floats(batch_index(len(self.images), self.size, self.seed, step, stream)[self.rows])


def batch_index(n: int, size: int, seed: int, step: int, stream: int = 0) -> Indices:
    """Which of n images make up the batch of a step, counted from 0: int64 [size], a pure function of the arguments.

    Each epoch is its own permutation of the images, cut into batches; what is left over at its end is dropped, so an
    epoch shows each image at most once. Stream 1 walks the same permutation half an epoch ahead: its batch shares no
    image with that of stream 0 at the same step, as the second batch of FactorVAE (Kim and Mnih 2018, algorithm 2)
    asks. InputError when n < size, and when n < 2 * size for stream 1.
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


@lru_cache(maxsize=4)  # the epoch of training and that of an evaluation beside it; 6 MB each for dSprites
def _permutation(n: int, seed: int, epoch: int) -> Indices:
    # Not the seed (seed, epoch): numpy takes (0, 0) and 0 for the same, and 0 may be what the data were split with.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,))).permutation(n)
