"""DAVA: the accuracy of a discriminator of images sets the capacity of the KL, and an adversarial phase follows."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.adversary import ImageAdversary
from equipoise.balance import AccuracyCapacity
from equipoise.balance.contract import NonNegative, Positive
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN, Noise, gaussian_objective
from equipoise.objective import Objective


@dataclass(frozen=True, config=STRICT)
class DAVA(Noise):
    """Minimise  rec + gamma * (K - C)^4,  K = KL / latents, then train against a discriminator of images.

    A step has three phases. First the model minimises the loss above. Then the discriminator learns to distinguish
    reconstructions from images whose codes were resampled dimension by dimension, with labels smoothed by up to 0.6.
    Last, with the discriminator's accuracy a and w = max(100 (a - 1/2), 0), the encoder minimises
    encoder_weight * w * sum_b BCE(D(reconstruction), 0), and the decoder
    min(decoder_weight * w, decoder_weight) * sum_b BCE(D(resampled), 1). The capacity C, nats per dimension, rises by
    `rate` / T in each of the T steps of the schedule if a <= 0.501, falls if a > 0.51, and stays between c_min and
    c_max.

    Deviation, which `law=published` undoes: there C changes by 4e-5 in a step, so that a run of 2,000 steps ends below
    0.1 nats. Deviations that both presets undo: the learning rate is five times the published one, and the decoder
    starts at the mean image. Deviations from the published code, which preset `code` undoes: C does not become
    negative, and the gradients of the first phase are not added to those of the third.

    Source:
        Estermann & Wattenhofer, DAVA: Disentangling Adversarial Variational Autoencoder, ICLR 2023,
        https://arxiv.org/abs/2303.01384

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["dava"](c_max=4.0).c_max
        4.0
    """

    gamma: NonNegative = 500.0
    """Weight of the distance from the capacity. Default: as in the published readme."""
    c_max: Positive = 8.0
    """Highest capacity, nats per dimension. Default: as in the published readme."""
    c_min: Annotated[float, Field(le=0)] = 0.0
    """Lowest capacity; a KL cannot be negative, although the capacity of the published code can."""
    law: Literal["scaled", "published"] = "scaled"
    """`scaled`: `rate` holds for a whole schedule. `published`: for a step."""
    rate: Positive | None = None
    """Change of the capacity, nats per dimension; unset: 6 in a schedule, as in the published 150,000 steps, or with
    law=published their 4e-5 in a step."""
    encoder_weight: NonNegative = 0.3
    """Weight of the encoder's adversarial phase. Default: as in the published readme."""
    decoder_weight: NonNegative = 1e-3
    """Weight of the decoder's adversarial phase. Default: as in the published readme."""
    accumulate: bool = False
    """Whether to add the gradients of the first phase to those of the third, as the published code does."""
    adversary_lr: Positive = 1e-4
    """Learning rate of the discriminator's Adam. Default: as published."""

    name: ClassVar[str] = "dava"
    summary: ClassVar[str] = "a discriminator of images sets the capacity, and an adversarial phase follows"
    # The published learning rate is 1e-4, with which a short run may keep two latents active.
    defaults: ClassVar[Settings] = {"train.batch": 128, "train.lr": 5e-4, "train.clip": 1.0, **AT_MEAN}
    presets: ClassVar[Presets] = presets("dava")

    def check_new(self, objective: Objective, optimizer: str) -> None:
        """Raise `InputError` for gradients that the optimiser removes, and as other methods."""
        super().check_new(objective, optimizer)
        if self.accumulate and optimizer == "muon":
            raise InputError(
                "method.accumulate adds to gradients that train.optimizer=muon removes; leave it out, or set "
                "train.optimizer=adam"
            )

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        adversary = ImageAdversary(
            shape.image, self.encoder_weight, self.decoder_weight, self.adversary_lr, accumulate=self.accumulate
        )
        is_scaled = self.law == "scaled"
        rate = self.rate or (6.0 if is_scaled else 4e-5)
        balance = AccuracyCapacity(self.gamma, self.c_max, rate, self.c_min, per_schedule=is_scaled)
        return gaussian_objective(self, shape, balance, adversary=adversary)
