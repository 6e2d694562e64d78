"""Weights learned beside the network, from the size of the terms alone."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from equipoise.balance.contract import Balance, Decay, Positive, Seen, Weights
from equipoise.part import Aims, Remark, Rows, column

CONVERGED = 0.05  # largest relative distance of the learned trade-off from its stationary value


class LearnedWeights(Balance):
    """Weights 1 / sigma_i^2 with one learned sigma per term.

    At the stationary point of `regulariser="squares"`, sigma_i^4 is the term's mean and
    beta = sigma_rec^2 / sigma_kl^2 = sqrt(R / K). A term that goes to 0 takes its sigma to 0 and its weight to
    infinity, so each step first lifts a sigma_i^2 that fell below `floor`; its gradient stays, so it can rise again.

    Args:
        terms: terms that are weighed; they must not become negative.
        regulariser: "squares" adds the sum of sigma_i^2 (L-VAE, Eq. 5). "log" adds the sum of log sigma_i (L-VAE,
            Eq. 4): there sigma_i^2 is twice the term and beta = R / K, but the loss has no lower bound as the KL goes
            to 0.
        parametrisation: "raw" optimises sigma itself, as the paper does (its sign is free, and Adam moves it by at most
            one learning rate a step); "log" optimises log sigma.
        floor: lowest sigma_i^2, above 0.
        initial: sigma_i at the start, above 0.

    Source:
        Mogultay Ozcan, Kalkan & Yarman-Vural, L-VAE: Variational Auto-Encoder with Learnable Beta for Disentangled
        Representation, https://arxiv.org/abs/2507.02619, after Kendall, Gal & Cipolla, CVPR 2018

    Example:
        >>> balance = LearnedWeights(["rec", "kl"], initial=2.0)
        >>> float(balance({"step": torch.tensor(1)})["kl"].detach())
        0.25
    """

    name: ClassVar[str] = "learned"
    needs_nonnegative = True

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
        self.regulariser, self.parametrisation = regulariser, parametrisation
        self.floor, self.initial = floor, initial
        start = initial if self._is_raw else math.log(initial)
        parameters = nn.ParameterDict({name: nn.Parameter(torch.tensor(float(start))) for name in terms})
        if self._is_raw:
            self.sigma = parameters
        else:
            self.log_sigma = parameters

    @property
    def _is_raw(self) -> bool:
        return self.parametrisation == "raw"

    def _sigmas(self) -> dict[str, Tensor]:
        if self._is_raw:
            return dict(self.sigma.items())
        return {name: log_sigma.exp() for name, log_sigma in self.log_sigma.items()}

    @torch.no_grad()
    def _lift(self) -> None:
        lowest = math.sqrt(self.floor)
        if self._is_raw:
            for sigma in self.sigma.values():
                sigma.copy_(torch.where(sigma < 0, sigma.clamp(max=-lowest), sigma.clamp(min=lowest)))
        else:
            for log_sigma in self.log_sigma.values():
                log_sigma.clamp_(min=math.log(lowest))

    def forward(self, seen: Seen) -> Weights:  # noqa: ARG002 - the weights do not depend on the terms
        """The weights 1 / sigma_i^2, with gradients to the sigmas."""
        if self.training:
            self._lift()
        return {name: sigma.square().reciprocal() for name, sigma in self._sigmas().items()}

    def penalty(self, seen: Seen) -> Tensor:  # noqa: ARG002
        """The regulariser, []."""
        sigmas = torch.stack(list(self._sigmas().values()))
        return sigmas.square().sum() if self.regulariser == "squares" else sigmas.abs().log().sum()

    def aims(self, rows: Rows) -> Aims:
        """The stationary trade-off beside the beta-equivalent."""
        return _stationary(self.terms, rows, self.regulariser)

    def remarks(self, rows: Rows) -> list[Remark]:
        """The trade-off in the last row, its stationary value, and whether it has converged."""
        row = rows[-1]
        # The sign of sigma is free; the other parametrisation logs its logarithm.
        key = "sigma." if self._is_raw else "log_sigma."
        sigma = {name: float(row[key + name]) for name in self.terms}
        sigma = {name: abs(value) if self._is_raw else math.exp(value) for name, value in sigma.items()}
        remarks = _at_the_floor(sigma, self.floor)
        if set(self.terms) != {"rec", "kl"}:
            return remarks
        rec, kl, beta = float(row["rec"]), float(row["kl"]), sigma["rec"] ** 2 / sigma["kl"] ** 2
        if rec <= 0 or kl <= 0:
            return remarks
        squares = self.regulariser == "squares"
        stationary, formula = (math.sqrt(rec / kl), "√(R/K)") if squares else (rec / kl, "R/K")
        ratio = beta / stationary
        sentence = (
            f"Learned trade-off: β̂ = σ_rec²/σ_kl² = {sigma['rec']:.3f}²/{sigma['kl']:.3f}² = {beta:.3f}, and "
            f"β̂ / {formula} = {ratio:.3f}, with R = {rec:.2f} and K = {kl:.2f} nats per image in the last row of the "
            "log. "
        )
        if abs(ratio - 1) <= CONVERGED:
            return [*remarks, Remark(sentence + "The ratio is 1 at the stationary point: the trade-off has converged.")]
        sentence += (
            "The ratio is 1 at the stationary point: the learned weights have not converged, so the trade-off depends "
            "on when the run was stopped."
        )
        lr = float(row.get("lr") or 0)
        if squares and self._is_raw and lr > 0:
            # Each sigma tends to the fourth root of its term.
            steps = max(abs(rec**0.25 - sigma["rec"]), abs(kl**0.25 - sigma["kl"])) / lr
            sentence += (
                f" Adam moves σ by at most about one learning rate a step; at {lr:.3g} this takes "
                f"{float(f'{steps:.2g}'):,.0f} more steps or longer for these R and K."
            )
        return [*remarks, Remark(sentence, "not settled")]


class ClosedFormWeights(Balance):
    """Weights 1 / sqrt(running mean of the term), to which learned weights would converge.

    sigma_i^4 is the running mean of term i, so beta = sqrt(R / K) from the first step on. This minimises
    R / sigma_rec^2 + K / sigma_kl^2 + sigma_rec^2 + sigma_kl^2 over the sigmas; the minimum is 2 sqrt(R) + 2 sqrt(K).

    Args:
        terms: terms that are weighed; they must not become negative.
        smoothing: decay of the running means in each step, from 0 to below 1.
        floor: lowest sigma_i^2, above 0.
        initial: sigma_i at the start, above 0.

    Example:
        >>> balance = ClosedFormWeights(["rec", "kl"], smoothing=0.0)
        >>> balance({"rec": torch.tensor(16.0), "kl": torch.tensor(4.0)})
        {'rec': tensor(0.2500), 'kl': tensor(0.5000)}
    """

    name: ClassVar[str] = "closed-form"
    needs_nonnegative = True

    def __init__(
        self, terms: Sequence[str], smoothing: Decay = 0.9999, floor: Positive = 1e-4, initial: Positive = 1.0
    ) -> None:
        super().__init__()
        self.terms = tuple(terms)
        self.smoothing, self.floor, self.initial = smoothing, floor, initial
        for name in terms:
            self.register_buffer(f"mean_{name}", torch.tensor(float(initial) ** 4))

    def forward(self, seen: Seen) -> Weights:
        """The weights; in training the running means move first."""
        if self.training:
            for name in self.terms:
                self._mean(name).lerp_(seen[name].sum(), 1 - self.smoothing)
        return {name: 1 / self._square(name) for name in self.terms}

    def penalty(self, seen: Seen) -> Tensor:  # noqa: ARG002
        """The sum [] of sigma_i^2."""
        return torch.stack([self._square(name) for name in self.terms]).sum()

    def logs(self) -> dict[str, Tensor]:
        """sigma_i, [] each."""
        return {f"sigma.{name}": self._square(name).sqrt() for name in self.terms}

    def aims(self, rows: Rows) -> Aims:
        """The stationary trade-off beside the beta-equivalent."""
        return _stationary(self.terms, rows, "squares")

    def remarks(self, rows: Rows) -> list[Remark]:
        """The terms whose sigma is at its floor."""
        return _at_the_floor({name: float(rows[-1][f"sigma.{name}"]) for name in self.terms}, self.floor)

    def _square(self, name: str) -> Tensor:
        """sigma^2 [] of a term."""
        return self._mean(name).sqrt().clamp(min=self.floor)

    def _mean(self, name: str) -> Tensor:
        mean: Tensor = getattr(self, f"mean_{name}")
        return mean


def _stationary(terms: Sequence[str], rows: Rows, regulariser: str) -> Aims:
    """The beta-equivalent at which learned weights of rec and kl are stationary."""
    unit = rows[-1].get("unit")
    if unit is None or not {"rec", "kl"} <= set(terms):
        return {}
    rec, kl = column(rows, "rec"), column(rows, "kl")
    ratio, formula = rec / np.where(kl > 0, kl, np.nan), "R / K"
    if regulariser == "squares":
        ratio, formula = np.sqrt(ratio), "√(R / K)"
    return {"beta_equivalent": {formula if unit == 1 else f"{formula} / {unit:g}": ratio / unit}}


def _at_the_floor(sigma: Mapping[str, float], floor: float) -> list[Remark]:
    return [
        Remark(
            f"The weight of {term} is at its limit 1/σ_{term}² = {1 / value**2:,.0f}, because σ_{term}² is at its "
            "floor: the term went to 0. From here on the weight is constant.",
            "saturated",
        )
        for term, value in sigma.items()
        if value**2 <= 1.01 * floor
    ]
