"""Balances: who sets the weights of the terms.

A balance maps what was seen in a step to weights, `seen -> {term: weight}`, [] or [D]; a term it does not name has
weight 1. `seen` holds the batch mean of every term, detached ([] or [D], nats per image), `step` (1 for the first) and
`progress` (the share of the schedule that is over, 0 to 1). What a balance learns is a parameter, what it remembers a
buffer, which moves once per training step and never in evaluation; no Python number is read from a tensor in a step.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Seen = Mapping[str, Tensor]
Weights = dict[str, Tensor]


class Balance(nn.Module):
    """The contract: `forward(seen)` gives weights, [] or [D] by term, with gradients to this balance's own parameters
    only; `penalty` is what the balance itself adds to the loss, here nothing."""

    scheduled = False  # whether the weights depend on `progress`

    def penalty(self, seen: Seen) -> Tensor:
        """What the balance adds to the loss, [] in nats per image."""
        return seen["step"].new_zeros((), dtype=torch.float32)


class Fixed(Balance):
    """Constant weights: `Fixed({"kl": 4.0})` is beta-VAE."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.weights = dict(weights)

    def forward(self, seen: Seen) -> Weights:
        one = torch.ones((), device=seen["step"].device)
        return {name: weight * one for name, weight in self.weights.items()}


class WarmUp(Balance):
    """The weight of the KL rises linearly from 0 to `beta` over the first `until` of the schedule; then it stays.

    In evaluation the weight is `beta`.
    """

    scheduled = True

    def __init__(self, beta: float, until: float) -> None:
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

    def __init__(self, gamma: float, start: float, end: float, until: float, until_steps: int | None = None) -> None:
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


class LearnedWeights(Balance):
    """Weights 1/sigma_i^2 learned beside the network, one sigma per term (L-VAE, Eq. 5; Kendall et al., 2018).

    `regulariser="squares"` adds the sum of sigma_i^2: at the stationary point sigma_i^4 is the term's mean, and
    beta = sigma_rec^2 / sigma_kl^2 = sqrt(R / K). `regulariser="log"` adds the sum of log sigma_i (L-VAE, Eq. 4 as
    printed): there sigma_i^2 is twice the term and beta = R / K; as the KL goes to 0 that loss has no lower bound.
    Either way a term that goes to 0 takes its sigma along and its weight to infinity, so sigma_i^2 is held at `floor`
    or above: each step starts by lifting a sigma that fell below, and its gradient stays, so it can rise again.

    `parametrisation="raw"` optimises sigma itself, as the paper does (its sign is free, and it moves by at most one
    learning rate a step under Adam); `"log"` optimises log sigma. The terms must not become negative.
    """

    def __init__(
        self,
        terms: Sequence[str],
        regulariser: Literal["squares", "log"] = "squares",
        parametrisation: Literal["raw", "log"] = "raw",
        floor: float = 1e-4,
        initial: float = 1.0,
    ) -> None:
        super().__init__()
        self.regulariser, self.raw, self.floor = regulariser, parametrisation == "raw", floor
        start = initial if self.raw else math.log(initial)
        parameters = nn.ParameterDict({name: nn.Parameter(torch.tensor(float(start))) for name in terms})
        if self.raw:
            self.sigma = parameters
        else:
            self.log_sigma = parameters

    def _sigmas(self) -> dict[str, Tensor]:
        if self.raw:
            return dict(self.sigma.items())
        return {name: log_sigma.exp() for name, log_sigma in self.log_sigma.items()}

    @torch.no_grad()
    def _lift(self) -> None:
        lowest = math.sqrt(self.floor)
        if self.raw:
            for sigma in self.sigma.values():
                sigma.copy_(torch.where(sigma < 0, sigma.clamp(max=-lowest), sigma.clamp(min=lowest)))
        else:
            for log_sigma in self.log_sigma.values():
                log_sigma.clamp_(min=math.log(lowest))

    def forward(self, seen: Seen) -> Weights:  # noqa: ARG002 - the weights are learned, not computed from what was seen
        if self.training:
            self._lift()
        return {name: sigma.square().reciprocal() for name, sigma in self._sigmas().items()}

    def penalty(self, seen: Seen) -> Tensor:  # noqa: ARG002
        sigmas = torch.stack(list(self._sigmas().values()))
        return sigmas.square().sum() if self.regulariser == "squares" else sigmas.abs().log().sum()
