"""Weights that nothing in the training moves: constant ones, and those that follow the clock."""

from collections.abc import Mapping

import torch
from torch import Tensor

from equipoise.balance.contract import Balance, NonNegative, Seen, Share, Steps, Weights


class Fixed(Balance):
    """Constant weights: `Fixed({"kl": 4.0})` is beta-VAE."""

    def __init__(self, weights: Mapping[str, NonNegative]) -> None:
        super().__init__()
        self.weights = dict(weights)
        self.terms = tuple(weights)

    def forward(self, seen: Seen) -> Weights:
        one = torch.ones((), device=seen["step"].device)
        return {name: weight * one for name, weight in self.weights.items()}


class WarmUp(Balance):
    """The weight of the KL rises linearly from 0 to `beta` over the first `until` of the schedule; then it stays.

    In evaluation the weight is `beta`.
    """

    terms = ("kl",)
    scheduled = True

    def __init__(self, beta: NonNegative, until: Share = 0.6) -> None:
        super().__init__()
        self.beta, self.until = beta, until

    def forward(self, seen: Seen) -> Weights:
        share = seen["progress"] / self.until if self.training else torch.ones_like(seen["progress"])
        return {"kl": self.beta * share.clamp(max=1)}


class Capacity(Balance):
    """The KL is held at a capacity C that grows: gamma |K - C| (Burgess et al., 2018, arXiv:1804.03599, Eq. 8).

    C rises linearly from `start` to `end` nats over the first `until` of the schedule, counted in steps when
    `until_steps` is given; in evaluation C is `end`. The absolute value is that of the batch mean, not the mean of
    absolute values per image. The weight of the KL is gamma sign(K - C), 0 where K = C, and the penalty completes the
    value of the loss.
    """

    terms = ("kl",)

    def __init__(
        self,
        gamma: NonNegative = 1000.0,
        start: NonNegative = 0.0,
        end: NonNegative = 25.0,
        until: Share = 0.6,
        until_steps: Steps | None = None,
    ) -> None:
        super().__init__()
        self.gamma, self.start, self.end = gamma, start, end
        self.until, self.until_steps = until, until_steps
        self.scheduled = until_steps is None

    def _capacity(self, seen: Seen) -> Tensor:
        if not self.training:
            return torch.full_like(seen["progress"], self.end)
        share = seen["progress"] / self.until if self.until_steps is None else seen["step"] / self.until_steps
        return self.start + (self.end - self.start) * share.clamp(max=1)

    def forward(self, seen: Seen) -> Weights:
        return {"kl": self.gamma * torch.sign(seen["kl"].sum() - self._capacity(seen))}

    def penalty(self, seen: Seen) -> Tensor:
        capacity = self._capacity(seen)
        return -self.gamma * torch.sign(seen["kl"].sum() - capacity) * capacity
