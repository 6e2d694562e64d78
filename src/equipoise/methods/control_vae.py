"""ControlVAE: a proportional-integral controller holds the KL at a set point."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.balance import PI, SetPoint
from equipoise.balance.contract import NonNegative, Positive
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RisingSetPoint(Noise):
    """Settings of the set point that ControlVAE and DynamicVAE share."""

    ramp: bool = True
    """Whether the set point rises. Without it the set point is `target` from the first step."""
    start: NonNegative = 0.5
    """Set point at the start, nats. Default: the publication's."""
    increment: Positive = 0.15
    """Height of a step of the set point, nats. Default: the publication's."""
    until: Annotated[float, Field(gt=0, le=1)] = 0.6
    """Fraction of the schedule at which `target` is reached; 0.6 as in all ramps."""
    every: Annotated[int | None, Field(gt=0)] = None
    """Training steps between increments of the set point (published: 5,000 for ControlVAE, 6,000 for DynamicVAE);
    unset: `until` applies."""


def set_point(settings: RisingSetPoint, target: float, rise: float = 0.0) -> SetPoint | float:
    """Return the set point of a controller, which rises to `target` or is `target` from the first step."""
    if not settings.ramp:
        return target
    return SetPoint(target, settings.start, settings.increment, settings.every, rise=rise, until=settings.until)


@dataclass(frozen=True, config=STRICT)
class ControlVAE(RisingSetPoint):
    """Minimise  rec + beta_t * KL,  in nats per image; beta_t holds the KL at the set point C_t.

    beta_t = clip(kp sigmoid(-e) + I + beta_min, beta_min, beta_max), I <- I - ki e, with the error e = C_t - KL of the
    same batch. To choose `target`, train a plain VAE, read its KL, and set a target a little below it. With beta_min =
    1 a set point above that KL cannot be reached.

    Deviations: at the limits the integral stops and can come back (`anti_windup`), which no published form does; the
    set point rises over a fraction of the schedule instead of a number of steps.

    Source:
        Shao et al., ControlVAE: Controllable Variational Autoencoder, ICML 2020, https://arxiv.org/abs/2004.05988

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["control-vae"](target=16.0).target
        16.0
    """

    target: Positive = 18.0
    """Set point of the KL at the end, nats; 16 and 18 are the publication's for dSprites."""
    kp: NonNegative = 0.01
    """Proportional gain. Default: the publication's."""
    ki: NonNegative = 0.001
    """Integral gain per step. Default: the publication's."""
    beta_min: NonNegative = 1.0
    """Lowest beta. Default: the publication's for disentangling."""
    beta_max: Positive | None = None
    """Highest beta; unset: none, as published."""
    anti_windup: Literal["conditional", "code", "paper"] = "conditional"
    """The integral when beta is at a limit. `conditional` leaves out updates that would push beta further. `code`, the
    released program, can freeze for ever. `paper` always integrates."""

    name: ClassVar[str] = "control-vae"
    summary: ClassVar[str] = "a controller holds the KL at a set point"
    defaults: ClassVar[Settings] = {"net.name": "higgins_h"}  # the publication's
    presets: ClassVar[Presets] = presets("control-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for limits in conflict."""
        target = set_point(self, self.target)
        balance = PI(target, self.kp, self.ki, self.beta_min, self.beta_max, self.anti_windup)
        return gaussian_objective(self, shape, balance)
