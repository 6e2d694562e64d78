"""DynamicVAE: beta starts high and falls until the KL is at its set point."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.balance import IncrementalPI
from equipoise.balance.contract import NonNegative, Positive
from equipoise.methods.control_vae import RisingSetPoint, set_point
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class DynamicVAE(RisingSetPoint):
    """Minimise  rec + beta_t * KL,  in nats per image; beta_t changes until the KL is at the set point C_t.

    beta_t = max(beta_(t-1) + kp (sigmoid(-e_t) - sigmoid(-e_(t-1))) - ki e_t, beta_min), with the error e = C_t - mean
    KL of the last `window` batches. C_t rises by increments, each over the first sixth of its window of steps. With an
    error of e nats, beta changes by ki e in a step: from 150 it takes 30,000 steps at an error of 1 nat to reach 0.

    Deviations: the next increment is added to the clipped beta (`anti_windup`); the mean is over the batches so far
    (`zero_pad`); the set point rises over a fraction of the schedule instead of a number of steps.

    Source:
        Shao et al., Rethinking Controllable Variational Autoencoders, CVPR 2022; preprint:
        https://arxiv.org/abs/2009.06795

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["dynamic-vae"](target=18.0).target
        18.0
    """

    target: Positive = 20.0
    """Set point of the KL at the end, nats; 18 to 20 are the publication's."""
    kp: NonNegative = 0.01
    """Proportional gain. Default: the publication's."""
    ki: NonNegative = 0.005
    """Integral gain per step. Default: the publication's."""
    beta_0: Positive = 150.0
    """beta at the start. Default: the publication's. The released programs have 50, 90 and 100."""
    beta_min: NonNegative = 0.1
    """Lowest beta. Default: the publication's."""
    window: Annotated[int, Field(ge=1)] = 5
    """Number of batches in the mean KL that is controlled; published: 5."""
    anti_windup: Literal["conditional", "code"] = "conditional"
    """The step after beta reached beta_min. `conditional` continues from the clipped beta. `code`, the released
    program, continues from the unclipped one, which can stay below beta_min for ever."""
    zero_pad: bool = False
    """Whether the first means include zeros for missing batches, as in the released program."""

    name: ClassVar[str] = "dynamic-vae"
    summary: ClassVar[str] = "beta starts high and comes down until the KL is at a set point"
    defaults: ClassVar[Settings] = {"net.name": "higgins_h"}  # the publication's
    presets: ClassVar[Presets] = presets("dynamic-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for limits in conflict."""
        balance = IncrementalPI(
            set_point(self, self.target, rise=1 / 6),
            self.kp,
            self.ki,
            self.beta_0,
            self.beta_min,
            self.window,
            self.anti_windup,
            self.zero_pad,
        )
        return gaussian_objective(self, shape, balance)
