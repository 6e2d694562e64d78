"""Aligned VAE: a weight of the KL that falls from high to low, and axes that are rotated to independent directions."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.alignment import Alignment
from equipoise.balance import Descent
from equipoise.balance.contract import Fraction, NonNegative, Positive, Share, Steps
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import FAST, Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class AlignedVAE(Noise):
    """Minimise  rec + beta * KL,  in nats per image, with a beta that falls; every few steps, rotate the latent axes.

    beta falls from `start` to `end`, both in units of the spread: the nats per image by which `rec` of the mean image
    exceeds that of a perfect reconstruction. It pauses while the latents of the strongest factors settle, at the start
    or when the KL exceeds `entry`, and then falls geometrically. The weaker factors follow, while the latents of the
    strong ones stay.

    The KL does not change under rotations of the latent space, so factors of similar strength, such as the positions in
    x and in y, can share their latents at any angle. The rotation to the least total correlation of the codes gives
    each factor an axis.

    Source:
        Equipoise. Related: Burgess et al., Understanding disentangling in beta-VAE, 2018,
        https://arxiv.org/abs/1804.03599 (factors that enter one after the other); Learned-Miller & Fisher, ICA Using
        Spacings Estimates of Entropy, JMLR 2003 (the rotation).

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["aligned-vae"]().every
        200
    """

    start: Positive = 0.25
    """First beta, in units of the spread. Default: twice the share that the second principal component of dSprites has
    of the variance, near the largest beta at which both positions can be encoded."""
    end: Positive = 0.0015
    """Last beta, in units of the spread. Default: small enough for weak factors, such as orientation; smaller values
    activate latents that repeat the others."""
    entry: NonNegative = 0.0
    """KL at which beta pauses, in nats; 0: at the first step. Default: with 0, three of nine seeds of rooms3d have a
    latent for each factor; with 0.1, one of four. 0.1 is better for dsprites-color with a squared error."""
    halving: Fraction = 0.1
    """Fraction of the schedule in which beta is halved before the pause."""
    hold: Share = 0.1
    """Fraction of the schedule for which beta pauses. Default: the strongest factors settle on two latents before a
    third could share them."""
    until: Fraction = 0.5
    """Fraction of the schedule at which beta reaches `end`. Afterwards weak factors settle."""
    every: Steps = 200
    """Steps between two rotations."""
    codes: Annotated[int, Field(ge=16)] = 4096
    """Number of latest codes from which the rotation is estimated."""
    gap: Positive = 1.0
    """Largest difference of the mean log-variances of two latents that are rotated into each other, in nats."""

    name: ClassVar[str] = "aligned-vae"
    summary: ClassVar[str] = "beta falls, and the latent axes are rotated to independent directions"
    defaults: ClassVar[Settings] = {**FAST, "train.steps": 10_000}
    presets: ClassVar[Presets] = presets("aligned-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        balance = Descent(self.start, self.end, self.entry, self.halving, self.hold, self.until, unit="spread")
        alignment = Alignment(shape.latent, every=self.every, codes=self.codes, gap=self.gap)
        return gaussian_objective(self, shape, balance, alignment=alignment)
