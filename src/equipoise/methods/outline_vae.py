"""Outline VAE: shapes are learned from edge maps, colours from images, each by latents of their own."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.alignment import Alignment
from equipoise.balance import TwoGroups
from equipoise.balance.contract import Fraction, NonNegative, Positive, Share, Steps
from equipoise.edges import Edges
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import FAST, Noise, gaussian_objective
from equipoise.nets import LEAST
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class OutlineVAE(Noise):
    """Minimise  rec + edges_weight * edges + sum over latents of (beta * KL),  in nats per image, with betas that fall.

    The decoder also draws the edge map of each image. At first the latents are learned in two groups. The first half
    receives gradients from the edge maps only, in which a shape looks the same in every colour. The second half
    receives gradients from the images only; the decoder gets their shapes from the first half. From `apart` on, all
    latents are learned together, and beta falls as in aligned-vae. Every few steps, the latent axes are rotated to the
    directions in which the codes are least dependent.

    Without the first phase, a latent often encodes the product of a shape and of the difference between its colour and
    that of the background. No smooth change of the encoder leads from the product to the shape.

    Source:
        Equipoise.

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["outline-vae"]().apart
        0.25
    """

    start: Positive = 0.18
    """First beta of the second half of the latents, in units of the spread: the nats per image by which `rec` of the
    mean image exceeds that of a perfect reconstruction. Default: the hues of rooms3d take one latent each; with 0.1
    they take two, with 0.25 some seeds do not encode them."""
    end: Positive = 0.0015
    """Last beta of all latents, in units of the spread. Default: that of aligned-vae."""
    hold: Share = 0.05
    """Fraction of the schedule for which beta is `start`, after the opening."""
    until: Fraction = 0.65
    """Fraction of the schedule at which beta reaches `end`. Afterwards weak factors settle."""
    opening: NonNegative = 2.5
    """KL of the second half in nats at which beta changes from `opening_beta` to `start`. Default: the hues of rooms3d
    are in use then, after about 250 steps, and take one latent each afterwards."""
    opening_until: Share = 0.1
    """Fraction of the schedule at which the opening ends at the latest."""
    opening_beta: Positive = 0.02
    """Beta of the second half during the opening, in units of the spread."""
    edges_start: Positive = 0.1
    """First beta of the first half relative to the edge maps, in units of their spread."""
    edges_end: Positive = 0.03
    """Last beta relative to the edge maps, which it reaches in half of `apart`. Default: small enough for shape, scale
    and orientation, and too large for latents that show which colours are equal."""
    apart: Fraction = 0.25
    """Fraction of the schedule for which the two halves of the latents are learned apart."""
    contrast: Annotated[float, Field(ge=1e-6)] = 0.1
    """Difference of neighbouring pixels, 1e-6 to 1, at which an edge has half of its full strength."""
    every: Steps = 200
    """Steps between two rotations."""

    name: ClassVar[str] = "outline-vae"
    summary: ClassVar[str] = "shapes are learned from edge maps and colours from images, by latents of their own"
    defaults: ClassVar[Settings] = {**FAST, "train.steps": 10_000}
    presets: ClassVar[Presets] = presets("outline-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for other than images."""
        if shape.link is not None or min(shape.image[1:]) < LEAST:
            raise InputError(f"outline-vae needs images of {LEAST} pixels a side or more; take method=aligned-vae")
        edges = Edges(self.contrast)
        balance = TwoGroups(
            shape.latent,
            self.start,
            self.end,
            self.hold,
            self.until,
            self.opening,
            self.opening_until,
            self.opening_beta,
            self.edges_start,
            self.edges_end,
            self.apart,
            unit="spread",
        )
        measures: dict[str, terms.Term] = {"kl": terms.kl, "edges": edges}
        alignment = Alignment(shape.latent, every=self.every)
        return gaussian_objective(self, shape, balance, measures, alignment=alignment, edges=edges)
