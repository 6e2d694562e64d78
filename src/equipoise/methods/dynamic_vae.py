"""DynamicVAE: beta starts high and falls until the KL is at its set point."""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise.balance import IncrementalPI
from equipoise.balance.contract import NonNegative, Positive, Steps
from equipoise.methods.control_vae import RisingSetPoint, constants, set_point
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN, gaussian_objective
from equipoise.objective import Objective

SCALED = {"kp": 0.5, "ki": 8.0, "beta_0": 0.15, "beta_min": 1.8e-4}
PUBLISHED = {"kp": 0.01, "ki": 0.005, "beta_0": 150.0, "beta_min": 0.1}


@dataclass(frozen=True, config=STRICT)
class DynamicVAE(RisingSetPoint):
    """Minimise  rec + beta_t * KL,  in nats per image; beta_t changes until the KL is at the set point C_t.

    beta_t = S b_t, with S the spread of the images: the nats by which rec of the mean image exceeds that of a perfect
    reconstruction. log b_t = log b_(t-1) + kp (sigmoid(-e_t) - sigmoid(-e_(t-1))) - ki e_t / T, clipped to the logs of
    beta_min and beta_0, for a schedule of T steps and the error e = C_t - mean KL of the last `window` batches. C_t
    rises by increments, each over the first sixth of its window of steps.

    Deviations, which `law=published` undoes: there beta_t itself moves by ki e in each step, so that it takes 30,000
    steps at an error of 1 nat to come down from 150, and the limits hold for one data set. Deviations of both laws: the
    next increment is added to the clipped beta (`anti_windup`); the mean is over the batches so far (`zero_pad`); the
    set point rises over a fraction of the schedule instead of a number of steps.

    Source:
        Shao et al., Rethinking Controllable Variational Autoencoders, CVPR 2022; preprint:
        https://arxiv.org/abs/2009.06795

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["dynamic-vae"](target=18.0).target
        18.0
    """

    target: Positive = 20.0
    """Set point of the KL at the end, nats; published: 18 to 20."""
    kp: NonNegative | None = None
    """Proportional gain; unset: 0.5, so beta changes by a factor of up to 1.6, or 0.01 with law=published."""
    ki: NonNegative | None = None
    """Integral gain; unset: 8 in a schedule, with which five active latents close an error in a twentieth of it; or
    0.005 in a step with law=published."""
    beta_0: Positive | None = None
    """beta at the start; unset: 0.15 of the spread, where at most one latent of dSprites is active; 150 with
    law=published, at which none is (the released programs have 50, 90 and 100)."""
    beta_min: NonNegative | None = None
    """Lowest beta; unset: the published value, 0.1, which is 0.00018 of the spread of dSprites."""
    window: Steps = 5
    """Number of batches in the mean KL that is controlled; published: 5."""
    anti_windup: Literal["conditional", "code"] = "conditional"
    """The step after beta reached beta_min. `conditional` continues from the clipped beta. `code`, the released
    program, continues from the unclipped one, which can stay below beta_min permanently."""
    zero_pad: bool = False
    """Whether the first means include zeros for missing batches, as in the released program."""

    name: ClassVar[str] = "dynamic-vae"
    summary: ClassVar[str] = "beta starts high and falls until the KL is at a set point"
    defaults: ClassVar[Settings] = {"net.name": "higgins_h", **AT_MEAN}  # the net is the publication's
    presets: ClassVar[Presets] = presets("dynamic-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for limits in conflict."""
        balance = IncrementalPI(
            set_point(self, self.target, rise=1 / 6),
            **constants(self, SCALED, PUBLISHED),
            window=self.window,
            anti_windup=self.anti_windup,
            zero_pad=self.zero_pad,
            unit="spread" if self.law == "scaled" else None,
        )
        return gaussian_objective(self, shape, balance)
