"""Weights that follow an adversary, and weights of single dimensions that are learned."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise.balance.contract import (
    Balance,
    Fraction,
    NonNegative,
    Positive,
    Seen,
    Share,
    Weights,
    schedule_share,
)
from equipoise.errors import InputError
from equipoise.part import Aims, Remark, Rows, column, late

Accuracy = Annotated[float, Field(ge=0.5, le=1)]


class AccuracyFeedback(Balance):
    """A weight that rises while a discriminator's accuracy is above a target, and falls while it is below.

    With the accuracy a, smoothed by a running mean that starts at the target:  if a > target + window, beta / scale;
    if a < target - window, beta * scale; otherwise beta stays. beta is kept within [beta_min, beta_max]. The accuracy
    is that of the step before, so the weight of the first step is beta_0. Three deviations from the paper: its Eq. 3
    multiplies by scale < 1 where the accuracy is high, against its own text; it uses the accuracy of a single step
    (`smoothing=0` here); and it has no limits, so a discriminator that fails takes beta to 0.

    Args:
        term: term that is weighted.
        target: set point of the accuracy, 0.5 to 1.
        target_end: target at the end of the schedule, to which it moves linearly, 0.5 to 1; unset: `target`.
        window: distance from the target within which beta stays, 0 or more.
        scale: factor of one step, above 0 and at most 1.
        smoothing: decay of the running mean, from 0 to below 1.
        beta_0: weight at the start, from beta_min to beta_max.
        beta_min, beta_max: limits of the weight, above 0.

    Raises:
        InputError: if beta_0 is outside its limits.

    Source:
        Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE, section 3

    Example:
        >>> balance = AccuracyFeedback(smoothing=0.0, scale=0.5, beta_0=4.0)
        >>> balance({"accuracy": torch.tensor(0.9), "step": torch.tensor(2), "progress": torch.tensor(0.1)})
        {'tc': tensor(8.)}
    """

    name: ClassVar[str] = "accuracy"
    needs_adversary = True
    beta: Tensor
    smoothed: Tensor

    def __init__(
        self,
        term: str = "tc",
        target: Accuracy = 0.75,
        target_end: Accuracy | None = None,
        window: NonNegative = 0.05,
        scale: Fraction = 0.999,
        smoothing: Share = 0.99,
        beta_0: Positive = 6.4,
        beta_min: Positive = 1e-2,
        beta_max: Positive = 1e3,
    ) -> None:
        super().__init__()
        if not beta_min <= beta_0 <= beta_max:
            raise InputError(
                f"beta_0 is {beta_0:g}; expected a value from beta_min, {beta_min:g}, to beta_max, {beta_max:g}"
            )
        self.term, self.terms = term, (term,)
        self.target, self.target_end, self.window = target, target_end, window
        self.scale, self.smoothing = scale, smoothing
        self.beta_0, self.beta_min, self.beta_max = beta_0, beta_min, beta_max
        self.is_scheduled = target_end is not None
        self.register_buffer("beta", torch.tensor(float(beta_0)))
        self.register_buffer("smoothed", torch.tensor(float(target)))

    def forward(self, seen: Seen) -> Weights:
        """The weight of the term; in training it makes a step first."""
        if self.training:
            self._move(seen)
        return {self.term: self.beta.clone()}

    @torch.no_grad()
    def _move(self, seen: Seen) -> None:
        has_started = seen["step"] > 1  # before the first step there is no accuracy
        smoothed = self.smoothing * self.smoothed + (1 - self.smoothing) * seen["accuracy"]
        self.smoothed.copy_(torch.where(has_started, smoothed, self.smoothed))
        target: float | Tensor = self.target
        if self.target_end is not None:
            target = self.target + (self.target_end - self.target) * seen["progress"]
        beta = torch.where(self.smoothed > target + self.window, self.beta / self.scale, self.beta)
        beta = torch.where(self.smoothed < target - self.window, self.beta * self.scale, beta)
        self.beta.copy_(torch.where(has_started, beta.clamp(self.beta_min, self.beta_max), self.beta))

    def aims(self, rows: Rows) -> Aims:
        """The target beside the accuracy."""
        end = self.target if self.target_end is None else self.target_end
        return {"accuracy": {"target": self.target + (end - self.target) * column(rows, "progress")}}

    def remarks(self, rows: Rows) -> list[Remark]:
        """Whether the weight was at a limit at the end."""
        for limit, word, meaning in (
            (self.beta_min, "lower", "the discriminator hardly ever separates codes from shuffled ones"),
            (self.beta_max, "upper", "the discriminator separates codes from shuffled ones at any weight"),
        ):
            if all(abs(row[f"weight.{self.term}"] / limit - 1) < 0.01 for row in late(rows)):
                sentence = (
                    f"The weight of {self.term} is at its {word} limit, {limit:g}: {meaning}. Set another target "
                    "accuracy or a wider range of the weight."
                )
                return [Remark(sentence, "saturated")]
        return []


class AccuracyCapacity(Balance):
    """A weight that holds the KL per dimension at a capacity, which grows while a discriminator is at chance.

    The loss has gamma (K - C)^4, with K the mean KL per dimension. The capacity C starts at 0 and moves by `rate` a
    step: up while the accuracy of the step before is at most 0.501, down while it is above 0.51. The weight of each
    dimension's KL is the derivative, 4 gamma (K - C)^3 / D, which is negative below the capacity; the penalty completes
    the value of the loss.

    Args:
        gamma: weight of the distance from the capacity, 0 or more.
        c_max: upper limit of the capacity in nats per dimension, above 0.
        rate: change of the capacity in nats per step, above 0.
        c_min: lower limit of the capacity in nats per dimension.
        per_schedule: whether `rate` is the change in a whole schedule instead of a step.

    Source:
        Estermann & Wattenhofer, DAVA: Disentangling Adversarial Variational Autoencoder, ICLR 2023, and its published
        code, https://arxiv.org/abs/2303.01384

    Example:
        >>> seen = {"kl": torch.tensor([0.1, 0.3]), "accuracy": torch.tensor(0.5), "step": torch.tensor(1)}
        >>> AccuracyCapacity(gamma=500.0)(seen)  # 4 * 500 * 0.2^3 / 2
        {'kl': tensor(8.)}
    """

    name: ClassVar[str] = "accuracy-capacity"
    needs_adversary = True
    terms = ("kl",)
    capacity: Tensor

    def __init__(
        self,
        gamma: NonNegative = 500.0,
        c_max: Positive = 8.0,
        rate: Positive = 4e-5,
        c_min: float = 0.0,
        per_schedule: bool = False,
    ) -> None:
        super().__init__()
        self.gamma, self.c_max, self.rate, self.c_min = gamma, c_max, rate, c_min
        self.per_schedule = self.is_scheduled = per_schedule
        self.register_buffer("capacity", torch.zeros(()))

    def _distance(self, seen: Seen) -> Tensor:
        return seen["kl"].mean() - self.capacity

    def forward(self, seen: Seen) -> Weights:
        """The weight of the KL, negative below the capacity; in training the capacity moves first."""
        if self.training:
            accuracy = seen["accuracy"]
            way = (accuracy <= 0.501).float() - (accuracy > 0.51).float()
            way = torch.where(seen["step"] > 1, way, torch.zeros_like(way))
            rate = self.rate * (schedule_share(seen) if self.per_schedule else 1.0)
            self.capacity.copy_((self.capacity + rate * way).clamp(self.c_min, self.c_max))
        return {"kl": 4 * self.gamma * self._distance(seen) ** 3 / seen["kl"].numel()}

    def penalty(self, seen: Seen) -> Tensor:
        """gamma (K - C)^4 less the weighted KL, [] in nats."""
        distance = self._distance(seen)
        return self.gamma * distance**4 - 4 * self.gamma * distance**3 * seen["kl"].mean()

    def aims(self, rows: Rows) -> Aims:
        """The capacity of all dimensions together beside the KL."""
        if "capacity" not in rows[-1]:
            return {}
        return {"kl": {"capacity of all latents": len(rows[-1].get("kl_dims", ())) * column(rows, "capacity")}}


class Relevance(Balance):
    """A weight of the KL for each latent, from a relevance that is learned.

    With the relevance r = sigmoid(logits) [D], the KL of latent j has the weight
    lambda_max - (lambda_max - lambda_min) r_j. The penalty is eta_s sum_j r_j + eta_h sum_j H(r_j), with H the binary
    entropy in nats; minimising it drives r to 0 or 1. `mask`, the input of a discriminator of codes, is r z.

    Args:
        latent: number of latents D.
        lambda_min, lambda_max: weight of a relevant and of an irrelevant latent, 0 or more.
        eta_s, eta_h: weights of the two penalties, 0 or more.
        eta_h_warmup: fraction of the schedule in which eta_h rises linearly from 0, 0 to 1. With 0, as published,
            eta_h is constant, and the relevances hardly change after the first steps.
        relevant: r, 0 or 1 for each latent. Nothing is learned then, and there is no penalty.

    Raises:
        InputError: if `relevant` has other values, or more or fewer of them.

    Source:
        Kim et al., Relevance Factor VAE: Learning and Identifying Disentangled Factors, 2019,
        https://arxiv.org/abs/1902.01568

    Example:
        >>> Relevance(3, relevant=[1, 1, 0])({"step": torch.tensor(1)})
        {'kl': tensor([ 0.1000,  0.1000, 10.0000])}
    """

    name: ClassVar[str] = "relevance"
    needs_latent_kl = True
    terms = ("kl",)
    logits: nn.Parameter
    relevance: Tensor

    def __init__(
        self,
        latent: int,
        lambda_min: NonNegative = 0.1,
        lambda_max: NonNegative = 10.0,
        eta_s: NonNegative = 1.0,
        eta_h: NonNegative = 100.0,
        eta_h_warmup: Annotated[float, Field(ge=0, le=1)] = 0.0,
        relevant: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if relevant is not None and (len(relevant) != latent or not set(relevant) <= {0, 1}):
            raise InputError(f"the relevance is {list(relevant)}; expected 1 or 0 for each of {latent} latents")
        self.lambda_min, self.lambda_max = lambda_min, lambda_max
        self.eta_s, self.eta_h, self.eta_h_warmup = eta_s, eta_h, eta_h_warmup
        self.is_scheduled = eta_h_warmup > 0
        self.latent, self.relevant = latent, relevant
        if relevant is None:
            self.logits = nn.Parameter(0.001 * torch.randn(latent))
        else:
            self.register_buffer("relevance", torch.tensor([float(r) for r in relevant]))

    @property
    def r(self) -> Tensor:
        """Relevance [D] of the latents, 0 to 1."""
        return self.logits.sigmoid() if self.relevant is None else self.relevance

    def mask(self, z: Tensor) -> Tensor:
        """r z [B, D], from codes z [B, D]."""
        return self.r * z

    def forward(self, seen: Seen) -> Weights:  # noqa: ARG002
        """The weights [D] of the latents' KLs."""
        return {"kl": self.lambda_min * self.r + self.lambda_max * (1 - self.r)}

    def penalty(self, seen: Seen) -> Tensor:
        """The penalty [] of sum and entropy of r, in nats."""
        if self.relevant is not None:
            return super().penalty(seen)
        # H(sigmoid(l)) = softplus(l) - l sigmoid(l), whose gradient is -l r (1 - r).
        entropy = (F.softplus(self.logits) - self.logits * self.r).sum()
        rise = (seen["progress"] / self.eta_h_warmup).clamp(max=1) if self.eta_h_warmup and self.training else 1.0
        return self.eta_s * self.r.sum() + self.eta_h * rise * entropy

    def logs(self) -> dict[str, Tensor]:
        """The relevance [D]."""
        return {"relevance_dims": self.r.detach()}

    def remarks(self, rows: Rows) -> list[Remark]:
        """Latents whose relevance is not yet near 0 or 1."""
        undecided = [f"z{j}" for j, r in enumerate(rows[-1]["relevance_dims"]) if 0.1 < r < 0.9]
        sentence = f"The relevance of these latents is still between 0.1 and 0.9: {', '.join(undecided)}. Train longer."
        return [Remark(sentence, "not settled")] if undecided else []
