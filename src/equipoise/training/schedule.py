"""Schedules of the learning rate. They are functions of the step alone, so a checkpoint holds no schedule."""

import math
from typing import Literal

WARM_UP = 0.03  # fraction of the schedule in which `warmup-cosine` rises


def rate(schedule: Literal["constant", "one-cycle", "warmup-cosine"], step: int, length: int) -> float:
    """The factor of the learning rate at `step` (the first is 1) of a schedule of `length` steps.

    `one-cycle` rises from 0.1 to 1 over the first half and falls to 0.01 over the second half, each along half a
    cosine. With a learning rate of 1e-4 this is the schedule of the L-VAE paper (section 6.3). It equals
    `torch.optim.lr_scheduler.OneCycleLR` with `div_factor=10, final_div_factor=10, pct_start=0.5,
    cycle_momentum=False`.

    `warmup-cosine` rises linearly from 0.01 to 1 over the first 3 % and falls to 0.01 along half a cosine.
    """
    if schedule == "constant":
        return 1.0
    position, last = step - 1, length - 1
    if schedule == "warmup-cosine":
        peak = WARM_UP * last
        if position < peak:
            return 0.01 + 0.99 * position / peak
        return _cosine(1.0, 0.01, (position - peak) / (last - peak) if last else 0.0)
    peak = 0.5 * length - 1
    if position <= peak:
        return _cosine(0.1, 1.0, position / peak if peak else 1.0)
    return _cosine(1.0, 0.01, (position - peak) / (last - peak))


def _cosine(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` at share 0 to `end` at share 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
