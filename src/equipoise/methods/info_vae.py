"""InfoVAE: the distance of all codes from the prior replaces a part of the KL of each image."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import FAST, Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class InfoVAE(Noise):
    """Minimise  rec + (1 - alpha) KL + (alpha + lambda - 1) MMD,  in nats per image.

    MMD is the squared maximum mean discrepancy of the codes of a batch and the prior. The KL of each image pulls its
    posterior to the prior, which costs information; the MMD moves only the distribution of all codes. With alpha = 0
    and lambda = 1 it is the VAE, with alpha = 1 the MMD-VAE.

    Source:
        Zhao, Song & Ermon, InfoVAE: Balancing Learning and Inference in Variational Autoencoders, AAAI 2019, Eq. 6,
        https://arxiv.org/abs/1706.02262

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["info-vae"](alpha=1.0).lambda_mmd
        1000.0
    """

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Part of the KL that is left out. Default: half way from the VAE to the MMD-VAE."""
    lambda_mmd: NonNegative = 1000.0
    """lambda, at least 1 - alpha. Default: as published for images."""

    name: ClassVar[str] = "info-vae"
    summary: ClassVar[str] = "the distance of all codes from the prior replaces a part of the KL"
    defaults: ClassVar[Settings] = FAST
    presets: ClassVar[Presets] = presets("info-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for a weight below 0."""
        of_mmd = self.alpha + self.lambda_mmd - 1
        if of_mmd < -1e-9:  # rounding of 0
            raise InputError(
                f"method.alpha is {self.alpha:g} and method.lambda_mmd {self.lambda_mmd:g}; their sum has to be 1 or "
                "more, because the weight of the MMD is alpha + lambda - 1"
            )
        weights = {"kl": 1 - self.alpha, "mmd": max(of_mmd, 0.0)}
        return gaussian_objective(self, shape, Fixed(weights), {"kl": terms.kl, "mmd": terms.mmd})
