"""A weight that follows a schedule: up or down, once or in cycles."""

import math
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from equipoise.balance.contract import Balance, Fraction, NonNegative, Seen, Share, Weights
from equipoise.errors import InputError

Curve = Literal["constant", "linear", "geometric", "cosine", "cyclical"]


class Schedule(Balance):
    """A weight of one term that goes from a first to a last value over a part of the schedule.

    The weight is `start` in the first fraction `hold` of the schedule, reaches `end` at the fraction `until`, and then
    stays. In evaluation it is `end`.

    Args:
        start: first weight, 0 or more.
        end: last weight, 0 or more.
        shape: `constant`: `start` until `until`, then `end`. `linear`: equal steps. `geometric`: equal ratios, both
            weights above 0. `cosine`: half a period of a cosine. `cyclical`: linear, started anew in each of `cycles`
            equal parts and constant at `end` in the second half of each.
        until: fraction of the schedule at which the weight reaches `end`, above 0 and at most 1.
        hold: fraction of the schedule during which the weight is `start`, 0 or more and below `until`.
        term: the term that is weighted.
        cycles: number of cycles, for `cyclical`.
        unit: the term in whose mean `start` and `end` are expressed, such as `spread`; the mean is taken over the first
            steps and then stays. Default: nats of the term itself.

    Raises:
        InputError: if `hold` is not below `until`, or a weight of a geometric schedule is 0.

    Source:
        Cyclical: Fu et al., Cyclical Annealing Schedule, NAACL 2019, https://arxiv.org/abs/1903.10145

    Example:
        >>> import torch
        >>> from equipoise.balance import Schedule
        >>> Schedule(16.0, 1.0, until=1.0)({"progress": torch.tensor(0.5)})
        {'kl': tensor(4.)}
    """

    name: ClassVar[str] = "schedule"
    is_scheduled = True

    def __init__(
        self,
        start: NonNegative,
        end: NonNegative,
        shape: Curve = "geometric",
        until: Fraction = 0.6,
        hold: Share = 0.0,
        term: str = "kl",
        cycles: Annotated[int, Field(ge=1)] = 4,
        unit: str | None = None,
    ) -> None:
        super().__init__()
        if hold >= until:
            raise InputError(f"hold of schedule is {hold:g}, and until is {until:g}; hold has to be below until")
        if shape == "geometric" and not (start > 0 and end > 0):
            raise InputError(
                f"schedule goes from {start:g} to {end:g} by equal ratios, which needs weights above 0; "
                "take a small weight, or shape = linear"
            )
        self.start, self.end, self.shape, self.until, self.hold = start, end, shape, until, hold
        self.term, self.cycles, self.terms = term, cycles, (term,)
        self.express_in(unit)

    def forward(self, seen: Seen) -> Weights:
        """The weight of the term at `progress`."""
        weight = torch.full_like(seen["progress"], self.end)
        if self.training:
            weight = self._weight(((seen["progress"] - self.hold) / (self.until - self.hold)).clamp(0, 1))
        return {self.term: self.in_nats(weight, seen)}

    def _weight(self, fraction: Tensor) -> Tensor:
        """The weight [] at a fraction [] of the way from start to end."""
        match self.shape:
            case "geometric":
                return self.start * (fraction * math.log(self.end / self.start)).exp()
            case "cosine":
                way = (1 - (math.pi * fraction).cos()) / 2
            case "cyclical":
                # At the end of the last cycle the remainder is 0 again; the weight stays at `end`.
                cycle = (fraction * self.cycles) % 1
                way = torch.where(fraction < 1, (2 * cycle).clamp(max=1), torch.ones_like(cycle))
            case "constant":
                way = (fraction >= 1).to(fraction.dtype)
            case _:
                way = fraction
        return self.start + (self.end - self.start) * way
