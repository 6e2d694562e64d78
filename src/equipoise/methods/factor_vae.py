"""FactorVAE: a discriminator estimates the total correlation, which is penalised."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.adversary import Adversary
from equipoise.balance import Fixed
from equipoise.methods.method import STRICT, AdversaryRate, LikelihoodName, Preset, Shape, Sigma, Source, Width
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class FactorVAE:
    """minimises  rec + KL + gamma * TC,  in nats per image.

    TC = mean of log q(z) - log prod_j q(z_j) as the discriminator's logits tell it; it may be negative, and it
    underestimates where there are many dimensions. After each step of the model the discriminator takes one, on the
    same codes and on those of a second batch with each dimension shuffled.
    Kim & Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983
    """

    gamma: Annotated[
        float,
        Field(ge=0, description="weight of the total correlation; the middle of Locatello et al.'s grid, 10 to 100"),
    ] = 10.0
    width: Width = 1000
    layers: Annotated[int, Field(ge=1, description="hidden layers of the discriminator; the publication's")] = 6
    second: Source = "other"
    adversary_lr: AdversaryRate = 1e-4
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "factor-vae"
    summary: ClassVar[str] = "a discriminator's estimate of the total correlation is penalised"
    defaults: ClassVar[Mapping[str, object]] = {}
    presets: ClassVar[Mapping[str, Preset]] = {
        "dsprites": Preset("the publication on dSprites", {"method.gamma": 35.0, "train.steps": 300_000}),
        "d_lib": Preset(
            "Locatello et al.: codes are shuffled within one batch; their 300,000 counted steps are 150,000 of these",
            {"method.second": "same", "train.steps": 150_000},
        ),
        "isa_baseline": Preset(
            "baseline of the ISA-VAE paper (gamma from 1 to 10): one hidden layer, batch 2048, 20 epochs of dSprites",
            {
                "method.layers": 1,
                "net.name": "mlp_tc",
                "train.lr": 1e-3,
                "train.batch": 2048,
                "train.steps": 7200,
            },
        ),
    }

    def build(self, shape: Shape) -> Objective:
        adversary = Adversary(shape.latent, self.width, self.layers, source=self.second, lr=self.adversary_lr)
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl, "tc": lambda p: adversary.log_ratio(p.z)},
            balance=Fixed({"kl": 1.0, "tc": self.gamma}),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
            adversary=adversary,
        )
