"""Weights learned beside the network, from the size of the terms alone."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from equipoise.balance.contract import Balance, Positive, Remark, Seen, Weights

SETTLED = 0.05  # distance of the learned trade-off from its stationary value that is not worth a sentence


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

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
        """Where the weights stand in the last row: the trade-off, its stationary value, what is left of the way."""
        row = rows[-1]
        # The sign of sigma is free; the other parametrisation logs its logarithm.
        key = "sigma." if self.raw else "log_sigma."
        sigma = {name: float(row[key + name]) for name in self.terms}
        sigma = {name: abs(value) if self.raw else math.exp(value) for name, value in sigma.items()}
        said = _at_the_floor(sigma, self.floor)
        if set(self.terms) != {"rec", "kl"}:
            return said
        rec, kl, beta = float(row["rec"]), float(row["kl"]), sigma["rec"] ** 2 / sigma["kl"] ** 2
        if rec <= 0 or kl <= 0:
            return said
        squares = self.regulariser == "squares"
        stationary, formula = (math.sqrt(rec / kl), "√(R/K)") if squares else (rec / kl, "R/K")
        ratio = beta / stationary
        sentence = (
            f"Learned trade-off: β̂ = σ_rec²/σ_kl² = {sigma['rec']:.3f}²/{sigma['kl']:.3f}² = {beta:.3f}, and "
            f"β̂ / {formula} = {ratio:.3f}, with R = {rec:.2f} and K = {kl:.2f} nats an image in the last row of the "
            "log. "
        )
        if abs(ratio - 1) <= SETTLED:
            return [*said, Remark(sentence + "The second is 1 at the stationary point: the trade-off has settled.")]
        sentence += (
            "The second is 1 at the stationary point: σ is still moving, so the trade-off also depends on where the "
            "run was stopped."
        )
        lr = float(row.get("lr") or 0)
        if squares and self.raw and lr > 0:
            # Each sigma tends to the fourth root of its term.
            steps = max(abs(rec**0.25 - sigma["rec"]), abs(kl**0.25 - sigma["kl"])) / lr
            sentence += (
                f" Adam moves σ by about one learning rate a step at most; at {lr:.3g} it needs "
                f"{float(f'{steps:.2g}'):,.0f} more steps or longer for these R and K."
            )
        return [*said, Remark(sentence, "not settled")]


class ClosedFormWeights(Balance):
    """The weights at which `LearnedWeights` would settle, computed instead of learned: sigma_i^4 is the term's running
    mean, so its weight is 1 / sqrt(mean), and beta = sqrt(R / K) from the first step on.

    The learned sigma_i minimise R / sigma_rec^2 + K / sigma_kl^2 + sigma_rec^2 + sigma_kl^2, whose minimum over them is
    2 sqrt(R) + 2 sqrt(K). The running mean of each term starts at `initial`^4 and moves by 1 - `smoothing` a step.
    sigma_i^2 is at least `floor`. The terms must not become negative.
    """

    def __init__(
        self,
        terms: Sequence[str],
        smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.9999,
        floor: Positive = 1e-4,
        initial: Positive = 1.0,
    ) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.smoothing, self.floor = smoothing, floor
        for name in terms:
            self.register_buffer(f"mean_{name}", torch.tensor(float(initial) ** 4))

    def forward(self, seen: Seen) -> Weights:
        if self.training:
            for name in self.terms:
                self._mean(name).lerp_(seen[name].sum(), 1 - self.smoothing)
        return {name: 1 / self._square(name) for name in self.terms}

    def penalty(self, seen: Seen) -> Tensor:  # noqa: ARG002
        return torch.stack([self._square(name) for name in self.terms]).sum()

    def logs(self) -> dict[str, Tensor]:
        return {f"sigma.{name}": self._square(name).sqrt() for name in self.terms}

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
        return _at_the_floor({name: float(rows[-1][f"sigma.{name}"]) for name in self.terms}, self.floor)

    def _square(self, name: str) -> Tensor:
        """sigma^2 of a term."""
        return self._mean(name).sqrt().clamp(min=self.floor)

    def _mean(self, name: str) -> Tensor:
        mean: Tensor = getattr(self, f"mean_{name}")
        return mean


def _at_the_floor(sigma: Mapping[str, float], floor: float) -> list[Remark]:
    return [
        Remark(
            f"The weight of {term} is at its limit 1/σ_{term}² = {1 / value**2:,.0f}, where σ_{term}² is at its floor: "
            "the term went to 0 and took its σ along. From here the weight is a constant.",
            "saturated",
        )
        for term, value in sigma.items()
        if value**2 <= 1.01 * floor
    ]
