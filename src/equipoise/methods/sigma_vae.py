"""sigma-VAE: the noise of the decoder is fitted, which sets the weight of the KL."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.likelihoods import CalibratedGaussian
from equipoise.methods.method import LVAE_PAPER, STRICT, Preset, Shape
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class SigmaVAE:
    """minimises  SSE / (2 sigma^2) + pixels * (log sigma + log(2 pi) / 2) + KL,  in nats per image.

    sigma is one number for all pixels, softly floored at e^-6. Beside a squared error summed over pixels the KL weighs
    beta = 2 sigma^2, which falls as reconstruction improves. The loss can be negative.
    Rybkin, Daniilidis & Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021,
    https://arxiv.org/abs/2006.13202
    Deviation: in evaluation sigma is a running mean of the training's; the published code fits it to each test batch.
    """

    form: Annotated[
        Literal["optimal", "learned"],
        Field(
            description="optimal: sigma^2 is the batch's mean squared error; learned: log sigma is a parameter, 0 at "
            "first"
        ),
    ] = "optimal"

    name: ClassVar[str] = "sigma-vae"
    summary: ClassVar[str] = "the noise of the decoder is fitted, and with it the weight of the KL"
    defaults: ClassVar[Mapping[str, object]] = {"train.lr": 1e-3, "train.batch": 128}  # the published code's
    presets: ClassVar[Mapping[str, Preset]] = {
        "learned": Preset("log sigma as a parameter", {"method.form": "learned"}),
        "paper_lvae": Preset(
            "baseline of the L-VAE paper on dSprites (Table 2): sigma learned, softly floored",
            {
                **{key: value for key, value in LVAE_PAPER.items() if key != "method.likelihood"},
                "method.form": "learned",
                "train.steps": 50_000,
            },
        ),
    }

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=Fixed({"kl": 1.0}),
            likelihood=CalibratedGaussian(self.form),
            prior=StandardNormal(shape.latent),
        )
