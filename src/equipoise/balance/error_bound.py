"""A weight of the KL that is as large as a bound on the reconstruction error allows."""

import math
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from equipoise.balance.contract import (
    Balance,
    Fraction,
    NonNegative,
    Positive,
    Seen,
    Weights,
    average_first_steps,
    compensated_sum,
    schedule_share,
)
from equipoise.errors import choose
from equipoise.part import Aims, Remark, Rows, column, late

TINY = 1e-12  # squared error of an image; keeps the logarithm finite
SETTLED = 0.02  # relative distance from the bound


class ErrorBound(Balance):
    """Dual ascent on the multiplier of the constraint that the squared error is at most a bound.

    The multiplier lambda of min KL subject to E <= tau is 1 / beta in rec + beta KL. Its logarithm moves by the error
    e = log(E / tau) of the batch, limited to -1 to 1, with E the squared error per image. T is the number of steps of
    the schedule and xi the running mean of e. In each step, log lambda grows by ki xi / T with "geco", and by
    ki e / T + kp (xi - xi of the step before) with "nupi". In evaluation the weight is that of the last step.

    Args:
        bound: largest squared error per image, summed over channels and pixels. Unset: it follows from `explained`.
        explained: share of the explained squared error that is kept, for an unset bound. At the start of the schedule
            beta stays at `start`, and the explained error is that of the mean image of the batch less that of the
            reconstruction.
        probe: fraction of the schedule in which the explained error is measured, in a running mean over a tenth of
            it.
        step: "geco" or "nupi", see above.
        ki: integral gain, for a whole schedule.
        kp: proportional gain of "nupi".
        memory: fraction of the schedule over which xi averages.
        start: first beta, in units of the spread of the images.
        reach: largest factor, 1 or more, between beta and 2 tau / (D M) in units of the spread, with M the squared
            error of the mean image. This is the beta at which a linear model has the error tau, if all its D latents
            are active and the error is theirs alone. Far outside, the error hardly depends on beta, and the multiplier
            would run away while the nets still learn.

    Raises:
        InputError: if `step` is neither of the two.

    Source:
        Rezende & Viola, Taming VAEs, 2018, https://arxiv.org/abs/1810.00597; "nupi": Sohrabi et al., On PI Controllers
        for Updating Lagrange Multipliers in Constrained Optimization, ICML 2024, https://arxiv.org/abs/2406.04558

    Example:
        >>> balance = ErrorBound(bound=10.0, step="geco", ki=50.0, start=0.1)
        >>> seen = {name: torch.tensor(20.0) for name in ("kl", "sse", "sse_of_mean", "spread")}
        >>> seen |= {"step": torch.tensor(1), "progress": torch.tensor(0.01)}
        >>> balance(seen)  # 20 * 0.1 * exp(-50 * log(20 / 10) * 0.01)
        {'kl': tensor(1.4142)}
    """

    name: ClassVar[str] = "error-bound"
    terms = ("kl",)
    measures = ("sse", "sse_of_mean")
    is_scheduled = True
    log_beta: Tensor
    rest: Tensor
    limit: Tensor
    ratio: Tensor
    mean_image: Tensor
    error_mean: Tensor
    unit_mean: Tensor

    def __init__(
        self,
        bound: Positive | None = None,
        explained: Positive = 1.0,
        probe: Fraction = 0.25,
        step: Literal["geco", "nupi"] = "nupi",
        ki: NonNegative = 90.0,
        kp: NonNegative = 1.0,
        memory: Fraction = 0.01,
        start: Positive = 1.8e-3,
        reach: Annotated[float, Field(ge=1)] = 20.0,
    ) -> None:
        choose("step", step, ("geco", "nupi"))
        super().__init__()
        self.bound, self.explained, self.probe, self.step = bound, explained, probe, step
        self.ki, self.kp, self.memory = ki, kp, memory
        self.start, self.reach = start, reach
        self.register_buffer("log_beta", torch.tensor(math.log(start)))  # in units of the spread
        self.register_buffer("rest", torch.tensor(0.0))  # rounding error of log_beta
        self.register_buffer("limit", torch.tensor(bound or 0.0))
        self.register_buffer("ratio", torch.tensor(1.0))  # beta beside that of the linear model
        self.register_buffer("mean_image", torch.tensor(0.0))  # its squared error
        self.register_buffer("error_mean", torch.tensor(0.0))
        self.express_in("spread")

    def forward(self, seen: Seen) -> Weights:
        """The weight of the KL; in training the multiplier makes a step first."""
        if self.training:
            average_first_steps(self.mean_image, seen["sse_of_mean"], seen)
            self._move(seen)
        return {"kl": self.in_nats(self.log_beta.exp(), seen)}

    @torch.no_grad()
    def _move(self, seen: Seen) -> None:
        """One step of the dual ascent."""
        share = schedule_share(seen)
        is_held = torch.zeros((), dtype=torch.bool, device=share.device)
        if self.bound is None:
            is_held = seen["progress"] <= self.probe
            unexplained = seen["sse_of_mean"] - self.explained * (seen["sse_of_mean"] - seen["sse"])
            self.limit += is_held * _rate(share, self.probe / 10, seen) * (unexplained - self.limit)
        error = ((seen["sse"] + TINY) / (self.limit.clamp(min=0) + TINY)).log().clamp(-1, 1)
        before = self.error_mean.clone()
        self.error_mean += _rate(share, self.memory, seen) * (error - self.error_mean)
        move = self.ki * share * self.error_mean
        if self.step == "nupi":
            move = self.ki * share * error + self.kp * (self.error_mean - before)
        log_beta, rest = compensated_sum(self.log_beta, self.rest, -move)
        linear = ((2 * self.limit.clamp(min=0) + TINY) / (seen["kl"].numel() * self.mean_image + TINY)).log()
        reach = math.log(self.reach)
        log_beta = torch.minimum(torch.maximum(log_beta, linear - reach), linear + reach)
        self.log_beta.copy_(torch.where(is_held, self.log_beta, log_beta))
        self.rest.copy_(torch.where(is_held, self.rest, rest))
        self.ratio.copy_((self.log_beta - linear).exp())

    def logs(self) -> dict[str, Tensor]:
        """Bound, multiplier, ratio of beta and that of the linear model, running mean of e, and spread, [] each."""
        return {
            "bound": self.limit.clone(),
            "multiplier": (-self.log_beta).exp(),
            "ratio": self.ratio.clone(),
            "error_mean": self.error_mean.clone(),
            "unit_mean": self.unit_mean.clone(),
        }

    def aims(self, rows: Rows) -> Aims:
        """The bound beside the squared error."""
        return {"sse": {"bound": column(rows, "bound")}} if "bound" in rows[-1] else {}

    def remarks(self, rows: Rows) -> list[Remark]:
        """Whether at the end the bound was out of reach, or the squared error off the bound."""
        last: list[Any] = list(late(rows))
        value = sum(float(row["sse"]) for row in last) / len(last)
        bound = float(last[-1]["bound"])
        where = (
            f"over the last fifth of the run the squared error was {value:.4g} per image, and its bound {bound:.4g}."
        )
        if abs(value - bound) <= SETTLED * bound:
            return []
        ratio = float(last[-1]["ratio"])
        if value > bound and ratio <= 1.01 / self.reach:
            advice = "The bound is out of reach for this net and length: take a larger one, or train longer."
            return [Remark(f"The weight of kl stayed at its lower limit: {where} {advice}", "saturated")]
        if value < bound and ratio >= 0.99 * self.reach:
            advice = "The bound does not restrict the model: take a smaller one."
            return [Remark(f"The weight of kl stayed at its upper limit: {where} {advice}", "saturated")]
        return [Remark(f"The squared error was not settled: {where} Train longer.", "not settled")]


def _rate(share: Tensor, memory: float, seen: Seen) -> Tensor:
    """The rate [] of a running mean over a fraction of the schedule that begins as a plain mean."""
    return torch.maximum(share / memory, 1 / seen["step"]).clamp(max=1)
