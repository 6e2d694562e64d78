"""FactorVAE: the total correlation, estimated by a discriminator, is penalised."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Discriminator, adversarial_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class FactorVAE(Discriminator):
    """Minimise  rec + KL + gamma * TC,  in nats per image.

    TC is the mean of log q(z) - log prod_j q(z_j), estimated from the logits of a discriminator. The estimate can be
    negative, and it is too low when there are many dimensions. After each step of the model the discriminator takes one
    step, on the same codes and on the codes of a second batch with each dimension shuffled.

    Source:
        Kim & Mnih, Disentangling by Factorising, ICML 2018, https://arxiv.org/abs/1802.05983

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["factor-vae"](gamma=35.0).gamma
        35.0
    """

    gamma: NonNegative = 10.0
    """Weight of the total correlation. Default: the middle of Locatello et al.'s grid, 10 to 100."""

    name: ClassVar[str] = "factor-vae"
    summary: ClassVar[str] = "a discriminator's estimate of the total correlation is penalised"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("factor-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        return adversarial_objective(self, shape, Fixed({"kl": 1.0, "tc": self.gamma}))
