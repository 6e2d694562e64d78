"""The variational autoencoder."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.balance import Fixed
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class PlainVAE(Noise):
    """Minimise  rec + KL,  in nats per image: the negative evidence lower bound.

    Source:
        Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014, https://arxiv.org/abs/1312.6114

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["vae"](likelihood="mse")
        PlainVAE(likelihood='mse', sigma=1.0)
    """

    name: ClassVar[str] = "vae"
    summary: ClassVar[str] = "reconstruction plus KL, the evidence lower bound"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        return gaussian_objective(self, shape, Fixed({"kl": 1.0}))
