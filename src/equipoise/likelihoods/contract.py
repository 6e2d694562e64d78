"""The contract of likelihoods."""

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from equipoise.part import Part


class Likelihood(Part):
    """The noise model of the decoder.

    `forward(out, x)` returns -log p(x|z) [B] in nats per image, summed over channels and pixels, from the decoder's
    logits `out` and images `x` in [0, 1], both [B, C, H, W]. `unit` is the weight of one squared error (or of one nat
    of cross-entropy) in it.

    `forward` is `nats(error(out, x), pixels)`: `error` depends on each image alone, `nats` may depend on the batch.
    With several processes, `error` receives the images of one process and `nats` the errors of the whole batch.
    """

    unit: float | Tensor
    error_name: ClassVar[str] = "squared error"  # the error of which `unit` is the weight
    can_be_negative: ClassVar[bool] = False  # as minus the logarithm of a density can

    def error(self, out: Tensor, x: Tensor) -> Tensor:
        """The contribution [B] of each image by itself; `out` and `x` as in `forward`."""
        error: Tensor = self(out, x)
        return error

    def nats(self, error: Tensor, pixels: int) -> Tensor:  # noqa: ARG002
        """-log p(x|z) [B] in nats per image, from the `error` [B] of a whole batch of images of `pixels` values."""
        return error

    def mean(self, out: Tensor) -> Tensor:
        """E[x|z], [B, C, H, W] in [0, 1], from logits."""
        return out.sigmoid()

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) [B] in nats per image with every constant, so that likelihoods can be compared."""
        negative: Tensor = self(out, x)
        return -negative


def squared_error(out: Tensor, x: Tensor) -> Tensor:
    """Squared error [B] of sigmoid(out) per image, in the precision of x."""
    return F.mse_loss(out.to(x.dtype).sigmoid(), x, reduction="none").flatten(1).sum(1)
