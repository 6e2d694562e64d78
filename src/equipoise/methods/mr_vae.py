"""MR-VAE: one training for every beta in a range."""

import math
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import Positive
from equipoise.errors import InputError
from equipoise.gates import Rates
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import FAST, Noise, latent_of, likelihood_of, prior_of
from equipoise.model import Pass
from equipoise.objective import Objective
from equipoise.part import Spec

EXPONENT = 0.25  # of beta, by a power of which `balanced` divides the loss of an image; see docs/findings.md


@dataclass(frozen=True, config=STRICT)
class MRVAE(Noise):
    """Minimise  mean over images of w * (rec + beta * KL),  in nats per image, with log beta drawn for each image.

    beta is drawn log-uniformly from the range. Each pre-activation is scaled by a gate that is a function of log beta,
    so that one encoder and one decoder serve every beta. w = (beta / m)^(-1/4), with m the geometric mean of the range.

    Deviation, which `law=published` undoes: there w is 1. The large betas then dominate the gradients, and after the
    same number of steps the small ones encode fewer nats.

    Source:
        Bae et al., Multi-Rate VAE: Train Once, Get the Full Rate-Distortion Curve, ICLR 2023,
        https://arxiv.org/abs/2212.03905

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["mr-vae"](beta_min=0.1).beta_max
        10.0
    """

    law: Literal["balanced", "published"] = "balanced"
    """`balanced`: every beta has about the same share in the loss. `published`: the losses have no weights."""
    beta_min: Positive = 0.01
    """Lowest beta. Default: as published."""
    beta_max: Positive = 10.0
    """Highest beta. Default: as published."""
    beta: Positive = 1.0
    """The beta of codes, scores, report and exports for which none is given; training does not depend on it."""
    prior: Spec = "standard-normal"
    """Prior: standard-normal, or a table of lp-nested and its layout, as ISA-VAE's."""

    name: ClassVar[str] = "mr-vae"
    summary: ClassVar[str] = "one model for every beta in a range"
    defaults: ClassVar[Settings] = {**FAST, "train.batch": 128}
    presets: ClassVar[Presets] = presets("mr-vae")

    @property
    def latent(self) -> int | None:
        """The number of latents if the layout of the prior fixes it."""
        return latent_of(self.prior)

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for limits in conflict."""
        rates = Rates(self.beta_min, self.beta_max, self.beta)
        exponent = EXPONENT if self.law == "balanced" else 0.0

        def weight(p: Pass) -> Tensor:
            """Return the weight w of the loss of each image, [B]."""
            return (_betas(p) / math.exp(rates.middle)) ** -exponent

        def weighted_rec(p: Pass) -> Tensor:
            """Return w * rec in nats, [B]."""
            return weight(p) * terms.rec(p)

        def weighted_kl(p: Pass) -> Tensor:
            """Return w * beta * KL(q(z|x) || p(z)) in nats, [B, D] or [B, S]."""
            return (weight(p) * _betas(p)).unsqueeze(1) * terms.kl(p)

        return Objective(
            terms={"weighted_rec": weighted_rec, "weighted_kl": weighted_kl},
            balance=Fixed({"weighted_kl": 1.0}),
            likelihood=likelihood_of(self, shape),
            prior=prior_of(self.prior, shape),
            monitors={"rec": terms.rec, "kl": terms.kl},
            rates=rates,
        )


def _betas(p: Pass) -> Tensor:
    """Return the beta of each image, [B]."""
    if p.beta is None:
        raise InputError("mr-vae needs nets with gates; build the model with `gates.add`")
    return p.beta
