"""DAVA: a discriminator of images, whose accuracy sets the capacity of the KL and the strength of what follows."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.adversary import ImageAdversary
from equipoise.balance import AccuracyCapacity
from equipoise.methods.method import STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class DAVA:
    """minimises  rec + gamma * (K - C)^4,  K = KL / latents, and then plays against a discriminator of images.

    Three phases a step. The model descends the loss above. The discriminator learns to tell reconstructions from images
    whose codes were resampled dimension by dimension, with labels smoothed by up to 0.6. With its accuracy a and
    w = max(100 (a - 1/2), 0), the encoder then descends encoder_weight * w * sum_b BCE(D(reconstruction), 0), and the
    decoder min(decoder_weight * w, decoder_weight) * sum_b BCE(D(resampled), 1). The capacity C, nats per dimension,
    rises by `rate` a step while a <= 0.501, falls while a > 0.51, and stays within c_min and c_max.
    Estermann & Wattenhofer, DAVA: Disentangling Adversarial Variational Autoencoder, ICLR 2023,
    https://arxiv.org/abs/2303.01384
    Deviations from the published code, which preset `code` has: C does not become negative, and the gradients of the
    first phase do not reach the third.
    """

    gamma: Annotated[
        float, Field(ge=0, description="weight of the distance from the capacity; the published readme's")
    ] = 500.0
    c_max: Annotated[float, Field(gt=0, description="highest capacity, nats per dimension; the published readme's")] = (
        8.0
    )
    c_min: Annotated[
        float,
        Field(le=0, description="lowest capacity; a KL cannot be negative, though the published code's target can"),
    ] = 0.0
    rate: Annotated[
        float,
        Field(gt=0, description="nats per dimension by which the capacity moves a step; as published at batch 128"),
    ] = 4e-5
    encoder_weight: Annotated[
        float, Field(ge=0, description="of the encoder's adversarial phase; the published readme's")
    ] = 0.3
    decoder_weight: Annotated[
        float, Field(ge=0, description="of the decoder's adversarial phase; the published readme's")
    ] = 1e-3
    accumulate: Annotated[
        bool,
        Field(description="the third phase descends the loss of the first once more, as the published code does"),
    ] = False
    adversary_lr: Annotated[
        float, Field(gt=0, description="learning rate of the discriminator's Adam; as published")
    ] = 1e-4
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "dava"
    summary: ClassVar[str] = "a discriminator of images sets the capacity, and an adversarial phase follows"
    defaults: ClassVar[Mapping[str, object]] = {"train.batch": 128, "train.clip": 1.0}
    presets: ClassVar[Mapping[str, Preset]] = {
        "authors": Preset("the published length", {"train.steps": 150_000}),
        "code": Preset(
            "what the published code computes: the capacity may become negative (unbounded; -8 is never reached), and "
            "the gradients of the first phase are not cleared before the third",
            {"method.c_min": -8.0, "method.accumulate": True, "train.steps": 150_000},
        ),
    }

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=AccuracyCapacity(self.gamma, self.c_max, self.rate, self.c_min),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
            adversary=ImageAdversary(
                shape.image, self.encoder_weight, self.decoder_weight, self.adversary_lr, accumulate=self.accumulate
            ),
        )
