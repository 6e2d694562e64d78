"""beta-TCVAE: the KL in three parts, estimated from the batch, of which the total correlation is penalised."""

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, gaussian_objective
from equipoise.objective import Objective

Weights = Annotated[
    terms.Weighting,
    Field(
        description="weights of the posteriors of a batch, whose sum estimates q(z); mws: minibatch-weighted, as "
        "published; mss: minibatch-stratified; mss_rb: mss averaged over its arbitrary choice; batch: mws without its "
        "constants"
    ),
]


@dataclass(frozen=True, config=STRICT)
class BetaTCVAE(Noise):
    """Minimise  rec + alpha * MI + beta * TC + gamma * (marginal KLs),  in nats per image.

    Each of the three parts is estimated from one batch and one code an image. Their sum is the KL, so with alpha =
    gamma = 1 the loss is also  rec + KL + (beta - 1) * TC.  The closed form of the KL makes that estimate less noisy,
    and it is the default for alpha = gamma = 1, as in Locatello et al., 2019. With beta = 1 the method is the VAE. The
    weights mws add large constants to the parts (15 nats to a total correlation of 0.2), so the log shows the parts
    with the weights 1 / B instead.

    Source:
        Chen, Li, Grosse & Duvenaud, Isolating Sources of Disentanglement in VAEs, NeurIPS 2018,
        https://arxiv.org/abs/1802.04942

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["beta-tcvae"](beta=4.0, weights="mss").weights
        'mss'
    """

    alpha: NonNegative = 1.0
    """Weight of the mutual information; 0 leaves it out."""
    beta: NonNegative = 6.0
    """Weight of the total correlation. Default: as in the published code."""
    gamma: NonNegative = 1.0
    """Weight of the marginal KLs. Default: as published."""
    weights: Weights = "mws"
    form: Literal["auto", "analytic", "mc"] = "auto"
    """`analytic`: rec + KL + (beta - 1) TC, for alpha = gamma = 1. `mc`: the three parts, as published. `auto`:
    analytic if alpha = gamma = 1."""

    name: ClassVar[str] = "beta-tcvae"
    summary: ClassVar[str] = "the total correlation, estimated from the batch, is penalised"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("beta-tcvae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape.

        Raises `InputError` for `form="analytic"` unless alpha = gamma = 1.
        """
        has_closed_form = self.alpha == self.gamma == 1
        if self.form == "analytic" and not has_closed_form:
            raise InputError(
                f"method.form is analytic, which needs alpha = gamma = 1, and they are {self.alpha:g} and "
                f"{self.gamma:g}; take form=mc"
            )
        parts = decomposition(self.weights)
        measures, weights = parts, {"mi": self.alpha, "tc": self.beta, "dim_kl": self.gamma}
        if has_closed_form and self.form != "mc":
            measures, weights = {"kl": terms.kl, "tc": parts["tc"]}, {"kl": 1.0, "tc": self.beta - 1}
        return gaussian_objective(self, shape, Fixed(weights), measures, monitors(self.weights))


def decomposition(weights: terms.Weighting) -> dict[str, terms.Term]:
    """Return the three parts of the KL, estimated with these weights."""
    return {name: partial(terms.TERMS[name], weights=weights) for name in ("mi", "tc", "dim_kl")}


def monitors(weights: terms.Weighting) -> dict[str, terms.Term]:
    """Return the terms for the log: the KL, and its parts without the constants of mws."""
    return {"kl": terms.kl, **decomposition("batch" if weights == "mws" else weights)}
