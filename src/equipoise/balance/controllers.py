"""Controllers: weights that hold a term at a set point.

With a `unit`, such as `spread`, a controller does not depend on the scale of the data or the length of the run: weights
are in units of the mean of that monitor, the law is that of their logarithm, and ki counts for a whole schedule. The
logarithm is the variable in which the plant is nearly linear: in a linear model with n active latents the KL is
sum_j 1/2 log(2 lambda_j / beta), so that it falls by n / 2 nats when beta grows by a factor e, and a controller with an
integral gain ki closes an error within the fraction 2 / (n ki) of the schedule.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from equipoise.balance.contract import (
    Balance,
    NonNegative,
    Positive,
    Seen,
    Steps,
    Weights,
    compensated_sum,
    schedule_share,
)
from equipoise.balance.set_point import SetPoint, Target
from equipoise.errors import InputError, choose
from equipoise.part import Aims, Remark, Rows, column, late

PARTS_OF_KL = {"mi", "tc", "dim_kl"}


class Controller(Balance):
    """The common part of the two controllers: the set point, the error and the remarks."""

    rest: Tensor
    output: Tensor
    error: Tensor
    set_point: Tensor
    beta_max: float | None = None
    upper: ClassVar[str] = "beta_max"  # the option that sets it

    def __init__(
        self,
        target: float | SetPoint | Mapping[str, Any],
        kp: float,
        ki: float,
        beta_min: float,
        anti_windup: str,
        term: str,
        measures: Sequence[str] | None,
        start: float,
        unit: str | None,
    ) -> None:
        super().__init__()
        if not (kp >= 0 and ki >= 0):
            raise InputError(
                f"kp is {kp:g} and ki {ki:g}; expected 0 or more for both (programs with a negative ki add what is "
                "subtracted here)"
            )
        if isinstance(target, Mapping):  # as a file has it
            target = SetPoint(**target)
        self.target = target if isinstance(target, SetPoint) else SetPoint(target, start=target)
        self.kp, self.ki, self.beta_min, self.anti_windup = kp, ki, beta_min, anti_windup
        if unit is not None and not beta_min > 0:
            raise InputError(
                f"beta_min is {beta_min:g}; with a unit the logarithm of the weight is controlled, so expected a "
                "beta_min above 0"
            )
        self.term, self.terms = term, (term,)
        self.values = tuple(name for name in measures or (term,) if name != unit)  # whose sum is held at the set point
        if not self.values:
            raise InputError(f"measures is {unit}, which is the unit; name the terms whose sum is held at the target")
        self.measures = self.values
        self.is_scheduled = self.target.is_scheduled or unit is not None
        self.express_in(unit)
        self.register_buffer("output", torch.tensor(self.inner(start)))  # of the last step, not clipped
        self.register_buffer("rest", torch.tensor(0.0))  # rounding error of the accumulated value
        self.register_buffer("error", torch.tensor(0.0))
        self.register_buffer("set_point", torch.tensor(float(min(self.target.start, self.target.end))))

    def forward(self, seen: Seen) -> Weights:
        """The weight of the term; in training the controller makes a step first."""
        if self.training:
            # The sum of the terms' batch means, [] in nats.
            self.move(seen, torch.stack([seen[name].sum() for name in self.values]).sum())
        output = self.output.clamp(self.low, self.high)
        return {self.term: self.in_nats(output if self.unit is None else output.exp(), seen)}

    def inner(self, weight: float) -> float:
        """The controlled variable at a weight: the weight, or its logarithm where it has a unit."""
        return float(weight) if self.unit is None else math.log(weight)

    @property
    def low(self) -> float:
        """The lower limit of the controlled variable."""
        return self.inner(self.beta_min)

    @property
    def high(self) -> float | None:
        """The upper limit of the controlled variable, if it has one."""
        return None if self.beta_max is None else self.inner(self.beta_max)

    def integral_step(self, seen: Seen) -> Tensor:
        """The change [] of the integral in a step, from the error of the step."""
        return -self.ki * self.error * (1.0 if self.unit is None else schedule_share(seen))

    def move(self, seen: Seen, value: Tensor) -> None:
        """One step of the controller, at the value [] of the measured terms in nats."""
        raise NotImplementedError

    def logs(self) -> dict[str, Tensor]:
        """Set point and error, [] each."""
        names = ("set_point", "error") if self.unit is None else ("set_point", "error", "unit_mean")
        return {name: getattr(self, name).clone() for name in names}

    def aims(self, rows: Rows) -> Aims:
        """The set point beside the KL, or beside the sum of the measured terms."""
        if "set_point" not in rows[-1]:
            return {}
        key = "kl" if set(self.values) == PARTS_OF_KL else " + ".join(self.values)
        return {key: {"set point": column(rows, "set_point")}}

    def remarks(self, rows: Rows) -> list[Remark]:
        """Whether at the end the weight was at a limit, the term off its set point, or the set point still rising."""
        term, measures = self.term, " + ".join(self.values)
        last = late(rows)
        value = sum(float(row[name]) for row in last for name in self.values) / len(last)
        target = sum(float(row["set_point"]) for row in last) / len(last)
        remarks = []

        for limit, word, out_of_reach, instead in (
            (self.beta_min, "lower", value < target, f"below {value:.2f} nats, or a smaller beta_min"),
            (self.beta_max, "upper", value > target, f"above {value:.2f} nats, or a larger {self.upper}"),
        ):
            if limit is None or not all(self._is_at(limit, row) for row in last):
                continue
            unit = "" if self.unit is None else f" times the {self.unit}"
            sentence = (
                f"The weight of {term} stayed at its {word} limit {limit:g}{unit} over the last fifth of the run, "
                f"where {measures} was {value:.2f} nats and its set point {target:.2f}. "
            )
            if out_of_reach or self.anti_windup == "conditional":
                # A net that has learned little has a small KL, whatever its weight.
                longer = "train longer, or " if word == "lower" else ""
                sentence += f"At that limit the set point is out of reach: {longer}take a target {instead}."
            else:
                sentence += f'anti_windup="{self.anti_windup}" keeps it there: take "conditional".'
            remarks.append(Remark(sentence, "saturated"))

        if not remarks and abs(value - target) > 0.5:
            sentence = (
                f"{measures} was not settled at its set point: over the last fifth of the run its mean was {value:.2f} "
                f"nats, that of the set point {target:.2f}. Train longer, or take a larger ki."
            )
            remarks.append(Remark(sentence, "not settled"))
        final, end = float(rows[-1]["set_point"]), self.target.end
        if end - final > 1e-3:
            sentence = (
                f"The set point was still rising when the run ended, at {final:.2f} of {end:g} nats, so the weight "
                "depends on when the run was stopped. Train to the end of the ramp, or take a shorter ramp."
            )
            remarks.append(Remark(sentence, "not settled"))
        return remarks

    def _is_at(self, limit: float, row: Mapping[str, Any]) -> bool:
        """Whether the weight in a row is at a limit."""
        weight = float(row[f"weight.{self.term}"])
        if self.unit is not None:
            return abs(weight - limit * float(row["unit_mean"])) <= 1e-3 * weight
        # An update beyond the limit is left out, so the weight may stop short of the limit by one update.
        return abs(weight - limit) <= 1e-3 * max(limit, 1) + self.ki * abs(float(row["error"]))


class PI(Controller):
    """A proportional-integral controller: the weight of a term holds it at a set point.

    With the error e = C - K, set point minus the batch's value in nats:  I <- I - ki e,
    beta = clip(kp sigmoid(-e) + I + beta_min, beta_min, beta_max), from I = 0. So `beta_min=0` begins at
    kp sigmoid(-e), which is nearly 0 below the set point. In evaluation the weight is that of the last step.

    Args:
        target: set point in nats, above 0, or a `SetPoint` that rises.
        kp, ki: proportional and integral gain, 0 or more.
        beta_min, beta_max: limits of the weight, 0 or more; without beta_max there is no upper limit.
        anti_windup: what keeps I bounded while beta is at a limit. "conditional" (not in the publications) leaves an
            update out if it would move an output that is outside the limits further out. "code", of the released
            dSprites program, integrates only if the last unclipped output was beta_min or more, so a single update of
            I below -kp stops it for good. "paper", as the pseudo-code is commonly read, always integrates: 20,000 steps
            at an error of 0.5 nats later cost 10 units of beta.
        term: term that is weighted.
        measures: terms whose sum is held at the set point; unset: `term`. With measures=("mi", "tc", "dim_kl") and
            term="tc", the weight of the total correlation alone holds the KL.
        unit: monitor in whose mean over the first steps beta_min and beta_max are expressed, such as `spread`. Then
            log(beta / unit) takes the place of beta in the law, and ki that of a whole schedule. Unset: nats of the
            term itself, and ki in a step.

    Raises:
        InputError: if an argument is outside these ranges.

    Source:
        Shao et al., ControlVAE: Controllable Variational Autoencoder, ICML 2020, https://arxiv.org/abs/2004.05988

    Example:
        >>> controller = PI(target=16.0, ki=0.01)
        >>> seen = {"kl": torch.tensor(20.0), "step": torch.tensor(1), "progress": torch.tensor(0.1)}
        >>> controller(seen)  # 1 + 0.01 sigmoid(4) + 0.01 * 4
        {'kl': tensor(1.0498)}
    """

    name: ClassVar[str] = "pi"
    integral: Tensor

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
        unit: str | None = None,
    ) -> None:
        choose("anti_windup", anti_windup, ("conditional", "code", "paper"))
        super().__init__(target, kp, ki, beta_min, anti_windup, term, measures, start=beta_min, unit=unit)
        if beta_max is not None and beta_max <= beta_min:
            raise InputError(f"beta_max is {beta_max:g} and beta_min {beta_min:g}; expected beta_max above beta_min")
        self.beta_max = beta_max
        self.register_buffer("integral", torch.tensor(0.0))

    @torch.no_grad()
    def move(self, seen: Seen, value: Tensor) -> None:
        """One step of the controller, at the value [] of the measured terms in nats."""
        self.set_point.copy_(self.target.at(seen))
        self.error.copy_(self.set_point - value)
        proportional = self.kp * torch.sigmoid(-self.error)
        update = self.integral_step(seen)
        integral, rest = compensated_sum(self.integral, self.rest, update)
        if self.anti_windup == "conditional" and self.unit is not None:
            # An update of a short run can be as large as the range of the logarithm, so it is clipped and not left out.
            room = None if self.high is None else self.high - self.low
            clipped = integral.clamp(-self.kp, room)
            rest = torch.where(clipped == integral, rest, torch.zeros_like(rest))
            integral, is_frozen = clipped, torch.zeros_like(self.output, dtype=torch.bool)
        elif self.anti_windup == "conditional":
            tentative = proportional + integral + self.low
            is_frozen = (tentative < self.low) & (update < 0)
            if self.high is not None:
                is_frozen |= (tentative > self.high) & (update > 0)
        elif self.anti_windup == "code":
            is_frozen = self.output < self.low
        else:
            is_frozen = torch.zeros_like(self.output, dtype=torch.bool)
        self.integral.copy_(torch.where(is_frozen, self.integral, integral))
        self.rest.copy_(torch.where(is_frozen, self.rest, rest))
        self.output.copy_(proportional + self.integral + self.low)

    def logs(self) -> dict[str, Tensor]:
        """Set point, error and integral, [] each."""
        return super().logs() | {"integral": self.integral.clone()}


class IncrementalPI(Controller):
    """An incremental controller: the weight of a term starts high and moves until the term is at its set point.

    With e = C - K, set point minus the mean of the last `window` batches in nats, and e = 0 before the first step:
    beta <- max(beta + kp (sigmoid(-e) - sigmoid(-e_before)) - ki e, beta_min), from beta_0. In evaluation the weight is
    that of the last step.

    Args:
        target: set point in nats, above 0, or a `SetPoint` that rises.
        kp, ki: proportional and integral gain, 0 or more.
        beta_0: weight at the start, at least beta_min.
        beta_min: lower limit of the weight, 0 or more.
        window: number of batches whose mean is held at the set point, 1 or more.
        anti_windup: "conditional" (not in the publication) adds the next increment to the clipped weight. "code", of
            the released program, adds it to the unclipped weight and leaves the integral part out while that is below
            beta_min; an undershoot of more than kp then keeps the weight at beta_min for good.
        zero_pad: whether the first window - 1 means include zeros for missing batches, as in the released program.
        term, measures, unit: see `PI`; beta_0 is in the same unit, and is then also the upper limit.

    Raises:
        InputError: if an argument is outside these ranges.

    Source:
        Shao et al., Rethinking Controllable Variational Autoencoders, CVPR 2022, https://arxiv.org/abs/2009.06795

    Example:
        >>> controller = IncrementalPI(target=18.0, beta_0=150.0, ki=0.01, kp=0.0)
        >>> seen = {"kl": torch.tensor(20.0), "step": torch.tensor(1), "progress": torch.tensor(0.1)}
        >>> controller(seen)  # 150 + 0.01 * 2
        {'kl': tensor(150.0200)}
    """

    name: ClassVar[str] = "incremental-pi"
    upper = "beta_0"
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
        unit: str | None = None,
    ) -> None:
        choose("anti_windup", anti_windup, ("conditional", "code"))
        super().__init__(target, kp, ki, beta_min, anti_windup, term, measures, start=beta_0, unit=unit)
        if beta_0 < beta_min:
            raise InputError(f"beta_0 is {beta_0:g} and beta_min {beta_min:g}; expected beta_0 at beta_min or above")
        if window < 1:
            raise InputError(f"window is {window}; expected the number of batches whose mean is held, 1 or more")
        self.beta_0, self.window, self.zero_pad = beta_0, window, zero_pad
        self.beta_max = None if unit is None else beta_0
        self.register_buffer("queue", torch.zeros(window))
        self.register_buffer("filled", torch.tensor(window if zero_pad else 0))

    @torch.no_grad()
    def move(self, seen: Seen, value: Tensor) -> None:
        """One step of the controller, at the value [] of the measured terms in nats."""
        self.queue.copy_(torch.cat([self.queue[1:], value.reshape(1)]))
        self.filled.copy_((self.filled + 1).clamp(max=len(self.queue)))
        before = self.error.clone()
        self.set_point.copy_(self.target.at(seen))
        self.error.copy_(self.set_point - self.queue.sum() / self.filled)
        integral = self.integral_step(seen)
        if self.anti_windup == "code":
            integral = torch.where(self.output < self.low, torch.zeros_like(integral), integral)
        update = self.kp * (torch.sigmoid(-self.error) - torch.sigmoid(-before)) + integral
        output, rest = compensated_sum(self.output, self.rest, update)
        if self.anti_windup == "conditional":
            output = output.clamp(self.low, self.high)
        self.output.copy_(output)
        self.rest.copy_(rest)
