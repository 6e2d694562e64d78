"""The supervised term of a few labelled images: chosen latents learn chosen factors."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from equipoise.part import Part


class Supervision(Part):
    """Chosen latents learn chosen factors of a few labelled images.

    Args:
        loss: `cross-entropy` of the target, 0 to 1, and the sigmoid of the mean; `regression`, half the squared
            distance of the mean and the target.
        weight: weight of the term.
        until: fraction of the schedule over which the weight rises from 0; 0: it is constant.

    Source:
        Locatello, Tschannen, Bauer, Raetsch, Schoelkopf & Bachem, Disentangling Factors of Variation Using Few Labels,
        ICLR 2020, https://arxiv.org/abs/1905.01258

    Example:
        >>> import torch
        >>> targets = torch.tensor([[1.0, float("nan")], [0.0, float("nan")]])
        >>> Supervision("cross-entropy", 1.0, 0.0)(torch.zeros(2, 2), targets)  # log 2
        tensor([0.6931, 0.6931])
    """

    name: ClassVar[str] = "labels"

    def __init__(self, loss: str, weight: float, until: float) -> None:
        super().__init__()
        self.loss, self.weight, self.until = loss, weight, until

    def forward(self, mean: Tensor, targets: Tensor) -> Tensor:
        """Return the term of each labelled image [B] in nats: a sum over the latents [B, D] that have a target."""
        is_labelled = ~targets.isnan()
        targets = targets.where(is_labelled, mean.new_zeros(())).to(mean.dtype)
        if self.loss == "regression":
            each = (mean - targets).square() / 2
        else:
            each = F.binary_cross_entropy_with_logits(mean, targets, reduction="none")
        return (each * is_labelled).sum(1)

    def weight_at(self, progress: Tensor) -> Tensor:
        """Return the weight [] at this fraction of the schedule."""
        return self.weight * (progress / self.until).clamp(max=1) if self.until else progress.new_tensor(self.weight)
