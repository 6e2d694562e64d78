"""Weights that hold a term at a set point: proportional-integral control, and the law by which the set point moves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from equipoise.balance.contract import Balance, NonNegative, Positive, Remark, Seen, Share, Steps, Weights
from equipoise.errors import InputError, choose


@dataclass(frozen=True)
class SetPoint:
    """A set point in nats that rises from `start` to `end` by one `increment` a window, and then stays.

    A window is `every` steps long (ControlVAE: 0.15 every 5,000); where `every` is unset, windows are as long as it
    takes to reach `end` at the share `until` of the schedule. The first increment comes with the second window. An
    increment is spread over the first `rise` of its window: 0 is a staircase (ControlVAE), 1/6 joins the steps by ramps
    (DynamicVAE: 1,000 of 6,000 steps). With `start` at `end` or above, the set point is `end` throughout.
    """

    end: Positive
    start: NonNegative = 0.5
    increment: Positive = 0.15
    every: Steps | None = None
    rise: Annotated[float, Field(ge=0, le=1)] = 0.0
    until: Share = 0.6

    # In settings a set point is a table of these fields, which strict settings would not take for a dataclass.
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
    def scheduled(self) -> bool:
        return self.every is None and self.start < self.end

    def at(self, seen: Seen) -> Tensor:
        """The set point [] in nats at `step`, or at `progress` where `every` is unset."""
        progress = seen["progress"]
        if self.start >= self.end:
            return torch.full_like(progress, self.end)
        if self.every is None:
            windows = progress * (self._windows() / self.until)
            over = windows.floor()
            risen = ((windows - over) / self.rise).clamp(max=1) if self.rise else torch.ones_like(windows)
        else:
            # Whole numbers up to the last division: a step that is a multiple of `every` must not be rounded below it.
            over = seen["step"].div(self.every, rounding_mode="floor")
            within = seen["step"].remainder(self.every) + 1
            risen = (within.to(progress.dtype) / max(1, round(self.rise * self.every))).clamp(max=1)
        return (self.start + self.increment * (over - 1 + risen).clamp(min=0)).clamp(max=self.end)

    def _windows(self) -> float:
        """How many windows it takes to reach `end`, the last one counted up to where it is reached."""
        increments = round((self.end - self.start) / self.increment, 6)  # 19.5 / 0.15 is 130 and not a hair more
        last = math.ceil(increments)
        return last + self.rise * (increments - last + 1)


Target = Positive | SetPoint
"""A fixed set point in nats, or one that rises."""


class PI(Balance):
    """The weight of a term is what holds it at a set point (ControlVAE; Shao et al., ICML 2020,
    arXiv:2004.05988).

    With the error e = C - K, set point minus the batch's value in nats:  I <- I - ki e,
    beta = clip(kp sigmoid(-e) + I + beta_min, beta_min, beta_max), from I = 0. `beta_min=0` thus begins at
    kp sigmoid(-e), which is nearly 0 below the set point. In evaluation the weight is that of the last step.

    anti_windup: what keeps I from running away while beta is at a limit. "conditional", a deviation: the update is left
    out if it would push an output that is outside further out. The published forms do not do their work: "code", of the
    released dSprites program, integrates only if the last unclipped output was beta_min or more, so one update of
    I below -kp freezes it for ever; "paper", as the pseudo-code is commonly read, always integrates, and 20,000 steps
    at an error of 0.5 nat cost 10 units of beta later.

    term: what is weighed, and measured too, unless `measures` names other terms, whose sum is then held: with
    measures=("mi", "tc", "dim_kl"), term="tc" the KL is held by the weight of total correlation alone.
    """

    integral: Tensor
    rest: Tensor
    output: Tensor
    error: Tensor
    set_point: Tensor

    def __init__(
        self,
        target: Target = 16.0,
        kp: NonNegative = 0.01,
        ki: NonNegative = 0.001,
        beta_min: NonNegative = 1.0,
        beta_max: Positive | None = None,
        anti_windup: Literal["conditional", "code", "paper"] = "conditional",
        term: str = "kl",
        measures: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        _check_gains(kp, ki)
        if beta_max is not None and beta_max <= beta_min:
            raise InputError(f"beta_max is {beta_max:g} and beta_min {beta_min:g}; expected beta_max above beta_min")
        self.target = _set_point(target)
        self.kp, self.ki = kp, ki
        self.beta_min, self.beta_max = beta_min, beta_max
        self.anti_windup = choose("anti_windup", anti_windup, ("conditional", "code", "paper"))
        self.terms, self.measures = (term,), tuple(measures or (term,))
        self.scheduled = self.target.scheduled
        self.register_buffer("integral", torch.tensor(0.0))
        self.register_buffer("rest", torch.tensor(0.0))  # of `integral`, see `_plus`
        self.register_buffer("output", torch.tensor(float(beta_min)))  # of the last step, not clipped
        self.register_buffer("error", torch.tensor(0.0))
        self.register_buffer("set_point", torch.tensor(float(min(self.target.start, self.target.end))))

    def forward(self, seen: Seen) -> Weights:
        if self.training:
            self._move(seen)
        return {self.terms[0]: self.output.clamp(self.beta_min, self.beta_max)}

    @torch.no_grad()
    def _move(self, seen: Seen) -> None:
        self.set_point.copy_(self.target.at(seen))
        self.error.copy_(self.set_point - _measured(self.measures, seen))
        proportional = self.kp * torch.sigmoid(-self.error)
        update = -self.ki * self.error
        integral, rest = _plus(self.integral, self.rest, update)
        if self.anti_windup == "conditional":
            tentative = proportional + integral + self.beta_min
            frozen = (tentative < self.beta_min) & (update < 0)
            if self.beta_max is not None:
                frozen |= (tentative > self.beta_max) & (update > 0)
        elif self.anti_windup == "code":
            frozen = self.output < self.beta_min
        else:
            frozen = torch.zeros_like(self.output, dtype=torch.bool)
        self.integral.copy_(torch.where(frozen, self.integral, integral))
        self.rest.copy_(torch.where(frozen, self.rest, rest))
        self.output.copy_(proportional + self.integral + self.beta_min)

    def logs(self) -> dict[str, Tensor]:
        return {name: getattr(self, name).clone() for name in ("set_point", "error", "integral")}

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
        return _remarks(self, self.beta_max, rows)


class IncrementalPI(Balance):
    """The weight starts high and is moved by increments until the term, smoothed, is at its set point (DynamicVAE;
    Shao et al., CVPR 2022, arXiv:2009.06795).

    With e = C - K, set point minus the mean of the last `window` batches in nats, and e = 0 before the first step:
    beta <- max(beta + kp (sigmoid(-e) - sigmoid(-e_before)) - ki e, beta_min), from beta_0. In evaluation the weight is
    that of the last step.

    anti_windup: "conditional", a deviation: the clipped weight is what the next increment is added to. "code", of the
    released program: the unclipped one is, and its integral part is cut while it is below beta_min; an undershoot of
    more than kp then holds the weight at beta_min for ever.
    zero_pad: the first window - 1 means count zeros for batches that have not been, as in the released program.
    term, measures: as those of `PI`.
    """

    output: Tensor
    rest: Tensor
    error: Tensor
    set_point: Tensor
    queue: Tensor
    filled: Tensor

    def __init__(
        self,
        target: Target = 18.0,
        kp: NonNegative = 0.01,
        ki: NonNegative = 0.005,
        beta_0: Positive = 150.0,
        beta_min: NonNegative = 0.1,
        window: Steps = 5,
        anti_windup: Literal["conditional", "code"] = "conditional",
        zero_pad: bool = False,
        term: str = "kl",
        measures: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        _check_gains(kp, ki)
        if beta_0 < beta_min:
            raise InputError(f"beta_0 is {beta_0:g} and beta_min {beta_min:g}; expected beta_0 at beta_min or above")
        if window < 1:
            raise InputError(f"window is {window}; expected the number of batches whose mean is held, 1 or more")
        self.target = _set_point(target)
        self.kp, self.ki, self.beta_min = kp, ki, beta_min
        self.anti_windup = choose("anti_windup", anti_windup, ("conditional", "code"))
        self.zero_pad = zero_pad
        self.terms, self.measures = (term,), tuple(measures or (term,))
        self.scheduled = self.target.scheduled
        self.register_buffer("output", torch.tensor(float(beta_0)))  # of the last step; with "code" not clipped
        self.register_buffer("rest", torch.tensor(0.0))  # of `output`, see `_plus`
        self.register_buffer("error", torch.tensor(0.0))
        self.register_buffer("set_point", torch.tensor(float(min(self.target.start, self.target.end))))
        self.register_buffer("queue", torch.zeros(window))
        self.register_buffer("filled", torch.tensor(window if zero_pad else 0))

    def forward(self, seen: Seen) -> Weights:
        if self.training:
            self._move(seen)
        return {self.terms[0]: self.output.clamp(min=self.beta_min)}

    @torch.no_grad()
    def _move(self, seen: Seen) -> None:
        self.queue.copy_(torch.cat([self.queue[1:], _measured(self.measures, seen).reshape(1)]))
        self.filled.copy_((self.filled + 1).clamp(max=len(self.queue)))
        before = self.error.clone()
        self.set_point.copy_(self.target.at(seen))
        self.error.copy_(self.set_point - self.queue.sum() / self.filled)
        integral = -self.ki * self.error
        if self.anti_windup == "code":
            integral = torch.where(self.output < self.beta_min, torch.zeros_like(integral), integral)
        update = self.kp * (torch.sigmoid(-self.error) - torch.sigmoid(-before)) + integral
        output, rest = _plus(self.output, self.rest, update)
        if self.anti_windup == "conditional":
            output = output.clamp(min=self.beta_min)
        self.output.copy_(output)
        self.rest.copy_(rest)

    def logs(self) -> dict[str, Tensor]:
        return {name: getattr(self, name).clone() for name in ("set_point", "error")}

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
        return _remarks(self, None, rows)


def _set_point(target: float | SetPoint) -> SetPoint:
    return target if isinstance(target, SetPoint) else SetPoint(target, start=target)


def _check_gains(kp: float, ki: float) -> None:
    if not (kp >= 0 and ki >= 0):
        raise InputError(
            f"kp is {kp:g} and ki {ki:g}; expected 0 or more for both (programs that write a negative ki add what is "
            "subtracted here)"
        )


def _measured(terms: Sequence[str], seen: Seen) -> Tensor:
    """The sum [] of the terms' batch means in nats."""
    return torch.stack([seen[name].sum() for name in terms]).sum()


def _plus(total: Tensor, rest: Tensor, update: Tensor) -> tuple[Tensor, Tensor]:
    """total + update, and what rounding left out of it, to be added with the next update (Kahan, 1965).

    float32 numbers near 100 are 8e-6 apart, and an error of 0.01 nat moves a weight by 1e-5 a step. Double precision
    would do as well, but not every device has it, and a module that is cast would lose it.
    """
    update = update + rest
    new = total + update
    return new, update - (new - total)


def _remarks(balance: "PI | IncrementalPI", beta_max: float | None, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
    """Whether at the end the weight was at a limit, the term off its set point, or the set point still rising."""
    if not rows:
        return []
    late, term, measured = rows[-max(1, len(rows) // 5) :], balance.terms[0], " + ".join(balance.measures)
    value = sum(float(row[name]) for row in late for name in balance.measures) / len(late)
    target = sum(float(row["set_point"]) for row in late) / len(late)
    said = []

    for limit, word, out_of_reach, instead in (
        (balance.beta_min, "lower", value < target, f"below {value:.2f} nats, or a smaller beta_min"),
        (beta_max, "upper", value > target, f"above {value:.2f} nats, or a larger beta_max"),
    ):
        if limit is None or not all(
            # The update that would take it beyond is left out, so it may stay that much short of the limit.
            abs(float(row[f"weight.{term}"]) - limit) <= 1e-3 * max(limit, 1) + balance.ki * abs(float(row["error"]))
            for row in late
        ):
            continue
        sentence = (
            f"The weight of {term} stayed at its {word} limit {limit:g} over the last fifth of the run, where "
            f"{measured} was {value:.2f} nats and its set point {target:.2f}. "
        )
        if out_of_reach or balance.anti_windup == "conditional":
            sentence += f"At that limit the set point is out of reach: take a target {instead}."
        else:
            sentence += f'anti_windup="{balance.anti_windup}" keeps it there: take "conditional".'
        said.append(Remark(sentence, "saturated"))

    if not said and abs(value - target) > 0.5:
        sentence = (
            f"{measured} was not settled at its set point: over the last fifth of the run its mean was {value:.2f} "
            f"nats, that of the set point {target:.2f}. Train longer, or take a larger ki."
        )
        said.append(Remark(sentence, "not settled"))
    reached, end = float(rows[-1]["set_point"]), balance.target.end
    if end - reached > 1e-3:
        sentence = (
            f"The set point was still rising when the run ended, at {reached:.2f} of {end:g} nats, so the weight also "
            "depends on where the run was stopped. Train to the end of the ramp, or take a shorter one."
        )
        said.append(Remark(sentence, "not settled"))
    return said
