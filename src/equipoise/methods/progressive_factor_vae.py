"""Progressive FactorVAE: the weight of the total correlation follows the discriminator's accuracy."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.adversary import Adversary
from equipoise.balance import AccuracyFeedback, Fixed, Joint
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, AdversaryRate, LikelihoodName, Preset, Shape, Sigma, Source, Width
from equipoise.objective import Objective
from equipoise.priors import StandardNormal

PROGRESSIVE: Mapping[str, Preset] = {
    "annealed_target": Preset(
        "the paper's other form: the target falls from 0.85 to 0.60, so reconstruction comes first",
        {"method.target": 0.85, "method.target_end": 0.6},
    ),
    "literal": Preset("the accuracy of each step as it is, without a running mean", {"method.smoothing": 0.0}),
}


@dataclass(frozen=True, config=STRICT)
class Progressive:
    """The rule of both progressive methods."""

    target: Annotated[
        float,
        Field(
            ge=0.5, le=1, description="accuracy the discriminator is held at; the paper's. 0.75 leaves about 0.9 nats"
        ),
    ] = 0.75
    target_end: Annotated[
        float | None,
        Field(ge=0.5, le=1, description="the target moves linearly to this one over the schedule; unset: it stays"),
    ] = None
    window: Annotated[
        float, Field(ge=0, description="distance from the target within which beta stays; the paper's")
    ] = 0.05
    scale: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="factor of one step; the paper's slowest, with which the noise of one batch averages out",
        ),
    ] = 0.999
    smoothing: Annotated[
        float,
        Field(
            ge=0, lt=1, description="decay of the running mean of the accuracy; 0: that of one step, as in the paper"
        ),
    ] = 0.99
    beta_0: Annotated[
        float, Field(gt=0, description="weight at the start; RF-VAE's gamma, as the paper gives none")
    ] = 6.4
    beta_min: Annotated[
        float,
        Field(
            gt=0,
            description="lowest weight; the paper has none, and beta would go to 0 with a discriminator that fails",
        ),
    ] = 1e-2
    beta_max: Annotated[float, Field(gt=0, description="highest weight; the paper has none")] = 1e3

    def feedback(self) -> AccuracyFeedback:
        """The balance of the total correlation. Raises `InputError` where beta_0 is out of its bounds."""
        if not self.beta_min <= self.beta_0 <= self.beta_max:
            raise InputError(
                f"method.beta_0 is {self.beta_0:g}; expected a value from beta_min, {self.beta_min:g}, to beta_max, "
                f"{self.beta_max:g}"
            )
        rule = self.target, self.target_end, self.window, self.scale, self.smoothing
        return AccuracyFeedback("tc", *rule, self.beta_0, self.beta_min, self.beta_max)


@dataclass(frozen=True, config=STRICT)
class ProgressiveFactorVAE(Progressive):
    """minimises  rec + KL + beta * TC,  in nats per image; beta follows the discriminator's accuracy a.

    a > target + window: beta / scale; a < target - window: beta * scale; else beta stays. Deviations from the paper:
    its Eq. 3 moves beta the other way than its text, which is followed here; the accuracy is a running mean; beta has
    bounds.
    Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE; base: FactorVAE, Kim & Mnih, ICML 2018,
    https://arxiv.org/abs/1802.05983
    """

    width: Width = 1000
    layers: Annotated[int, Field(ge=1, description="hidden layers of the discriminator; FactorVAE's")] = 6
    second: Source = "other"
    adversary_lr: AdversaryRate = 1e-4
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "progressive-factor-vae"
    summary: ClassVar[str] = "FactorVAE whose weight follows the discriminator's accuracy"
    defaults: ClassVar[Mapping[str, object]] = {}
    presets: ClassVar[Mapping[str, Preset]] = PROGRESSIVE

    def build(self, shape: Shape) -> Objective:
        adversary = Adversary(shape.latent, self.width, self.layers, source=self.second, lr=self.adversary_lr)
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl, "tc": lambda p: adversary.log_ratio(p.z)},
            balance=Joint(Fixed({"kl": 1.0}), self.feedback()),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
            adversary=adversary,
        )
