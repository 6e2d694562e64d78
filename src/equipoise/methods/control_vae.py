"""ControlVAE: a proportional-integral controller keeps the KL at a set point."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise.balance import PI, SetPoint
from equipoise.balance.contract import Fraction, NonNegative, Positive, Steps
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN, Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RisingSetPoint(Noise):
    """Settings of the law and the set point that ControlVAE and DynamicVAE share."""

    law: Literal["scaled", "published"] = "scaled"
    """`scaled`: beta in units of the spread of the images, a law of its logarithm, and gains for a whole schedule.
    `published`: beta in nats, a law of beta itself, and gains for a step."""
    ramp: bool = True
    """Whether the set point rises. Without it the set point is `target` from the first step."""
    start: NonNegative = 0.5
    """Set point at the start, nats. Default: as published. Without effect if `ramp` is false."""
    increment: Positive = 0.15
    """Height of a step of the set point, nats. Default: as published. Without effect if `ramp` is false."""
    until: Fraction = 0.6
    """Fraction of the schedule at which `target` is reached; 0.6 as in all ramps. Without effect if `ramp` is false."""
    every: Steps | None = None
    """Training steps between increments of the set point (published: 5,000 for ControlVAE, 6,000 for DynamicVAE);
    unset: `until` applies. Without effect if `ramp` is false."""


def constants(settings: RisingSetPoint, scaled: Mapping[str, float], published: Mapping[str, float]) -> dict[str, Any]:
    """Return the settings that `scaled` has by name; one that is unset has the value of the law, or is None."""
    default = scaled if settings.law == "scaled" else published
    values = {name: getattr(settings, name) for name in scaled}
    return {name: default.get(name) if value is None else value for name, value in values.items()}


def set_point(settings: RisingSetPoint, target: float, rise: float = 0.0) -> SetPoint | float:
    """Return the set point of a controller, which rises to `target` or is `target` from the first step."""
    if not settings.ramp:
        return target
    return SetPoint(target, settings.start, settings.increment, settings.every, rise=rise, until=settings.until)


SCALED = {"kp": 0.5, "ki": 8.0, "beta_min": 1.8e-3, "beta_max": 0.15}
PUBLISHED = {"kp": 0.01, "ki": 0.001, "beta_min": 1.0}


@dataclass(frozen=True, config=STRICT)
class ControlVAE(RisingSetPoint):
    """Minimise  rec + beta_t * KL,  in nats per image; beta_t keeps the KL at the set point C_t.

    beta_t = S b_t, with S the spread of the images: the nats by which rec of the mean image exceeds that of a perfect
    reconstruction. log b_t = clip(kp sigmoid(-e) + I + log beta_min, log beta_min, log beta_max), and I <- I - ki e / T
    in each of the T steps of the schedule, with the error e = C_t - KL of the same batch. A set point above the KL at
    beta_min cannot be reached.

    Deviations, which `law=published` undoes: there beta_t itself is clip(kp sigmoid(-e) + I + beta_min), I <- I - ki e,
    so that gains and limits hold for one data set and one length. Deviations of both laws: at the limits the integral
    stops and can come back (`anti_windup`), which no published form does; the set point rises over a fraction of the
    schedule instead of a number of steps.

    Source:
        Shao et al., ControlVAE: Controllable Variational Autoencoder, ICML 2020, https://arxiv.org/abs/2004.05988

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["control-vae"](target=16.0).target
        16.0
    """

    target: Positive = 18.0
    """Set point of the KL at the end, nats; 16 and 18 are the published values for dSprites."""
    kp: NonNegative | None = None
    """Proportional gain; unset: 0.5, so beta changes by a factor of up to 1.6, or 0.01 with law=published."""
    ki: NonNegative | None = None
    """Integral gain; unset: 8 in a schedule, with which five active latents close an error in a twentieth of it; or
    0.001 in a step with law=published."""
    beta_min: NonNegative | None = None
    """Lowest beta; unset: the published value for disentangling, 1, which is 0.0018 of the spread of dSprites."""
    beta_max: Positive | None = None
    """Highest beta; unset: 0.15 of the spread, where at most one latent of dSprites is active; none with
    law=published."""
    anti_windup: Literal["conditional", "code", "paper"] = "conditional"
    """The integral when beta is at a limit. `conditional` leaves out updates that would push beta further. `code`, the
    released program, can freeze permanently. `paper` always integrates."""

    name: ClassVar[str] = "control-vae"
    summary: ClassVar[str] = "a controller keeps the KL at a set point"
    defaults: ClassVar[Settings] = {"net.name": "higgins_h", **AT_MEAN}  # the net is the publication's
    presets: ClassVar[Presets] = presets("control-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for limits in conflict."""
        target = set_point(self, self.target)
        values = constants(self, SCALED, PUBLISHED)
        unit = "spread" if self.law == "scaled" else None
        balance = PI(target, **values, anti_windup=self.anti_windup, unit=unit)
        return gaussian_objective(self, shape, balance)
