"""Progressive RF-VAE: RF-VAE in which the weight of the total correlation follows the discriminator's accuracy."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.methods.method import STRICT, Preset, Shape
from equipoise.methods.progressive_factor_vae import PROGRESSIVE, Progressive
from equipoise.methods.rf_vae import Relevant
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class ProgressiveRFVAE(Relevant, Progressive):
    """minimises  rec + sum_j lambda(r_j) KL_j + beta * TC(r z) + eta_s sum_j r_j + eta_h sum_j H(r_j),  in nats.

    RF-VAE (`rf-vae`) whose beta follows the discriminator's accuracy a: a > target + window: beta / scale;
    a < target - window: beta * scale; else beta stays. Deviations from the paper: its Eq. 3 moves beta the other way
    than its text, which is followed here; its Eq. 2 writes the penalised term as KL(q(z) || p(z)), while the
    discriminator it describes measures the total correlation; the accuracy is a running mean; beta has bounds.
    Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE
    """

    name: ClassVar[str] = "progressive-rf-vae"
    summary: ClassVar[str] = "RF-VAE whose weight follows the discriminator's accuracy"
    defaults: ClassVar[Mapping[str, object]] = {"net.name": "factor"}
    presets: ClassVar[Mapping[str, Preset]] = PROGRESSIVE

    def build(self, shape: Shape) -> Objective:
        return self.objective(shape, self.feedback())
