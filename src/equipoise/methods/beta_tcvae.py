"""beta-TCVAE: the KL in three parts, estimated from the batch, of which the total correlation is penalised."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Fixed
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective
from equipoise.priors import StandardNormal

Weights = Annotated[
    terms.Weighting,
    Field(
        description="of the posteriors of a batch, whose sum stands for q(z); mws: minibatch-weighted, as published; "
        "mss: minibatch-stratified; mss_rb: mss averaged over its arbitrary choice; batch: mws without its constants"
    ),
]


@dataclass(frozen=True, config=STRICT)
class BetaTCVAE:
    """minimises  rec + alpha * MI + beta * TC + gamma * (marginal KLs),  in nats per image.

    Each of the three is an estimate from one batch and one code an image. Their sum is the KL, so with alpha = gamma =
    1 the loss is also  rec + KL + (beta - 1) * TC,  and the closed form of the KL makes it less noisy: the default
    there, as in Locatello et al., 2019; with beta = 1 it is the VAE. Where the weights are mws, whose constants would
    drown them (15 nats on a total correlation of 0.2), the parts are logged with the weights 1 / B instead.
    Chen, Li, Grosse & Duvenaud, Isolating Sources of Disentanglement in VAEs, NeurIPS 2018,
    https://arxiv.org/abs/1802.04942
    """

    alpha: Annotated[float, Field(ge=0, description="weight of the mutual information; 0 leaves it out")] = 1.0
    beta: Annotated[float, Field(ge=0, description="weight of the total correlation; the published code's")] = 6.0
    gamma: Annotated[float, Field(ge=0, description="weight of the marginal KLs; as published")] = 1.0
    weights: Weights = "mws"
    form: Annotated[
        Literal["auto", "analytic", "mc"],
        Field(
            description="analytic: rec + KL + (beta - 1) TC, for alpha = gamma = 1; mc: the three parts, as published; "
            "auto: analytic where it can be"
        ),
    ] = "auto"
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "beta-tcvae"
    summary: ClassVar[str] = "the total correlation, estimated from the batch, is penalised"
    defaults: ClassVar[Mapping[str, object]] = {}
    presets: ClassVar[Mapping[str, Preset]] = {
        "authors": Preset(
            "the published code on dSprites: MLP, batch 2048, learning rate 1e-3, 50 epochs of 360 steps",
            {
                "method.form": "mc",
                "net.name": "mlp_tc",
                "train.lr": 1e-3,
                "train.batch": 2048,
                "train.steps": 18_000,
            },
        ),
        "paper_isa": Preset(
            "baseline of the ISA-VAE paper on dSprites, beta from 1 to 6: MLP, 20 latents, batch 2048, 20 epochs",
            {
                "method.beta": 2.0,
                "method.form": "mc",
                "net.name": "mlp_tc",
                "net.latent": 20,
                "train.lr": 1e-3,
                "train.batch": 2048,
                "train.steps": 7200,
            },
        ),
        "mss": Preset("stratified weights: q(z) without bias", {"method.weights": "mss"}),
        "mss_rb": Preset("stratified weights, averaged: q(z) without bias, less noise", {"method.weights": "mss_rb"}),
    }

    def build(self, shape: Shape) -> Objective:
        whole = self.alpha == self.gamma == 1
        if self.form == "analytic" and not whole:
            raise InputError(
                f"method.form is analytic, which needs alpha = gamma = 1, and they are {self.alpha:g} and "
                f"{self.gamma:g}; take form=mc"
            )
        parts = decomposition(self.weights)
        measured, weights = parts, {"mi": self.alpha, "tc": self.beta, "dim_kl": self.gamma}
        if whole and self.form != "mc":
            measured, weights = {"kl": terms.kl, "tc": parts["tc"]}, {"kl": 1.0, "tc": self.beta - 1}
        return Objective(
            terms={"rec": terms.rec, **measured},
            balance=Fixed(weights),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
            monitors=monitors(self.weights),
        )


def decomposition(weights: terms.Weighting) -> dict[str, terms.Term]:
    """The three parts of the KL, with these weights."""
    return {
        "mi": partial(terms.mi, weights=weights),
        "tc": partial(terms.tc, weights=weights),
        "dim_kl": partial(terms.dim_kl, weights=weights),
    }


def monitors(weights: terms.Weighting) -> dict[str, terms.Term]:
    """What is logged: the KL, and its parts without the constants of mws."""
    return {"kl": terms.kl, **decomposition("batch" if weights == "mws" else weights)}
