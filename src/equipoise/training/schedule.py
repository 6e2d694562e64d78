"""Schedules of the learning rate. They are functions of the step alone, so a checkpoint holds no schedule."""

import math
from typing import Literal


def rate(schedule: Literal["constant", "one-cycle"], step: int, length: int) -> float:
    """The factor of the learning rate at `step` (the first is 1) of a schedule of `length` steps.

    `one-cycle` rises from 0.1 to 1 over the first half and falls to 0.01 over the second half, each along half a
    cosine. With a learning rate of 1e-4 this is the schedule of the L-VAE paper (section 6.3). It equals
    `torch.optim.lr_scheduler.OneCycleLR` with `div_factor=10, final_div_factor=10, pct_start=0.5,
    cycle_momentum=False`.
    """
    if schedule == "constant":
        return 1.0
    position, peak, last = step - 1, 0.5 * length - 1, length - 1
    if position <= peak:
        return _cosine(0.1, 1.0, position / peak if peak else 1.0)
    return _cosine(1.0, 0.01, (position - peak) / (last - peak))


def _cosine(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` at share 0 to `end` at share 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
