"""DIP-VAE: the covariance of the codes over a batch is held near the identity."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Fixed
from equipoise.methods.method import STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class DIPVAE:
    """minimises  rec + KL + lambda_od * sum over i != j of M_ij^2 + lambda_d * sum over i of (M_ii - 1)^2.

    rec and KL in nats per image. M is the covariance over the batch of the posterior means (kind i), or of the codes
    (kind ii), which adds the mean variance of the posteriors to the diagonal. Take batches of 64 or more: the
    covariance of a small one is mostly noise.
    Kumar, Sattigeri & Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled Observations,
    ICLR 2018, https://arxiv.org/abs/1711.00848
    """

    kind: Annotated[terms.Kind, Field(description="i: the covariance of the means; ii: that of the codes")] = "ii"
    lambda_od: Annotated[
        float,
        Field(ge=0, description="weight of the entries off the diagonal; from the grid of Locatello et al., 1 to 50"),
    ] = 10.0
    lambda_d: Annotated[
        float | None,
        Field(
            ge=0,
            description="weight of the diagonal; unset: 10 lambda_od for i, lambda_od for ii, as in Locatello et al.",
        ),
    ] = None
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "dip-vae"
    summary: ClassVar[str] = "the covariance of the codes is held near the identity"
    defaults: ClassVar[Mapping[str, object]] = {}
    presets: ClassVar[Mapping[str, Preset]] = {
        "i": Preset("DIP-VAE-I: the covariance of the means, weights 10 and 100", {"method.kind": "i"}),
    }

    @property
    def diagonal(self) -> float:
        """The weight of the diagonal that holds."""
        if self.lambda_d is None:
            return {"i": 10.0, "ii": 1.0}[self.kind] * self.lambda_od
        return self.lambda_d

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={
                "rec": terms.rec,
                "kl": terms.kl,
                "cov_off": partial(terms.cov_off, kind=self.kind),
                "cov_diag": partial(terms.cov_diag, kind=self.kind),
            },
            balance=Fixed({"kl": 1.0, "cov_off": self.lambda_od, "cov_diag": self.diagonal}),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
        )
