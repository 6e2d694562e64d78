"""The contract of balances, and several balances as one."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from equipoise.errors import InputError
from equipoise.part import Aims, Part, Remark, Rows, merged_aims, spec_of

Seen = Mapping[str, Tensor]
Weights = dict[str, Tensor]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Steps = Annotated[int, Field(ge=1)]
UNIT_STEPS = 100  # over which the unit of weights is averaged


class Balance(Part):
    """A rule for the weights of the terms.

    `forward(seen)` returns weights by term, [] or [D], with gradients to the balance's own parameters only; a term
    without a weight has weight 1. `seen` has the batch mean of every term, detached ([] or [D], nats per image), `step`
    (1 for the first), `progress` (the fraction of the schedule that is over, 0 to 1) and, with an adversary, its
    `accuracy` in the step before. Buffers change once per training step and never in evaluation. No Python number is
    read from a tensor in a step.
    """

    terms: tuple[str, ...]  # terms that it weights
    measures: tuple[str, ...] = ()  # terms whose means it needs
    is_scheduled: bool = False  # whether the weights depend on `progress`
    needs_nonnegative: ClassVar[bool] = False  # whether its terms must not become negative
    needs_adversary: ClassVar[bool] = False  # whether it needs `accuracy`
    needs_latent_kl: ClassVar[bool] = False  # whether it weights the KL of each latent by itself
    apart: float = 0.0  # fraction of the schedule for which each half of the latents learns from a target of its own
    travel: float | None = None  # how far Adam moves its parameters in a schedule; None: by the learning rate
    unit: str | None = None  # term in whose mean over the first steps the weights are expressed; None: nats

    def penalty(self, seen: Seen) -> Tensor:
        """The balance's own contribution to the loss, [] in nats per image."""
        return seen["step"].new_zeros((), dtype=torch.float32)

    def mask(self, z: Tensor) -> Tensor:
        """The input [B, D] of a discriminator of codes, from codes z [B, D]."""
        return z

    def logs(self) -> dict[str, Tensor]:
        """Its parameters and buffers, [] or [D] by name, for a row of the log."""
        own = (*self.named_parameters(), *self.named_buffers())
        return {name: value.detach() for name, value in own if value.ndim <= 1}

    def express_in(self, unit: str | None) -> None:
        """Set the unit of the weights in a constructor, and add its mean [] as the buffer `unit_mean`; None: nats."""
        self.unit = unit
        if unit is not None:
            self.measures = (*self.measures, unit)
            self.register_buffer("unit_mean", torch.zeros(()))

    def in_nats(self, weight: Tensor, seen: Seen) -> Tensor:
        """A weight in nats, from one that is expressed in the mean of the term `unit`."""
        if self.unit is None:
            return weight
        mean = self.get_buffer("unit_mean")
        if self.training:
            average_first_steps(mean, seen[self.unit], seen)
        return weight * mean


class Joint(Balance):
    """Several balances, each over terms of its own.

    Args:
        balances: the balances.

    Raises:
        InputError: if two weight the same term, or log values under the same name.

    Example:
        >>> from equipoise.balance import Fixed, WarmUp
        >>> Joint(WarmUp(4.0), Fixed({"tc": 5.0})).terms
        ('kl', 'tc')
    """

    name: ClassVar[str] = "joint"

    def __init__(self, *balances: Balance) -> None:
        super().__init__()
        self.balances = torch.nn.ModuleList(balances)
        self.terms = tuple(name for balance in balances for name in balance.terms)
        self.measures = tuple(name for balance in balances for name in balance.measures)
        for verb, names in (("weight", self.terms), ("log", [key for one in balances for key in one.logs()])):
            twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
            if twice == "unit_mean":
                raise InputError("two balances cannot both have a unit or a reference; leave it out of one")
            if twice:
                raise InputError(f"two balances {verb} {twice}; take one of them, or give each terms of its own")
        self.is_scheduled = any(balance.is_scheduled for balance in balances)
        self.apart = max((balance.apart for balance in balances), default=0.0)

    def settings(self) -> dict[str, Any]:
        """Name and settings of each balance."""
        return {"balances": [spec_of(balance) for balance in self._all()]}

    def describe(self) -> str:
        """The sentences of the balances."""
        return " ".join(balance.describe() for balance in self._all())

    def forward(self, seen: Seen) -> Weights:
        """The weights of all balances."""
        return {name: weight for balance in self._all() for name, weight in balance(seen).items()}

    def penalty(self, seen: Seen) -> Tensor:
        """The sum [] of the penalties."""
        return torch.stack([balance.penalty(seen) for balance in self._all()]).sum()

    def mask(self, z: Tensor) -> Tensor:
        """The masks of all balances, one after the other, on codes z [B, D]."""
        for balance in self._all():
            z = balance.mask(z)
        return z

    def logs(self) -> dict[str, Tensor]:
        """The logged values of all balances."""
        return {name: value for balance in self._all() for name, value in balance.logs().items()}

    def aims(self, rows: Rows) -> Aims:
        """The target values of all balances."""
        return merged_aims(self._all(), rows)

    def remarks(self, rows: Rows) -> list[Remark]:
        """The remarks of all balances."""
        return [remark for balance in self._all() for remark in balance.remarks(rows)]

    def _all(self) -> list[Balance]:
        return list(self.balances)  # type: ignore[arg-type]


@torch.no_grad()
def average_first_steps(mean: Tensor, value: Tensor, seen: Seen) -> None:
    """Move `mean` [] to the mean of `value` over the first steps, in place; later steps leave it as it is."""
    mean += (1 / seen["step"]) * (seen["step"] <= UNIT_STEPS) * (value.sum() - mean)


def schedule_share(seen: Seen) -> Tensor:
    """The fraction [] of the schedule that one step is."""
    return seen["progress"] / seen["step"]


def compensated_sum(total: Tensor, rest: Tensor, update: Tensor) -> tuple[Tensor, Tensor]:
    """total + update, and its rounding error, which is added to the next update (Kahan summation, 1965).

    float32 numbers near 100 are 8e-6 apart, and an error of 0.01 nats moves a weight by 1e-5 a step. Double precision
    would also do, but not every device has it, and casting the module would lose it.
    """
    update = update + rest
    new = total + update
    return new, update - (new - total)
