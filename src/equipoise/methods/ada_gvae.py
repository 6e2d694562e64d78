"""Ada-GVAE: pairs of images that agree in some factors share the posteriors of the latents of these factors."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.balance import Balance, Descent, Fixed
from equipoise.balance.contract import Fraction, NonNegative, Positive, Share
from equipoise.data.pairs import FACTORS
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import FAST, Noise, gaussian_objective
from equipoise.objective import Objective
from equipoise.pairing import Pairing


@dataclass(frozen=True, config=STRICT)
class AdaGVAE(Noise):
    """Minimise  rec + beta * KL,  in nats per image, of pairs of images that share the posteriors of some latents.

    The images of a pair agree in all but a few factors. The latents whose posteriors differ least, in the KL of one
    and the other, describe what the images agree in. Both images get the same posterior of these latents, with the mean
    of the two means and of the two variances. Which factors agree is not known.

    Source:
        Locatello, Poole, Raetsch, Schoelkopf, Bachem & Tschannen, Weakly-Supervised Disentanglement Without
        Compromises, ICML 2020, Eq. 5-7, https://arxiv.org/abs/2002.02886

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["ada-gvae"](pairs="neighbours").changed
        1
    """

    pairs: Annotated[str, Field(min_length=1)] = "factors"
    """Source of the pairs. `factors`: drawn from images with known factors. `neighbours`: successive images, such as
    frames of a video. Otherwise the path of a table with two columns of image files."""
    changed: Annotated[int, Field(ge=0)] = 1
    """Number of factors in which a pair that is drawn from factors differs; 0: a random number for each pair."""
    known: bool = False
    """Whether the number of latents that differ is `changed`. Otherwise it is estimated for each pair: those whose KL
    is at least half way between the smallest and the largest."""
    beta: NonNegative | None = None
    """A fixed weight of the KL, as published. Unset: it falls, as in aligned-vae, by the settings below."""
    start: Positive = 0.25
    """First beta, in units of the spread, the nats per image by which `rec` of the mean image exceeds that of a perfect
    reconstruction; without effect if `beta` is set. Default: that of aligned-vae."""
    end: Positive = 0.0015
    """Last beta, in units of the spread; without effect if `beta` is set. Default: that of aligned-vae."""
    hold: Share = 0.1
    """Fraction of the schedule for which beta is `start`; without effect if `beta` is set."""
    until: Fraction = 0.5
    """Fraction of the schedule at which beta reaches `end`; without effect if `beta` is set."""

    name: ClassVar[str] = "ada-gvae"
    summary: ClassVar[str] = "pairs of images share the latents in which they agree"
    defaults: ClassVar[Settings] = {**FAST, "train.steps": 10_000}
    presets: ClassVar[Presets] = presets("ada-gvae")

    def check_new(self, objective: Objective, optimizer: str) -> None:
        """Raise `InputError` for a number of factors of pairs that are not drawn from factors, and as other methods."""
        super().check_new(objective, optimizer)
        if self.pairs != FACTORS and not self.known and self.changed != type(self).changed:
            raise InputError(
                f"method.changed is {self.changed}, which has an effect with method.pairs={FACTORS} or "
                "method.known=true only; leave it out"
            )

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` if `known` lacks a number."""
        if self.known and not self.changed:
            raise InputError("method.known needs the number in method.changed; set it, or leave method.known out")
        balance: Balance = Fixed({"kl": self.beta or 0.0})
        if self.beta is None:
            balance = Descent(self.start, self.end, 0.0, hold=self.hold, until=self.until, unit="spread")
        pairing = Pairing(self.pairs, self.changed or None, self.changed if self.known else None)
        return gaussian_objective(self, shape, balance, pairing=pairing)
