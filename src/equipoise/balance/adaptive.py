"""Weights that follow an adversary, and weights of single dimensions that are learned."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise.balance.contract import Balance, NonNegative, Positive, Remark, Seen, Share, Weights

Accuracy = Annotated[float, Field(ge=0.5, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class AccuracyFeedback(Balance):
    """The weight of a term rises while a discriminator tells codes from shuffled ones too easily, and falls while it
    hardly can (Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE, section 3).

    With the accuracy a, smoothed by a running mean that starts at the target:  a > target + window: beta / scale;
    a < target - window: beta * scale; otherwise beta stays, and it stays within [beta_min, beta_max]. Deviations: the
    paper's Eq. 3 multiplies by scale < 1 where the accuracy is high, against its own text; it uses the accuracy of a
    single step (`smoothing=0` here) and has no bounds, without which a discriminator that fails takes beta to 0.

    target, target_end: the target moves linearly from one to the other over the schedule (unset: it stays).
    The accuracy is that of the step before, so the weight of the first step is beta_0.
    """

    beta: Tensor
    smoothed: Tensor

    def __init__(
        self,
        term: str = "tc",
        target: Accuracy = 0.75,
        target_end: Accuracy | None = None,
        window: NonNegative = 0.05,
        scale: Share = 0.999,
        smoothing: Decay = 0.99,
        beta_0: Positive = 6.4,
        beta_min: Positive = 1e-2,
        beta_max: Positive = 1e3,
    ) -> None:
        super().__init__()
        self.terms = (term,)
        self.target, self.target_end, self.window = target, target_end, window
        self.scale, self.smoothing = scale, smoothing
        self.beta_min, self.beta_max = beta_min, beta_max
        self.scheduled = target_end is not None
        self.register_buffer("beta", torch.tensor(float(beta_0)))
        self.register_buffer("smoothed", torch.tensor(float(target)))

    def forward(self, seen: Seen) -> Weights:
        if self.training:
            self._move(seen)
        return {self.terms[0]: self.beta.clone()}

    @torch.no_grad()
    def _move(self, seen: Seen) -> None:
        started = seen["step"] > 1  # before the first step no discriminator has been asked
        smoothed = self.smoothing * self.smoothed + (1 - self.smoothing) * seen["accuracy"]
        self.smoothed.copy_(torch.where(started, smoothed, self.smoothed))
        target: float | Tensor = self.target
        if self.target_end is not None:
            target = self.target + (self.target_end - self.target) * seen["progress"]
        moved = torch.where(self.smoothed > target + self.window, self.beta / self.scale, self.beta)
        moved = torch.where(self.smoothed < target - self.window, self.beta * self.scale, moved)
        self.beta.copy_(torch.where(started, moved.clamp(self.beta_min, self.beta_max), self.beta))

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
        name, late = f"weight.{self.terms[0]}", rows[-max(1, len(rows) // 5) :]
        for limit, word, meaning in (
            (self.beta_min, "lowest", "the discriminator hardly ever tells codes from shuffled ones"),
            (self.beta_max, "highest", "the discriminator tells codes from shuffled ones whatever they cost"),
        ):
            if all(abs(row[name] / limit - 1) < 0.01 for row in late):
                sentence = (
                    f"The weight of {self.terms[0]} is at its {word}, {limit:g}: {meaning}. Another target accuracy, "
                    "or a wider range, would let it move."
                )
                return [Remark(sentence, "saturated")]
        return []


class AccuracyCapacity(Balance):
    """The KL per dimension K is held at a capacity that grows while a discriminator is at a loss: gamma (K - C)^4
    (Estermann & Wattenhofer, DAVA, ICLR 2023, arXiv:2303.01384, published code).

    C starts at 0 and moves by `rate` a step: up while the accuracy of the step before is at most 0.501, down above
    0.51. It stays within c_min and c_max. The weight of each dimension's KL is the derivative, 4 gamma (K - C)^3 / D,
    which is negative below the capacity, and the penalty completes the value of the loss.
    """

    terms = ("kl",)
    capacity: Tensor

    def __init__(
        self, gamma: NonNegative = 500.0, c_max: Positive = 8.0, rate: Positive = 4e-5, c_min: float = 0.0
    ) -> None:
        super().__init__()
        self.gamma, self.c_max, self.rate, self.c_min = gamma, c_max, rate, c_min
        self.register_buffer("capacity", torch.zeros(()))

    def _distance(self, seen: Seen) -> Tensor:
        return seen["kl"].mean() - self.capacity

    def forward(self, seen: Seen) -> Weights:
        if self.training:
            accuracy = seen["accuracy"]
            way = (accuracy <= 0.501).float() - (accuracy > 0.51).float()
            way = torch.where(seen["step"] > 1, way, torch.zeros_like(way))
            self.capacity.copy_((self.capacity + self.rate * way).clamp(self.c_min, self.c_max))
        return {"kl": 4 * self.gamma * self._distance(seen) ** 3 / seen["kl"].numel()}

    def penalty(self, seen: Seen) -> Tensor:
        distance = self._distance(seen)
        return self.gamma * distance**4 - 4 * self.gamma * distance**3 * seen["kl"].mean()


class Relevance(Balance):
    """Which dimensions are relevant is learned: r = sigmoid(logits) [D], and the KL of dimension j weighs
    lambda_j = lambda_max - (lambda_max - lambda_min) r_j (Kim et al., Relevance Factor VAE, 2019, arXiv:1902.01568).

    The penalty is eta_s sum_j r_j + eta_h sum_j H(r_j), H the binary entropy in nats, which is minimised: it drives r
    to 0 or 1. eta_h rises linearly over the first `eta_h_warmup` of the schedule (0: it is there from the start, as
    published; it then soon fixes what the first steps decided). With `given`, a 0 or 1 for each dimension, r is that,
    nothing is learned and there is no penalty. `mask` is what a discriminator sees, r z.
    """

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
        given: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.lambda_min, self.lambda_max = lambda_min, lambda_max
        self.eta_s, self.eta_h, self.warmup = eta_s, eta_h, eta_h_warmup
        self.scheduled = eta_h_warmup > 0
        self.given = given is not None
        if given is None:
            self.logits = nn.Parameter(0.001 * torch.randn(latent))
        else:
            self.register_buffer("relevance", torch.tensor([float(r) for r in given]))

    @property
    def r(self) -> Tensor:
        """Relevance [D] of the dimensions, 0 to 1."""
        return self.relevance if self.given else self.logits.sigmoid()

    def mask(self, z: Tensor) -> Tensor:
        """r z [B, D]."""
        return self.r * z

    def forward(self, seen: Seen) -> Weights:  # noqa: ARG002
        return {"kl": self.lambda_min * self.r + self.lambda_max * (1 - self.r)}

    def penalty(self, seen: Seen) -> Tensor:
        if self.given:
            return super().penalty(seen)
        # H(sigmoid(l)) = softplus(l) - l sigmoid(l), whose gradient is -l r (1 - r).
        entropy = (F.softplus(self.logits) - self.logits * self.r).sum()
        risen = (seen["progress"] / self.warmup).clamp(max=1) if self.warmup and self.training else 1.0
        return self.eta_s * self.r.sum() + self.eta_h * risen * entropy

    def logs(self) -> dict[str, Tensor]:
        return {"relevance_dims": self.r.detach()}

    def remarks(self, rows: Sequence[Mapping[str, Any]]) -> list[Remark]:
        undecided = [f"z{j}" for j, r in enumerate(rows[-1]["relevance_dims"]) if 0.1 < r < 0.9]
        sentence = f"Neither relevant nor irrelevant yet: {', '.join(undecided)}."
        return [Remark(sentence, "not settled")] if undecided else []
