"""sigma-VAE: the noise of the decoder is fitted, which sets the weight of the KL."""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.likelihoods import CalibratedGaussian
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class SigmaVAE:
    """Minimise  SSE / (2 sigma^2) + pixels * (log sigma + log(2 pi) / 2) + KL,  in nats per image.

    sigma is one number for all pixels, with a soft floor at e^-6. Relative to a squared error summed over pixels the
    weight of the KL is beta = 2 sigma^2, which falls as the reconstruction improves. The loss can be negative.

    Deviation from the published code: evaluation uses a running mean of the sigma of training. The published code fits
    sigma to each test batch.

    Source:
        Rybkin, Daniilidis & Levine, Simple and Effective VAE Training with Calibrated Decoders, ICML 2021,
        https://arxiv.org/abs/2006.13202

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["sigma-vae"](form="learned")
        SigmaVAE(form='learned')
    """

    form: Literal["optimal", "learned"] = "optimal"
    """`optimal`: sigma^2 is the mean squared error of the batch. `learned`: log sigma is a parameter, at first 0."""

    name: ClassVar[str] = "sigma-vae"
    summary: ClassVar[str] = "the noise of the decoder is fitted, and with it the weight of the KL"
    defaults: ClassVar[Settings] = {
        "train.lr": 1e-3,
        "train.batch": 128,
        **AT_MEAN,
    }  # rate and batch of the published code
    presets: ClassVar[Presets] = presets("sigma-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=Fixed({"kl": 1.0}),
            likelihood=CalibratedGaussian(self.form, link=shape.link),
            prior=StandardNormal(shape.latent),
        )
