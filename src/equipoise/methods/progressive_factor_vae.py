"""Progressive FactorVAE: the weight of the total correlation follows the discriminator's accuracy."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.balance import AccuracyFeedback, Fixed, Joint
from equipoise.balance.adaptive import Accuracy
from equipoise.balance.contract import Fraction, NonNegative, Positive, Share
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN, Discriminator, adversarial_objective
from equipoise.objective import Objective


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Progressive:
    """Settings of the rule that both progressive methods share."""

    target: Accuracy = 0.75
    """Set point of the discriminator's accuracy. Default: as in the paper. At 0.75 about 0.9 nats remain."""
    target_end: Accuracy | None = None
    """The target moves linearly to this one over the schedule; unset: constant."""
    window: NonNegative = 0.05
    """Distance from the target within which beta does not change. Default: as in the paper."""
    scale: Fraction = 0.999
    """Factor of one step. Default: the slowest of the paper, which averages out the noise of single batches."""
    smoothing: Share = 0.99
    """Decay of the running mean of the accuracy; 0: the accuracy of one step, as in the paper."""
    beta_0: Positive = 6.4
    """Weight at the start. Default: RF-VAE's gamma, because the paper gives none."""
    beta_min: Positive = 1e-2
    """Lowest weight; the paper has none, and beta would go to 0 with a discriminator that fails."""
    beta_max: Positive = 1e3
    """Highest weight; the paper has none."""


def feedback(settings: Progressive) -> AccuracyFeedback:
    """Return the balance of the total correlation. Raises `InputError` if beta_0 is outside its bounds."""
    return AccuracyFeedback(
        "tc",
        settings.target,
        settings.target_end,
        settings.window,
        settings.scale,
        settings.smoothing,
        settings.beta_0,
        settings.beta_min,
        settings.beta_max,
    )


@dataclass(frozen=True, config=STRICT)
class ProgressiveFactorVAE(Discriminator, Progressive):
    """Minimise  rec + KL + beta * TC,  in nats per image; beta follows the accuracy a of the discriminator.

    If a > target + window, beta is divided by scale. If a < target - window, beta is multiplied by scale.

    Deviations from the paper: its Eq. 3 changes beta in the opposite direction to its text, and the text is implemented
    here; the accuracy is a running mean; beta has bounds.

    Source:
        Akinola & Fobi, Progressive Disentanglement Using Relevant Factor VAE. Base: FactorVAE, Kim & Mnih, ICML 2018,
        https://arxiv.org/abs/1802.05983

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["progressive-factor-vae"](target=0.8).target
        0.8
    """

    name: ClassVar[str] = "progressive-factor-vae"
    summary: ClassVar[str] = "FactorVAE whose weight follows the discriminator's accuracy"
    defaults: ClassVar[Settings] = AT_MEAN
    presets: ClassVar[Presets] = presets("progressive")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for bounds in conflict."""
        return adversarial_objective(self, shape, Joint(Fixed({"kl": 1.0}), feedback(self)))
