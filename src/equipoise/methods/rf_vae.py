"""RF-VAE: FactorVAE in which it is given, or learned, which latents are relevant."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.adversary import Adversary
from equipoise.balance import Balance, Fixed, Joint, Relevance
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, AdversaryRate, LikelihoodName, Preset, Shape, Sigma, Source, Width
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class Relevant:
    """Settings that RF-VAE and its progressive form share."""

    relevance: Annotated[
        tuple[Annotated[int, Field(ge=0, le=1)], ...],
        Field(description="1 or 0 for each latent where it is known which are relevant; empty: it is learned"),
    ] = ()
    lambda_min: Annotated[
        float, Field(ge=0, description="weight of the KL of a relevant latent; the publication's")
    ] = 0.1
    lambda_max: Annotated[float, Field(ge=0, description="weight of the KL of a nuisance; the publication's")] = 10.0
    eta_s: Annotated[float, Field(ge=0, description="weight of the sum of r; the publication's")] = 1.0
    eta_h: Annotated[float, Field(ge=0, description="weight of the entropy of r; the publication's")] = 100.0
    eta_h_warmup: Annotated[
        float,
        Field(ge=0, le=1, description="share of the schedule in which eta_h rises from 0; 0: none, as published"),
    ] = 0.0
    width: Width = 1000
    layers: Annotated[int, Field(ge=1, description="hidden layers of the discriminator; the published code's")] = 5
    second: Source = "other"
    adversary_lr: AdversaryRate = 1e-4
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    def objective(self, shape: Shape, balance: Balance) -> Objective:
        """That of RF-VAE, in which `balance` weighs the total correlation `tc` of r z."""
        given = self.relevance or None
        if given is not None and len(given) != shape.latent:
            raise InputError(
                f"method.relevance has {len(given)} entries; expected one for each of {shape.latent} latents"
            )
        lambdas = self.lambda_min, self.lambda_max
        relevance = Relevance(shape.latent, *lambdas, self.eta_s, self.eta_h, self.eta_h_warmup, given)
        adversary = Adversary(
            shape.latent, self.width, self.layers, relevance.mask, source=self.second, lr=self.adversary_lr
        )
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl, "tc": lambda p: adversary.log_ratio(p.z)},
            balance=Joint(relevance, balance),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
            adversary=adversary,
        )


@dataclass(frozen=True, config=STRICT)
class RFVAE(Relevant):
    """minimises  rec + sum_j lambda(r_j) KL_j + gamma * TC(r z) + eta_s sum_j r_j + eta_h sum_j H(r_j),  in nats.

    r_j in [0, 1] says how relevant latent j is: lambda(r) = lambda_max - (lambda_max - lambda_min) r, and the
    discriminator sees r z, so that nuisance latents are pushed to the prior and left out of the total correlation. H is
    the binary entropy. r is learned with the model, or given, and then the two penalties fall away.
    Kim, Wang, Sahu & Pavlovic, Relevance Factor VAE, 2019, https://arxiv.org/abs/1902.01568
    """

    gamma: Annotated[float, Field(ge=0, description="weight of the total correlation; the published code's")] = 6.4
    name: ClassVar[str] = "rf-vae"
    summary: ClassVar[str] = "FactorVAE that learns which latents are relevant"
    defaults: ClassVar[Mapping[str, object]] = {"net.name": "factor"}
    presets: ClassVar[Mapping[str, Preset]] = {
        "authors": Preset("the published code: a million steps", {"train.steps": 1_000_000}),
        "oval_dsprites": Preset(
            "the published code's test on ellipses: gamma 35, 300,000 steps",
            {"method.gamma": 35.0, "train.steps": 300_000},
        ),
    }

    def build(self, shape: Shape) -> Objective:
        return self.objective(shape, Fixed({"tc": self.gamma}))
