"""Progressive RF-VAE: RF-VAE in which the weight of the total correlation follows the discriminator's accuracy."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.progressive_factor_vae import Progressive, feedback
from equipoise.methods.rf_vae import Relevant, relevance_objective
from equipoise.methods.shared import AT_MEAN
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class ProgressiveRFVAE(Relevant, Progressive):
    """Minimise  rec + sum_j lambda(r_j) KL_j + beta * TC(r z) + eta_s sum_j r_j + eta_h sum_j H(r_j),  in nats.

    This is RF-VAE (`rf-vae`) with a beta that follows the accuracy a of the discriminator. If a > target + window, beta
    is divided by scale. If a < target - window, beta is multiplied by scale.

    Deviations from the paper: its Eq. 3 changes beta in the opposite direction to its text, and the text is implemented
    here; its Eq. 2 writes the penalised term as KL(q(z) || p(z)), but the discriminator it describes estimates the
    total correlation; the accuracy is a running mean; beta has bounds.

    Source:
        Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["progressive-rf-vae"](beta_0=10.0).beta_0
        10.0
    """

    name: ClassVar[str] = "progressive-rf-vae"
    summary: ClassVar[str] = "RF-VAE whose weight follows the discriminator's accuracy"
    defaults: ClassVar[Settings] = {"net.name": "factor", **AT_MEAN}
    presets: ClassVar[Presets] = presets("progressive")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for settings in conflict."""
        return relevance_objective(self, shape, feedback(self))
