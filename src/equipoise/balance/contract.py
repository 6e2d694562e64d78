"""What a balance is, and several as one."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from equipoise.errors import InputError

Seen = Mapping[str, Tensor]
Weights = dict[str, Tensor]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Steps = Annotated[int, Field(ge=1)]

Flag = Literal["collapsed", "not settled", "saturated", "at chance"]
"""What makes a run unfit to be compared as it stands: no latent is active, weights still move, a weight or a
discriminator is at its limit, a discriminator tells nothing."""


class Remark(NamedTuple):
    """A sentence that a reader of a run has to know, and, where it makes the run unfit to be compared, in which way."""

    sentence: str
    flag: Flag | None = None


class Balance(nn.Module):
    """The contract: `forward(seen)` gives weights, [] or [D] by term, with gradients to this balance's own parameters
    only; `penalty` is what the balance itself adds to the loss, here nothing."""

    terms: tuple[str, ...]  # those it weighs
    measures: tuple[str, ...] = ()  # those whose means it asks for
    scheduled = False  # whether the weights depend on `progress`

    def penalty(self, seen: Seen) -> Tensor:
        """What the balance adds to the loss, [] in nats per image."""
        return seen["step"].new_zeros((), dtype=torch.float32)

    def logs(self) -> dict[str, Tensor]:
        """What it learned and remembers, [] or [D] by name, for a row of the log."""
        own = (*self.named_parameters(), *self.named_buffers())
        return {name: value.detach() for name, value in own if value.ndim <= 1}

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:  # noqa: ARG002
        """What a reader of the run has to know, from the rows of its log, at least one row: weights that are at a
        limit, or have not settled."""
        return []


class Joint(Balance):
    """Several balances, each over terms of its own. Raises `InputError` where two weigh the same term."""

    def __init__(self, *balances: Balance) -> None:
        super().__init__()
        self.balances = nn.ModuleList(balances)
        self.terms = tuple(name for balance in balances for name in balance.terms)
        self.measures = tuple(name for balance in balances for name in balance.measures)
        twice = sorted({name for name in self.terms if self.terms.count(name) > 1})
        if twice:
            raise InputError(f"two balances weigh {', '.join(twice)}; give each term to one of them")
        self.scheduled = any(balance.scheduled for balance in balances)

    def forward(self, seen: Seen) -> Weights:
        return {name: weight for balance in self._all() for name, weight in balance(seen).items()}

    def penalty(self, seen: Seen) -> Tensor:
        return torch.stack([balance.penalty(seen) for balance in self._all()]).sum()

    def logs(self) -> dict[str, Tensor]:
        return {name: value for balance in self._all() for name, value in balance.logs().items()}

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
        return [remark for balance in self._all() for remark in balance.remarks(rows)]

    def _all(self) -> list[Balance]:
        return list(self.balances)  # type: ignore[arg-type]
