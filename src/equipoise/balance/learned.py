"""Weights learned beside the network, from the size of the terms alone."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equipoise.balance.contract import (
    Balance,
    Fraction,
    NonNegative,
    Positive,
    Seen,
    Share,
    Weights,
    average_first_steps,
    schedule_share,
)
from equipoise.errors import InputError
from equipoise.part import Aims, Remark, Rows, column

CONVERGED = 0.05  # largest relative distance of the learned trade-off from its stationary value
Values = NDArray[np.float64]
MONITORS = ("spread", "rec_min")  # the monitors with which a reconstruction is compared


class LearnedWeights(Balance):
    """Weights 1 / sigma_i^2 with one learned sigma per term.

    At the stationary point of `regulariser="squares"`, sigma_i^4 is the term's mean and
    beta = sigma_rec^2 / sigma_kl^2 = sqrt(R / K). A term that goes to 0 takes its sigma to 0 and its weight to
    infinity, so each step first lifts a sigma_i^2 that fell below `floor`; its gradient stays, so it can rise again.

    Args:
        terms: terms that are weighted; they must not become negative.
        regulariser: "squares" adds the sum of sigma_i^2 (L-VAE, Eq. 5). "log" adds the sum of log sigma_i (L-VAE,
            Eq. 4): there sigma_i^2 is twice the term and beta = R / K, but the loss has no lower bound as the KL goes
            to 0.
        parametrisation: "raw" optimises sigma itself, as the paper does (its sign is free, and Adam moves it by at most
            one learning rate a step); "log" optimises log sigma.
        floor: lowest sigma_i^2, above 0.
        initial: sigma_i at the start, above 0; with `reference`, relative to its stationary value for a model that
            explains nothing, whose reconstruction is `reference` and whose KL is `least` or 1.
        reference: nats. `rec` less that of a perfect reconstruction is multiplied by reference / S, with the spread S
            of the images, so that beta / S does not depend on the scale of `rec`. Unset: `rec` as it is.
        least: nats of `kl` below which its weight stays, so that beta = sqrt(R / max(K, least)); 0 or more.
        travel: largest change of a sigma (or log sigma) by Adam in a schedule, whatever the learning rate of the
            training. Unset: the learning rate of the training applies.

    Raises:
        InputError: without terms, and for a `reference` without the term `rec`.

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
    unit_mean: Tensor

    def __init__(
        self,
        terms: Sequence[str],
        regulariser: Literal["squares", "log"] = "squares",
        parametrisation: Literal["raw", "log"] = "raw",
        floor: Positive = 1e-4,
        initial: Positive = 1.0,
        reference: Positive | None = None,
        least: NonNegative = 0.0,
        travel: Positive | None = None,
    ) -> None:
        super().__init__()
        self.terms = _check_terms(self.name, terms, reference)
        self.regulariser, self.parametrisation = regulariser, parametrisation
        self.floor, self.initial = floor, initial
        self.reference, self.least, self.travel = reference, least, travel
        self.is_scheduled = travel is not None
        start = dict.fromkeys(terms, initial)
        if reference is not None:
            self.measures = MONITORS
            self.register_buffer("unit_mean", torch.zeros(()))
            start |= {"rec": initial * self._stationary(reference), "kl": initial * self._stationary(least or 1.0)}
        values = {name: start[name] if self._is_raw else math.log(start[name]) for name in terms}
        parameters = nn.ParameterDict({name: nn.Parameter(torch.tensor(float(s))) for name, s in values.items()})
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

    def _stationary(self, term: float) -> float:
        """The sigma at which the loss is stationary for a term of this many nats."""
        return term**0.25 if self.regulariser == "squares" else math.sqrt(2 * term)

    def _lowest(self, name: str) -> float:
        """The lowest sigma of a term."""
        lowest = math.sqrt(self.floor)
        return max(lowest, self._stationary(self.least)) if name == "kl" else lowest

    @torch.no_grad()
    def _lift(self) -> None:
        if self._is_raw:
            for name, sigma in self.sigma.items():
                lowest = self._lowest(name)
                sigma.copy_(torch.where(sigma < 0, sigma.clamp(max=-lowest), sigma.clamp(min=lowest)))
        else:
            for name, log_sigma in self.log_sigma.items():
                log_sigma.clamp_(min=math.log(self._lowest(name)))

    def forward(self, seen: Seen) -> Weights:
        """The weights 1 / sigma_i^2, that of `rec` in units of the spread, with gradients to the sigmas."""
        if self.training:
            self._lift()
        weights = {name: sigma.square().reciprocal() for name, sigma in self._sigmas().items()}
        if self.reference is not None:
            if self.training:
                average_first_steps(self.unit_mean, seen["spread"], seen)
            weights["rec"] = weights["rec"] * _scale(self.unit_mean, self.reference)
        return weights

    def penalty(self, seen: Seen) -> Tensor:
        """The regulariser, less the weighted `rec` of a perfect reconstruction where `reference` is set, []."""
        sigmas = self._sigmas()
        values = torch.stack(list(sigmas.values()))
        regulariser = values.square().sum() if self.regulariser == "squares" else values.abs().log().sum()
        if self.reference is None:
            return regulariser
        perfect = seen["rec_min"].sum() * _scale(self.unit_mean, self.reference)
        return regulariser - perfect / sigmas["rec"].square()

    def aims(self, rows: Rows) -> Aims:
        """The stationary trade-off beside the beta-equivalent."""
        return _stationary(self.terms, rows, self.regulariser, self.reference, self.least)

    def remarks(self, rows: Rows) -> list[Remark]:
        """The trade-off in the last row, its stationary value, and whether it has converged."""
        row = rows[-1]
        # The sign of sigma is free; the other parametrisation logs its logarithm.
        key = "sigma." if self._is_raw else "log_sigma."
        sigma = {name: float(row[key + name]) for name in self.terms}
        sigma = {name: abs(value) if self._is_raw else math.exp(value) for name, value in sigma.items()}
        remarks = _at_the_floor(sigma, {name: self._lowest(name) ** 2 for name in self.terms}, self.least)
        if set(self.terms) != {"rec", "kl"}:
            return remarks
        rec, kl = (float(values[-1]) for values in _relative(rows, self.reference, self.least)[:2])
        beta = sigma["rec"] ** 2 / sigma["kl"] ** 2
        if rec <= 0 or kl <= 0:
            return remarks
        squares = self.regulariser == "squares"
        stationary, formula = (math.sqrt(rec / kl), "√(R/K)") if squares else (rec / kl, "R/K")
        ratio = beta / stationary
        sentence = (
            f"Learned trade-off: β̂ = σ_rec²/σ_kl² = {sigma['rec']:.3f}²/{sigma['kl']:.3f}² = {beta:.3f}, and "
            f"β̂ / {formula} = {ratio:.3f}, with R = {rec:.2f} and K = {kl:.2f} nats per image in the last row of the "
            "log"
        )
        sentence += "" if self.reference is None else f", R in units in which the spread is {self.reference:g} nats"
        sentence += f" and K at least {self.least:g}. " if self.least else ". "
        if abs(ratio - 1) <= CONVERGED:
            return [*remarks, Remark(sentence + "The ratio is 1 at the stationary point: the trade-off has converged.")]
        sentence += (
            "The ratio is 1 at the stationary point: the learned weights have not converged, so the trade-off depends "
            "on when the run was stopped."
        )
        lr = 0.0 if self.travel else float(row.get("lr") or 0)
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
        terms: terms that are weighted; they must not become negative.
        smoothing: decay of the running means in each step, from 0 to below 1.
        floor, initial, reference, least: as in `LearnedWeights`.
        memory: fraction of the schedule over which the running means average, above 0 and at most 1; it replaces
            `smoothing`.

    Raises:
        InputError: as `LearnedWeights`.

    Example:
        >>> balance = ClosedFormWeights(["rec", "kl"], smoothing=0.0)
        >>> balance({"rec": torch.tensor(16.0), "kl": torch.tensor(4.0)})
        {'rec': tensor(0.2500), 'kl': tensor(0.5000)}
    """

    name: ClassVar[str] = "closed-form"
    needs_nonnegative = True
    unit_mean: Tensor

    def __init__(
        self,
        terms: Sequence[str],
        smoothing: Share = 0.9999,
        floor: Positive = 1e-4,
        initial: Positive = 1.0,
        reference: Positive | None = None,
        least: NonNegative = 0.0,
        memory: Fraction | None = None,
    ) -> None:
        super().__init__()
        self.terms = _check_terms(self.name, terms, reference)
        self.smoothing, self.floor, self.initial = smoothing, floor, initial
        self.reference, self.least, self.memory = reference, least, memory
        self.is_scheduled = memory is not None
        start = dict.fromkeys(terms, 1.0)
        if reference is not None:
            self.measures = MONITORS
            self.register_buffer("unit_mean", torch.zeros(()))
            start |= {"rec": reference, "kl": least or 1.0}
        for name in terms:
            self.register_buffer(f"mean_{name}", torch.tensor(float(initial) ** 4 * start[name]))

    def forward(self, seen: Seen) -> Weights:
        """The weights; in training the running means move first."""
        if self.training:
            self._move(seen)
        weights = {name: 1 / self._square(name) for name in self.terms}
        if self.reference is not None:
            weights["rec"] = weights["rec"] * _scale(self.unit_mean, self.reference)
        return weights

    @torch.no_grad()
    def _move(self, seen: Seen) -> None:
        values = {name: seen[name].sum() for name in self.terms}
        if self.reference is not None:
            average_first_steps(self.unit_mean, seen["spread"], seen)
            excess = (values["rec"] - seen["rec_min"].sum()).clamp(min=0)
            values["rec"] = excess * _scale(self.unit_mean, self.reference)
        decay: float | Tensor = self.smoothing
        if self.memory is not None:
            decay = (-schedule_share(seen) / self.memory).exp()
        for name, value in values.items():
            self._mean(name).lerp_(value, 1 - decay)

    def penalty(self, seen: Seen) -> Tensor:  # noqa: ARG002
        """The sum [] of sigma_i^2."""
        return torch.stack([self._square(name) for name in self.terms]).sum()

    def logs(self) -> dict[str, Tensor]:
        """sigma_i, [] each."""
        return {f"sigma.{name}": self._square(name).sqrt() for name in self.terms}

    def aims(self, rows: Rows) -> Aims:
        """The stationary trade-off beside the beta-equivalent."""
        return _stationary(self.terms, rows, "squares", self.reference, self.least)

    def remarks(self, rows: Rows) -> list[Remark]:
        """The terms whose sigma is at its floor."""
        sigma = {name: float(rows[-1][f"sigma.{name}"]) for name in self.terms}
        return _at_the_floor(sigma, {name: self._lowest(name) for name in self.terms}, self.least)

    def _square(self, name: str) -> Tensor:
        """sigma^2 [] of a term."""
        return self._mean(name).sqrt().clamp(min=self._lowest(name))

    def _lowest(self, name: str) -> float:
        """The lowest sigma^2 of a term."""
        return max(self.floor, math.sqrt(self.least)) if name == "kl" else self.floor

    def _mean(self, name: str) -> Tensor:
        mean: Tensor = getattr(self, f"mean_{name}")
        return mean


def _check_terms(balance: str, terms: Sequence[str], reference: float | None) -> tuple[str, ...]:
    """The terms of a balance. Raises `InputError` if there are none, or no `rec` that a reference could scale."""
    if not terms:
        raise InputError(f"terms of {balance} is empty; name the terms that are weighted, such as rec and kl")
    if reference is not None and "rec" not in terms:
        raise InputError(
            f"reference of {balance} scales rec, which is not among its terms, {', '.join(terms)}; add rec, or leave "
            "reference out"
        )
    return tuple(terms)


def _scale(spread: Tensor, reference: float) -> Tensor:
    """The factor [] that turns nats of `rec` into units in which the spread is `reference`."""
    return torch.where(spread > 0, reference / spread.clamp(min=1e-6), torch.ones_like(spread))


def _relative(rows: Rows, reference: float | None, least: float) -> tuple[Values, Values, Values]:
    """R and K [rows] as the weights use them, and the factor [rows] from units of R to nats of `rec`."""
    rec, kl, factor = column(rows, "rec"), np.maximum(column(rows, "kl"), least), np.ones(len(rows))
    if reference is not None:
        spread = column(rows, "unit_mean")
        factor = np.where(spread > 0, spread, 1.0) / reference
        rec = np.maximum(rec - column(rows, "rec_min"), 0) / factor
    return rec, kl, factor


def _stationary(terms: Sequence[str], rows: Rows, regulariser: str, reference: float | None, least: float) -> Aims:
    """The beta-equivalent at which learned weights of rec and kl are stationary."""
    unit = rows[-1].get("unit")
    if unit is None or not {"rec", "kl"} <= set(terms):
        return {}
    rec, kl, factor = _relative(rows, reference, least)
    ratio, formula = rec / np.where(kl > 0, kl, np.nan), "R / K"
    if regulariser == "squares":
        ratio, formula = np.sqrt(ratio), "√(R / K)"
    if reference is not None:
        return {"beta_equivalent": {"stationary value": ratio * factor / unit}}
    return {"beta_equivalent": {formula if unit == 1 else f"{formula} / {unit:g}": ratio / unit}}


def _at_the_floor(sigma: Mapping[str, float], lowest: Mapping[str, float], least: float) -> list[Remark]:
    """Remarks on the sigmas that are at the lowest sigma^2 of their term."""
    remarks = []
    for term, value in sigma.items():
        if value**2 <= 1.01 * lowest[term]:
            cause = f"it is below {least:g} nats" if term == "kl" and least else "the term went to 0"
            remarks.append(
                Remark(
                    f"The weight of {term} is at its limit 1/σ_{term}² = {1 / value**2:,.5g}, because σ_{term}² is at "
                    f"its floor: {cause}. From here on the weight is constant.",
                    "saturated",
                )
            )
    return remarks
