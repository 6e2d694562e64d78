"""ISA-VAE: a prior of independent subspaces, which alone breaks the rotation symmetry of the latents."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Fixed
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective
from equipoise.priors import LpNested


def leaves(layout: Any) -> int:
    """How many latents a layout holds; what is not a size counts for none, and `LpNested` refuses it."""
    if isinstance(layout, list | tuple):
        return sum(leaves(child) for child in layout)
    return layout if isinstance(layout, int) else 0


@dataclass(frozen=True, config=STRICT)
class Subspaces:
    """The prior that ISA-VAE and ISA-beta-TCVAE share."""

    layout: Annotated[
        tuple[Any, ...],
        Field(
            min_length=1,
            description="sizes of the subspaces, or lists of lists for a deeper tree; they add up to the latents",
        ),
    ] = (4, 4, 4, 4, 4)
    p0: Annotated[float, Field(gt=0, description="exponent between subspaces; the paper's, and never learned")] = 2.1
    p: Annotated[
        float,
        Field(
            ge=1,
            description="exponent within each subspace; the paper's for dSprites. With p = p0 the prior factorises",
        ),
    ] = 2.2
    scale: Annotated[
        float | Literal["unit_variance"],
        Field(
            description="s of the radial density; 1 in the published code, 2 is the standard normal for p = p0 = 2; "
            "unit_variance: latents of variance 1"
        ),
    ] = 1.0
    learned: Annotated[bool, Field(description="learn the exponents within subspaces, from p")] = False
    p_min: Annotated[
        float, Field(ge=1, description="learned exponents stay above this; 1, or 1.8 as in the published code")
    ] = 1.0
    prior_lr: Annotated[float, Field(gt=0, description="learning rate of the exponents; the published code's")] = 5e-4

    @property
    def latent(self) -> int:
        """Latents that the layout holds."""
        return leaves(self.layout)

    def prior(self, shape: Shape) -> LpNested:
        """Raises `InputError` where the layout has more or fewer latents than the net."""
        if self.latent != shape.latent:
            raise InputError(
                f"method.layout adds up to {self.latent} latents, but net.latent is {shape.latent}; leave net.latent "
                f"out, or make them equal"
            )
        return LpNested(self.layout, self.p0, self.p, self.scale, self.learned, self.p_min)


@dataclass(frozen=True, config=STRICT)
class ISAVAE(Subspaces):
    """minimises  rec + beta * mean of (log q(z|x) - log p(z)),  in nats per image, p the L^p-nested prior.

    The prior is a product over subspaces, and within a subspace no rotation leaves it unchanged where the exponents are
    not 2; so beta = 1, the evidence lower bound itself, already prefers some axes. One sample estimates the KL.
    Stuehmer, Turner & Nowozin, Independent Subspace Analysis for Unsupervised Learning of Disentangled Representations,
    AISTATS 2020, https://arxiv.org/abs/1909.05063
    """

    beta: Annotated[float, Field(ge=0, description="weight of the KL; 1 is the paper's headline")] = 1.0
    estimator: Annotated[
        Literal["mc", "entropy", "stl"],
        Field(
            description="of the KL from one sample; mc: as published; entropy: that of q in closed form; stl: without "
            "the gradient that has mean 0 (Roeder et al., 2017)"
        ),
    ] = "mc"
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "isa-vae"
    summary: ClassVar[str] = "a prior of independent subspaces in place of a weight"
    # The paper's protocol for dSprites: 20 epochs, 360 steps each.
    defaults: ClassVar[Mapping[str, object]] = {
        "net.name": "mlp_tc",
        "train.lr": 1e-3,
        "train.batch": 2048,
        "train.steps": 7200,
    }
    presets: ClassVar[Mapping[str, Preset]] = {
        "faces": Preset("the paper on 3D faces: three subspaces, p 1.9", {"method.layout": (4, 4, 4), "method.p": 1.9}),
        "learned": Preset("exponents learned from 2", {"method.learned": True, "method.p": 2.0}),
        "unit_variance": Preset("the prior scaled to latents of variance 1", {"method.scale": "unit_variance"}),
    }

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={"rec": terms.rec, "kl": partial(terms.kl_mc, estimator=self.estimator)},
            balance=Fixed({"kl": self.beta}),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=self.prior(shape),
            prior_lr=self.prior_lr,
        )
