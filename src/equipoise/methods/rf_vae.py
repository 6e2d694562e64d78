"""RF-VAE: FactorVAE that learns, or takes as a setting, which latents are relevant."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.balance import Balance, Fixed, Joint, Relevance
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Preset, Settings, Shape, presets
from equipoise.methods.shared import Discriminator, adversarial_objective
from equipoise.objective import Objective


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Relevant(Discriminator):
    """Settings that RF-VAE and its progressive form share."""

    relevance: Annotated[
        tuple[Annotated[int, Field(ge=0, le=1)], ...],
        Field(description="1 or 0 for each latent, if it is known which ones are relevant; empty: it is learned"),
    ] = ()
    lambda_min: Annotated[
        float, Field(ge=0, description="weight of the KL of a relevant latent; the publication's")
    ] = 0.1
    lambda_max: Annotated[
        float, Field(ge=0, description="weight of the KL of an irrelevant latent; the publication's")
    ] = 10.0
    eta_s: Annotated[float, Field(ge=0, description="weight of the sum of r; the publication's")] = 1.0
    eta_h: Annotated[float, Field(ge=0, description="weight of the entropy of r; the publication's")] = 100.0
    eta_h_warmup: Annotated[
        float,
        Field(ge=0, le=1, description="fraction of the schedule in which eta_h rises from 0; 0: none, as published"),
    ] = 0.0
    layers: Annotated[int, Field(ge=1, description="hidden layers of the discriminator; the published code's")] = 5


def relevance_objective(settings: Relevant, shape: Shape, balance: Balance) -> Objective:
    """Return the objective of RF-VAE, in which `balance` weighs the total correlation of r z.

    Raises `InputError` if `relevance` does not have one entry for each latent.
    """
    relevance = settings.relevance or None
    if relevance is not None and len(relevance) != shape.latent:
        raise InputError(
            f"method.relevance has {len(relevance)} entries; expected one for each of {shape.latent} latents"
        )
    weights = Relevance(
        shape.latent,
        settings.lambda_min,
        settings.lambda_max,
        settings.eta_s,
        settings.eta_h,
        settings.eta_h_warmup,
        relevance,
    )
    return adversarial_objective(settings, shape, Joint(weights, balance), weights.mask)


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

    gamma: Annotated[float, Field(ge=0, description="weight of the total correlation; the published code's")] = 6.4

    name: ClassVar[str] = "rf-vae"
    summary: ClassVar[str] = "FactorVAE that learns which latents are relevant"
    defaults: ClassVar[Settings] = {"net.name": "factor"}
    presets: ClassVar[Mapping[str, Preset]] = presets("rf-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for a wrong `relevance`."""
        return relevance_objective(self, shape, Fixed({"tc": self.gamma}))
