"""Annealed VAE: a penalty keeps the KL close to a growing capacity."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.balance import Capacity
from equipoise.balance.contract import Fraction, NonNegative, Steps
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class AnnealedVAE(Noise):
    """Minimise  rec + gamma * |KL - C|,  in nats per image, where C grows from c_start to c_end.

    The absolute value applies to the mean KL of the batch, as in the published code. Some libraries apply it to each
    image.

    Source:
        Burgess et al., Understanding disentangling in beta-VAE, 2018, https://arxiv.org/abs/1804.03599

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["annealed-vae"](c_end=15.0).c_end
        15.0
    """

    gamma: NonNegative = 1000.0
    """Weight of the distance from the capacity. Default: as published."""
    c_start: NonNegative = 0.0
    """Capacity at the start, nats."""
    c_end: NonNegative = 25.0
    """Capacity at the end, nats. Default: as published."""
    until: Fraction = 0.6
    """Fraction of the schedule after which the capacity is constant; 0.6 as in all ramps here."""
    until_steps: Steps | None = None
    """The same in steps, as publications state it; unset: `until` applies."""

    name: ClassVar[str] = "annealed-vae"
    summary: ClassVar[str] = "a penalty keeps the KL close to a growing capacity"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("annealed-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        balance = Capacity(self.gamma, self.c_start, self.c_end, self.until, self.until_steps)
        return gaussian_objective(self, shape, balance)
