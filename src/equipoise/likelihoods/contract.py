"""The contract of likelihoods."""

from typing import ClassVar, Literal

from torch import Tensor
from torch.nn import functional as F

from equipoise.part import Part

Link = Literal["identity"] | None
"""How the output of a decoder becomes a mean: None, by a sigmoid, for pixels; `identity`, unchanged, for vectors."""


class Likelihood(Part):
    """The noise model of the decoder.

    `forward(out, x)` returns -log p(x|z) [B] in nats per image, summed over channels and pixels, from the decoder's
    logits `out` and images `x` in [0, 1], both [B, C, H, W]. `unit` is the weight of one squared error (or of one nat
    of cross-entropy) in it.

    `forward` is `nats(error(out, x), pixels)`: `error` depends on each image alone, `nats` may depend on the batch.
    With several processes, `error` receives the images of one process and `nats` the errors of the whole batch.
    """

    unit: float | Tensor
    link: Link = None  # an argument of the constructor, if the part takes vectors
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
        """E[x|z], [B, C, H, W], from the output of the decoder: logits of pixels, or the mean of vectors itself."""
        return out.sigmoid() if self.link is None else out

    def out(self, mean: Tensor, least: float) -> Tensor:
        """The output of the decoder that has this mean; logits of pixels at least `least` from 0 and 1."""
        return mean.clamp(least, 1 - least).logit() if self.link is None else mean

    def squared_error(self, out: Tensor, x: Tensor) -> Tensor:
        """Squared error [B] of the mean per image, in the precision of x."""
        return F.mse_loss(self.mean(out.to(x.dtype)), x, reduction="none").flatten(1).sum(1)

    def log_prob(self, out: Tensor, x: Tensor) -> Tensor:
        """log p(x|z) [B] in nats per image with every constant, so that likelihoods can be compared."""
        negative: Tensor = self(out, x)
        return -negative
