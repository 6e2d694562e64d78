"""beta-VAE: one fixed weight on the KL, with an optional linear warm-up."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Fixed, WarmUp
from equipoise.methods.method import LVAE_PAPER, STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class BetaVAE:
    """minimises  rec + beta * KL,  both in nats per image.

    Higgins et al., beta-VAE, ICLR 2017, https://openreview.net/forum?id=Sy2fzU9gl
    """

    beta: Annotated[
        float,
        Field(
            ge=0, description="weight of the KL; 4 is the publication's for dSprites. Below 1 can help (MPI3D, Isaac3D)"
        ),
    ] = 4.0
    warmup: Annotated[
        float,
        Field(ge=0, le=1, description="share of the schedule in which the weight rises from 0; 0: none, as published"),
    ] = 0.0
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "beta-vae"
    summary: ClassVar[str] = "a fixed weight beta on the KL"
    defaults: ClassVar[Mapping[str, object]] = {}
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper_isa": Preset(
            "baseline of the ISA-VAE paper on dSprites, beta from 1 to 6: MLP, 20 latents, batch 2048, 20 epochs",
            {
                "method.beta": 1.0,
                "net.name": "mlp_tc",
                "net.latent": 20,
                "train.lr": 1e-3,
                "train.batch": 2048,
                "train.steps": 7200,
            },
        ),
        "paper_lvae": Preset(
            "baseline of the L-VAE paper on dSprites (Table 2), where beta is 2",
            {**LVAE_PAPER, "method.beta": 2.0, "train.steps": 50_000},
        ),
    }

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=WarmUp(self.beta, self.warmup) if self.warmup else Fixed({"kl": self.beta}),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
        )
