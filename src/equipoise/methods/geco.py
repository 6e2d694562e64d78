"""GECO: the smallest KL at which the reconstruction error stays within a bound."""

import math
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise.balance import ErrorBound
from equipoise.balance.contract import Fraction, NonNegative, Positive
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN, Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class GECO(Noise):
    """Minimise  KL  subject to  E <= tau,  with E the squared error per image; the loss is  rec + beta_t * KL.

    beta_t = S / lambda_t, with the multiplier lambda_t of the constraint and S the spread of the images: the nats by
    which rec of the mean image exceeds that of a perfect reconstruction. log lambda moves by ki e / T in each of the T
    steps of the schedule, with e = log(E / tau) limited to -1 to 1, and by kp times the change of the running mean of e
    ("nupi"); or by ki / T times that running mean ("geco").

    Deviations: the published multiplier weights rec, and here its inverse weights the KL, with the same minimum. The
    published error is E - tau, whose gain depends on the size of the images. The published rule is step="geco".

    Source:
        Rezende & Viola, Taming VAEs, 2018, https://arxiv.org/abs/1810.00597; nuPI: Sohrabi et al., On PI Controllers
        for Updating Lagrange Multipliers in Constrained Optimization, ICML 2024, https://arxiv.org/abs/2406.04558

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["geco"](tau=25.0, unit="psnr").tau
        25.0
    """

    tau: Positive | None = None
    """The bound in `unit`. Unset: 1 in the unit `explained`, the squared error that a VAE reaches in the probe."""
    unit: Literal["explained", "sse", "mse", "psnr"] = "explained"
    """`sse`: squared error per image, summed over channels and pixels. `mse`: mean squared error of a pixel, 0 to 1.
    `psnr`: dB, of the mean squared error. `explained`: a share of the squared error that a VAE with beta at `start`
    explains at the end of the probe."""
    probe: Fraction = 0.25
    """Fraction of the schedule in which beta stays at `start`, for `explained`."""
    step: Literal["nupi", "geco"] = "nupi"
    """Rule of the multiplier. `nupi`: proportional and integral. `geco`: integral of a running mean, as published."""
    ki: NonNegative = 90.0
    """Integral gain, in a schedule."""
    kp: NonNegative = 1.0
    """Proportional gain of `nupi`."""
    memory: Fraction = 0.01
    """Fraction of the schedule over which the running mean of e averages; published: 100 steps."""
    start: Positive = 1.8e-3
    """First beta, in units of the spread. Default: that of the VAE with cross-entropy on dSprites."""

    name: ClassVar[str] = "geco"
    summary: ClassVar[str] = "the smallest KL at which the reconstruction error stays within a bound"
    defaults: ClassVar[Settings] = {"train.lr": 1e-3, **AT_MEAN}  # with 1e-4 the probe explains little
    presets: ClassVar[Presets] = presets("geco")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for a unit without tau."""
        balance = ErrorBound(
            self._bound(shape),
            explained=1.0 if self.tau is None else self.tau,
            probe=self.probe,
            step=self.step,
            ki=self.ki,
            kp=self.kp,
            memory=self.memory,
            start=self.start,
        )
        return gaussian_objective(self, shape, balance)

    def _bound(self, shape: Shape) -> float | None:
        """Return the largest squared error per image, None if the probe determines it."""
        if self.unit == "explained":
            return None
        if self.tau is None:
            raise InputError(f"method.unit is {self.unit}, but method.tau is unset; set it to the bound in that unit")
        pixels = math.prod(shape.image)
        return {"sse": self.tau, "mse": pixels * self.tau, "psnr": pixels * 10 ** (-self.tau / 10)}[self.unit]
