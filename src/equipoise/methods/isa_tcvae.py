"""ISA-beta-TCVAE: the total correlation is penalised under a prior of independent subspaces."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative
from equipoise.methods.beta_tcvae import Weights, decomposition, monitors
from equipoise.methods.isa_vae import PROTOCOL, Subspaces, subspace_prior
from equipoise.methods.method import STRICT, Presets, Settings, Shape
from equipoise.methods.shared import likelihood_of
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class ISATCVAE(Subspaces):
    """Minimise  rec + MI + beta * TC + marginal prior term,  in nats per image.

    The parts are those of beta-TCVAE, estimated from the batch, with the L^p-nested prior as p(z). TC is the total
    correlation of single dimensions, as in the published code. The last part, `dim_kl` in the log, is the mean of
    sum_k log q(z_k) - log p(z). It is not a KL, because this prior couples the dimensions of a subspace, and it can be
    negative. With beta = 1 the method is ISA-VAE.

    Source:
        Stuehmer, Turner & Nowozin, Independent Subspace Analysis for Unsupervised Learning of Disentangled
        Representations, AISTATS 2020, https://arxiv.org/abs/1909.05063

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["isa-tcvae"](beta=3.0).latent
        20
    """

    beta: NonNegative = 2.0
    """Weight of the total correlation. Default: from the paper's grid, 1 to 6."""
    weights: Weights = "mws"

    name: ClassVar[str] = "isa-tcvae"
    summary: ClassVar[str] = "the total correlation is penalised under a prior of independent subspaces"
    defaults: ClassVar[Settings] = PROTOCOL
    presets: ClassVar[Presets] = {}

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for a wrong layout."""
        return Objective(
            terms={"rec": terms.rec, **decomposition(self.weights)},
            balance=Fixed({"mi": 1.0, "tc": self.beta, "dim_kl": 1.0}),
            likelihood=likelihood_of(self, shape),
            prior=subspace_prior(self, shape),
            monitors=monitors(self.weights),
            prior_lr=self.prior_lr,
        )
