"""ISA-beta-TCVAE: the total correlation is penalised under a prior of independent subspaces."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Fixed
from equipoise.methods.beta_tcvae import Weights, decomposition, monitors
from equipoise.methods.isa_vae import Subspaces
from equipoise.methods.method import STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class ISATCVAE(Subspaces):
    """minimises  rec + MI + beta * TC + marginal prior term,  in nats per image.

    The parts are those of beta-TCVAE, estimated from the batch, with the L^p-nested prior for p(z). TC is between
    single dimensions, as in the published code. The last part, `dim_kl` in the log, is the mean of
    sum_k log q(z_k) - log p(z): no KL, since this prior couples the dimensions of a subspace, and it can be negative.
    With beta = 1 this is ISA-VAE.
    Stuehmer, Turner & Nowozin, Independent Subspace Analysis for Unsupervised Learning of Disentangled Representations,
    AISTATS 2020, https://arxiv.org/abs/1909.05063
    """

    beta: Annotated[
        float, Field(ge=0, description="weight of the total correlation; from the paper's grid, 1 to 6")
    ] = 2.0
    weights: Weights = "mws"
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "isa-tcvae"
    summary: ClassVar[str] = "the total correlation is penalised under a prior of independent subspaces"
    # The paper's protocol for dSprites: 20 epochs, 360 steps each.
    defaults: ClassVar[Mapping[str, object]] = {
        "net.name": "mlp_tc",
        "train.lr": 1e-3,
        "train.batch": 2048,
        "train.steps": 7200,
    }
    presets: ClassVar[Mapping[str, Preset]] = {}

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={"rec": terms.rec, **decomposition(self.weights)},
            balance=Fixed({"mi": 1.0, "tc": self.beta, "dim_kl": 1.0}),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=self.prior(shape),
            monitors=monitors(self.weights),
            prior_lr=self.prior_lr,
        )
