"""HFS: codes whose support is a product, so that every combination of the values of latents occurs."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import FAST, Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class HFS(Noise):
    """Minimise  rec + beta * KL + gamma * H,  in nats per image.

    H is the Hausdorff distance of the codes of a batch and the product of their marginals, summed over pairs of
    latents. It is small if every combination of the values of two latents occurs. The latents need not be independent,
    so factors may be correlated.

    Source:
        Roth, Ibrahim, Akata, Vincent & Bouchacourt, Disentanglement of Correlated Factors via Hausdorff Factorized
        Support, ICLR 2023, https://arxiv.org/abs/2210.07347

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["hfs"](gamma=5.0).beta
        1.0
    """

    gamma: NonNegative = 0.1
    """Weight of the distance. Default: with 10 no latent of rooms3d is active after 1,500 steps."""
    beta: NonNegative = 1.0
    """Weight of the KL."""

    name: ClassVar[str] = "hfs"
    summary: ClassVar[str] = "codes with every combination of the values of two latents, for correlated factors"
    defaults: ClassVar[Settings] = FAST
    presets: ClassVar[Presets] = presets("hfs")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        weights = {"kl": self.beta, "hausdorff": self.gamma}
        return gaussian_objective(self, shape, Fixed(weights), {"kl": terms.kl, "hausdorff": terms.hausdorff})
