"""beta-VAE: a fixed weight on the KL, with an optional linear warm-up."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.balance import Fixed, WarmUp
from equipoise.balance.contract import NonNegative
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class BetaVAE(Noise):
    """Minimise  rec + beta * KL,  in nats per image.

    Source:
        Higgins et al., beta-VAE, ICLR 2017, https://openreview.net/forum?id=Sy2fzU9gl

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["beta-vae"](beta=2.0).beta
        2.0
    """

    beta: NonNegative = 4.0
    """Weight of the KL. Default: the publication's for dSprites. Values below 1 can help (MPI3D, Isaac3D)."""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Fraction of the schedule in which the weight rises from 0; 0: none, as published."""

    name: ClassVar[str] = "beta-vae"
    summary: ClassVar[str] = "a fixed weight beta on the KL"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("beta-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        balance = WarmUp(self.beta, self.warmup) if self.warmup else Fixed({"kl": self.beta})
        return gaussian_objective(self, shape, balance)
