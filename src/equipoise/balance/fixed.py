"""Weights that training does not change: constant weights, and weights that follow a schedule."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from equipoise.balance.contract import Balance, Fraction, NonNegative, Seen, Steps, Weights
from equipoise.errors import InputError
from equipoise.part import Aims, Rows, column


class Fixed(Balance):
    """Constant weights.

    Args:
        weights: weight of each term by name, 0 or more. `{"kl": 4.0}` is beta-VAE.

    Example:
        >>> Fixed({"kl": 4.0})({"step": torch.tensor(1)})
        {'kl': tensor(4.)}
    """

    name: ClassVar[str] = "fixed"

    def __init__(self, weights: Mapping[str, NonNegative]) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.terms = tuple(weights)

    def check_new(self) -> None:
        """Raise `InputError` for a weight of 0 of the reconstruction."""
        if self.weights.get("rec") == 0:
            raise InputError("the weight of rec is 0, so the model learns nothing about images; set it above 0")

    def forward(self, seen: Seen) -> Weights:
        """The constant weights."""
        one = torch.ones((), device=seen["step"].device)
        return {name: weight * one for name, weight in self.weights.items()}


class WarmUp(Balance):
    """A weight of the KL that rises linearly from 0 and then stays.

    In evaluation the weight is `beta`.

    Args:
        beta: weight at the end, 0 or more.
        until: fraction of the schedule in which the weight rises, above 0 and at most 1.

    Example:
        >>> WarmUp(4.0, until=0.5)({"progress": torch.tensor(0.25)})
        {'kl': tensor(2.)}
    """

    name: ClassVar[str] = "warm-up"
    terms = ("kl",)
    is_scheduled = True

    def __init__(self, beta: NonNegative, until: Fraction = 0.6) -> None:
        super().__init__()
        self.beta, self.until = beta, until

    def forward(self, seen: Seen) -> Weights:
        """The weight of the KL at `progress`."""
        share = seen["progress"] / self.until if self.training else torch.ones_like(seen["progress"])
        return {"kl": self.beta * share.clamp(max=1)}


class Capacity(Balance):
    """A weight that holds the KL at a capacity C that grows: gamma |K - C|.

    C rises linearly and then stays; in evaluation C is `end`. The absolute value is that of the batch mean, not the
    mean of absolute values per image. The weight of the KL is gamma sign(K - C), 0 where K = C; the penalty completes
    the value of the loss.

    Args:
        gamma: weight of the distance from the capacity, 0 or more.
        start, end: first and last capacity in nats, 0 or more.
        until: fraction of the schedule in which the capacity rises, above 0 and at most 1.
        until_steps: the same in steps, which then has precedence.

    Source:
        Burgess et al., Understanding disentangling in beta-VAE, 2018, Eq. 8, https://arxiv.org/abs/1804.03599

    Example:
        >>> Capacity(gamma=10.0, end=25.0)({"kl": torch.tensor(20.0), "progress": torch.tensor(1.0)})  # below 25 nats
        {'kl': tensor(-10.)}
    """

    name: ClassVar[str] = "capacity"
    terms = ("kl",)

    def __init__(
        self,
        gamma: NonNegative = 1000.0,
        start: NonNegative = 0.0,
        end: NonNegative = 25.0,
        until: Fraction = 0.6,
        until_steps: Steps | None = None,
    ) -> None:
        super().__init__()
        self.gamma, self.start, self.end = gamma, start, end
        self.until, self.until_steps = until, until_steps
        self.is_scheduled = until_steps is None

    def _capacity(self, seen: Seen) -> Tensor:
        if not self.training:
            return torch.full_like(seen["progress"], self.end)
        share = seen["progress"] / self.until if self.until_steps is None else seen["step"] / self.until_steps
        return self.start + (self.end - self.start) * share.clamp(max=1)

    def forward(self, seen: Seen) -> Weights:
        """The weight of the KL: gamma, -gamma or 0."""
        return {"kl": self.gamma * torch.sign(seen["kl"].sum() - self._capacity(seen))}

    def penalty(self, seen: Seen) -> Tensor:
        """-gamma sign(K - C) C, [] in nats."""
        capacity = self._capacity(seen)
        return -self.gamma * torch.sign(seen["kl"].sum() - capacity) * capacity

    def aims(self, rows: Rows) -> Aims:
        """The capacity beside the KL."""
        share = column(rows, "progress") / self.until
        if self.until_steps is not None:
            share = column(rows, "step") / self.until_steps
        return {"kl": {"capacity": self.start + (self.end - self.start) * share.clip(max=1)}}
