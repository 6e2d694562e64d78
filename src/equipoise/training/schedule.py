"""Schedules of the learning rate, as pure functions of the step, so that a resumed run needs no state."""

import math
from typing import Literal


def rate(schedule: Literal["constant", "one-cycle"], step: int, length: int) -> float:
    """The factor on the learning rate at `step` (1 for the first) of a schedule of `length` steps.

    `one-cycle` rises from 0.1 to 1 over the first half and falls to 0.01 over the second, both along half a cosine:
    with a rate of 1e-4 it is the L-VAE paper's (section 6.3). It equals `torch.optim.lr_scheduler.OneCycleLR` with
    `div_factor=10, final_div_factor=10, pct_start=0.5, cycle_momentum=False`; momentum stays, as the paper fixes it.
    """
    if schedule == "constant":
        return 1.0
    position, peak, last = step - 1, 0.5 * length - 1, length - 1
    if position <= peak:
        return _cosine(0.1, 1.0, position / peak if peak else 1.0)
    return _cosine(1.0, 0.01, (position - peak) / (last - peak))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
