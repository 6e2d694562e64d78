"""DIP-VAE: penalties keep the covariance of the codes over a batch close to the identity."""

from functools import partial
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class DIPVAE(Noise):
    """Minimise  rec + KL + lambda_od * sum over i != j of M_ij^2 + lambda_d * sum over i of (M_ii - 1)^2.

    rec and KL are in nats per image. M is the covariance over the batch of the posterior means (kind i) or of the codes
    (kind ii), which adds the mean variance of the posteriors to the diagonal. Use batches of 64 or more, because the
    covariance of a small batch is mostly noise.

    Source:
        Kumar, Sattigeri & Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations, ICLR 2018, https://arxiv.org/abs/1711.00848

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["dip-vae"](kind="i").diagonal
        100.0
    """

    kind: terms.Kind = "ii"
    """`i`: the covariance of the means. `ii`: the covariance of the codes."""
    lambda_od: NonNegative = 10.0
    """Weight of the off-diagonal entries. Default: from the grid of Locatello et al., 1 to 50."""
    lambda_d: NonNegative | None = None
    """Weight of the diagonal; unset: 10 lambda_od for i, lambda_od for ii, as in Locatello et al."""

    name: ClassVar[str] = "dip-vae"
    summary: ClassVar[str] = "penalties keep the covariance of the codes close to the identity"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("dip-vae")

    @property
    def diagonal(self) -> float:
        """The weight of the diagonal: `lambda_d`, or its default for the kind."""
        if self.lambda_d is None:
            return {"i": 10.0, "ii": 1.0}[self.kind] * self.lambda_od
        return self.lambda_d

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        measures: dict[str, terms.Term] = {
            "kl": terms.kl,
            "cov_off": partial(terms.cov_off, kind=self.kind),
            "cov_diag": partial(terms.cov_diag, kind=self.kind),
        }
        balance = Fixed({"kl": 1.0, "cov_off": self.lambda_od, "cov_diag": self.diagonal})
        return gaussian_objective(self, shape, balance, measures)
