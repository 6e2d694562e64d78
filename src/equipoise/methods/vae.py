"""The variational autoencoder itself."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Fixed
from equipoise.methods.method import LVAE_PAPER, STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class VAE:
    """minimises  rec + KL,  both in nats per image.

    Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014, https://arxiv.org/abs/1312.6114
    """

    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "vae"
    summary: ClassVar[str] = "reconstruction plus KL, the evidence lower bound"
    defaults: ClassVar[Mapping[str, object]] = {}
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper_lvae": Preset("baseline of the L-VAE paper on dSprites (Table 2)", {**LVAE_PAPER, "train.steps": 50_000})
    }

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=Fixed({"kl": 1.0}),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
        )
