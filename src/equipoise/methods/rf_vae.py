"""RF-VAE: FactorVAE that learns, or takes as a setting, which latents are relevant."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.balance import Balance, Fixed, Joint, Relevance
from equipoise.balance.contract import NonNegative
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN, Discriminator, adversarial_objective
from equipoise.objective import Objective


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Relevant(Discriminator):
    """Settings that RF-VAE and its progressive form share."""

    relevance: tuple[Annotated[int, Field(ge=0, le=1)], ...] = ()
    """1 or 0 for each latent, if it is known which ones are relevant; empty: it is learned."""
    lambda_min: NonNegative = 0.1
    """Weight of the KL of a relevant latent. Default: as published."""
    lambda_max: NonNegative = 10.0
    """Weight of the KL of an irrelevant latent. Default: as published."""
    eta_s: NonNegative = 1.0
    """Weight of the sum of r. Default: as published."""
    eta_h: NonNegative = 100.0
    """Weight of the entropy of r. Default: as published."""
    eta_h_warmup: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Fraction of the schedule in which eta_h rises from 0; 0: none, as published."""
    layers: Annotated[int, Field(ge=1)] = 5
    """Hidden layers of the discriminator. Default: as in the published code."""


def relevance_objective(settings: Relevant, shape: Shape, balance: Balance) -> Objective:
    """Return the objective of RF-VAE, in which `balance` weights the total correlation of r z."""
    weights = Relevance(
        shape.latent,
        settings.lambda_min,
        settings.lambda_max,
        settings.eta_s,
        settings.eta_h,
        settings.eta_h_warmup,
        settings.relevance or None,
    )
    return adversarial_objective(settings, shape, Joint(weights, balance))


@dataclass(frozen=True, config=STRICT)
class RFVAE(Relevant):
    """Minimise  rec + sum_j lambda(r_j) KL_j + gamma * TC(r z) + eta_s sum_j r_j + eta_h sum_j H(r_j),  in nats.

    r_j in [0, 1] is the relevance of latent j, and lambda(r) = lambda_max - (lambda_max - lambda_min) r. The input of
    the discriminator is r z. Irrelevant latents are therefore pushed to the prior and left out of the total
    correlation. H is the binary entropy. r is learned with the model, or it is a setting, without the two penalties.

    Source:
        Kim, Wang, Sahu & Pavlovic, Relevance Factor VAE, 2019, https://arxiv.org/abs/1902.01568

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["rf-vae"](relevance=(1, 1, 0)).relevance
        (1, 1, 0)
    """

    gamma: NonNegative = 6.4
    """Weight of the total correlation. Default: as in the published code."""

    name: ClassVar[str] = "rf-vae"
    summary: ClassVar[str] = "FactorVAE that learns which latents are relevant"
    defaults: ClassVar[Settings] = {"net.name": "factor", **AT_MEAN}
    presets: ClassVar[Presets] = presets("rf-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for a wrong `relevance`."""
        return relevance_objective(self, shape, Fixed({"tc": self.gamma}))
