"""The law by which the set point of a controller moves."""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from equipoise.balance.contract import Fraction, NonNegative, Positive, Seen, Steps
from equipoise.errors import InputError


@dataclass(frozen=True)
class SetPoint:
    """A set point in nats that rises from `start` to `end` by one `increment` a window, and then stays.

    The first increment comes with the second window. With `start` at `end` or above, the set point is always `end`.

    Args:
        end: last set point in nats, above 0.
        start: first set point in nats, 0 or more.
        increment: rise per window in nats, above 0.
        every: length of a window in steps (ControlVAE: 0.15 nats every 5,000). Unset: windows are as long as it takes
            to reach `end` at the fraction `until` of the schedule.
        rise: fraction of a window in which its increment is spread, 0 to 1. 0 is a staircase (ControlVAE), 1/6 joins
            the steps by ramps (DynamicVAE: 1,000 of 6,000 steps).
        until: fraction of the schedule at which `end` is reached, above 0 and at most 1.

    Raises:
        InputError: if an argument is outside these ranges.

    Example:
        >>> SetPoint(18.0, start=0.5, every=100).at({"step": torch.tensor(250), "progress": torch.tensor(0.1)})
        tensor(0.8000)
    """

    end: Positive
    start: NonNegative = 0.5
    increment: Positive = 0.15
    every: Steps | None = None
    rise: Annotated[float, Field(ge=0, le=1)] = 0.0
    until: Fraction = 0.6

    # In settings a set point is a table of these fields, which a strict dataclass would refuse.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=False)

    def __post_init__(self) -> None:
        if not (self.end > 0 and self.start >= 0 and self.increment > 0):
            raise InputError(
                f"the set point goes from {self.start:g} to {self.end:g} nats by {self.increment:g}; expected an end "
                "and an increment above 0 and no negative start"
            )
        if (self.every is not None and self.every < 1) or not 0 <= self.rise <= 1 or not 0 < self.until <= 1:
            raise InputError(
                f"the set point has every={self.every}, rise={self.rise:g} and until={self.until:g}; expected a number "
                "of steps, a share from 0 to 1 and a share above 0"
            )

    @property
    def is_scheduled(self) -> bool:
        """Whether the set point depends on the length of the schedule."""
        return self.every is None and self.start < self.end

    def at(self, seen: Seen) -> Tensor:
        """The set point [] in nats at `step`, or at `progress` where `every` is unset."""
        progress = seen["progress"]
        if self.start >= self.end:
            return torch.full_like(progress, self.end)
        if self.every is None:
            windows = progress * (self._windows() / self.until)
            complete = windows.floor()
            part = ((windows - complete) / self.rise).clamp(max=1) if self.rise else torch.ones_like(windows)
        else:
            # Integer arithmetic, so that a step that is a multiple of `every` is not rounded down.
            complete = seen["step"].div(self.every, rounding_mode="floor")
            within = seen["step"].remainder(self.every) + 1
            part = (within.to(progress.dtype) / max(1, round(self.rise * self.every))).clamp(max=1)
        return (self.start + self.increment * (complete - 1 + part).clamp(min=0)).clamp(max=self.end)

    def _windows(self) -> float:
        """Number of windows until `end` is reached; the last one counts in part."""
        increments = round((self.end - self.start) / self.increment, 6)  # 19.5 / 0.15 is 130 and not a hair more
        last = math.ceil(increments)
        return last + self.rise * (increments - last + 1)


Target = Positive | SetPoint
"""A fixed set point in nats, or one that rises."""
