"""Progressive RF-VAE: RF-VAE in which the weight of the total correlation follows the discriminator's accuracy."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.methods.method import STRICT, AdversaryRate, LikelihoodName, Preset, Shape, Sigma, Source, Width
from equipoise.methods.progressive_factor_vae import (
    PROGRESSIVE,
    Beta0,
    BetaMax,
    BetaMin,
    Scale,
    Smoothing,
    Target,
    TargetEnd,
    Window,
    feedback,
)
from equipoise.methods.rf_vae import relevant
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class ProgressiveRFVAE:
    """minimises  rec + sum_j lambda(r_j) KL_j + beta * TC(r z) + eta_s sum_j r_j + eta_h sum_j H(r_j),  in nats.

    RF-VAE (`rf-vae`) whose beta follows the discriminator's accuracy a: a > target + window: beta / scale;
    a < target - window: beta * scale; else beta stays. Deviations from the paper: its Eq. 3 moves beta the other way
    than its text, which is followed here; its Eq. 2 writes the penalised term as KL(q(z) || p(z)), while the
    discriminator it describes measures the total correlation; the accuracy is a running mean; beta has bounds.
    Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE
    """

    target: Target = 0.75
    target_end: TargetEnd = None
    window: Window = 0.05
    scale: Scale = 0.999
    smoothing: Smoothing = 0.99
    beta_0: Beta0 = 6.4
    beta_min: BetaMin = 1e-2
    beta_max: BetaMax = 1e3
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

    name: ClassVar[str] = "progressive-rf-vae"
    summary: ClassVar[str] = "RF-VAE whose weight follows the discriminator's accuracy"
    defaults: ClassVar[Mapping[str, object]] = {"net.name": "factor"}
    presets: ClassVar[Mapping[str, Preset]] = PROGRESSIVE

    def build(self, shape: Shape) -> Objective:
        return relevant(self, shape, feedback(self))
