"""Weights learned beside the network, from the size of the terms alone."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from equipoise.balance.contract import Balance, Positive, Seen, Weights


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
        floor: Positive = 1e-4,
        initial: Positive = 1.0,
    ) -> None:
        super().__init__()
        self.terms = tuple(terms)
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
