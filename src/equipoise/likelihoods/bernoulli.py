"""Cross-entropy."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from equipoise.likelihoods.contract import Likelihood


class Bernoulli(Likelihood):
    """Binary cross-entropy from logits.

    Grey targets between 0 and 1 are allowed; the smallest value is then their entropy, not 0.

    Source:
        Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014, appendix C.1, https://arxiv.org/abs/1312.6114

    Example:
        >>> import torch
        >>> from equipoise.likelihoods import Bernoulli
        >>> Bernoulli()(torch.zeros(2, 1, 1, 1), torch.ones(2, 1, 1, 1))
        tensor([0.6931, 0.6931])
    """

    name: ClassVar[str] = "bernoulli"
    error_name: ClassVar[str] = "cross-entropy"
    unit = 1.0

    def forward(self, out: Tensor, x: Tensor) -> Tensor:
        """-log p(x|z) [B] in nats per image, from logits `out` and images `x` in [0, 1], both [B, C, H, W]."""
        return F.binary_cross_entropy_with_logits(out.to(x.dtype), x, reduction="none").flatten(1).sum(1)
