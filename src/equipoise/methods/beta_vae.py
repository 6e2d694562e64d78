"""beta-VAE: a fixed weight on the KL, with an optional linear warm-up."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Balance, Fixed, Joint, WarmUp
from equipoise.balance.contract import NonNegative, Positive
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class BetaVAE(Noise):
    """Minimise  rec + beta * KL + squared_error * E,  in nats per image.

    E is the squared error of the picture. Its weight is 0 unless it is set.

    Source:
        Higgins et al., beta-VAE, ICLR 2017, https://openreview.net/forum?id=Sy2fzU9gl

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["beta-vae"](beta=2.0).beta
        2.0
    """

    beta: NonNegative = 4.0
    """Weight of the KL. Default: as published for dSprites. Values below 1 can help (MPI3D, Isaac3D)."""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Fraction of the schedule in which the weight rises from 0; 0: none, as published."""
    squared_error: Positive | None = None
    """Weight of a squared error, summed over pixels, beside rec, as in the lambda-beta-VAE; unset: none. Where rec is a
    squared error, it only changes the scale of rec."""

    name: ClassVar[str] = "beta-vae"
    summary: ClassVar[str] = "a fixed weight beta on the KL"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("beta-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        balance: Balance = WarmUp(self.beta, self.warmup) if self.warmup else Fixed({"kl": self.beta})
        if self.squared_error is None:
            return gaussian_objective(self, shape, balance)
        balance = Joint(balance, Fixed({"sse": self.squared_error}))
        return gaussian_objective(self, shape, balance, {"kl": terms.kl, "sse": terms.sse})
