"""Annealed-capacity beta-VAE: the KL is held at a capacity that grows."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Capacity
from equipoise.methods.method import STRICT, LikelihoodName, Preset, Shape, Sigma
from equipoise.objective import Objective
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class AnnealedVAE:
    """minimises  rec + gamma * |KL - C|,  all in nats per image; C grows from c_start to c_end.

    The absolute value is taken of the batch mean, as in the published code; one library takes it per image.
    Burgess et al., Understanding disentangling in beta-VAE, 2018, https://arxiv.org/abs/1804.03599
    """

    gamma: Annotated[float, Field(ge=0, description="weight of the distance from the capacity; the publication's")] = (
        1000.0
    )
    c_start: Annotated[float, Field(ge=0, description="capacity at the start, nats")] = 0.0
    c_end: Annotated[float, Field(ge=0, description="capacity at the end, nats; the publication's")] = 25.0
    until: Annotated[
        float,
        Field(gt=0, le=1, description="share of the schedule after which the capacity stays; 0.6 as all ramps here"),
    ] = 0.6
    until_steps: Annotated[
        int | None, Field(gt=0, description="the same in steps, as publications state it; unset: `until` holds")
    ] = None
    likelihood: LikelihoodName = "auto"
    sigma: Sigma = 1.0

    name: ClassVar[str] = "annealed-vae"
    summary: ClassVar[str] = "the KL is held at a capacity that grows"
    defaults: ClassVar[Mapping[str, object]] = {}
    presets: ClassVar[Mapping[str, Preset]] = {
        "authors": Preset(
            "capacity 0.5 to 25 nats over 100,000 steps, learning rate 5e-4, as published",
            {"method.c_start": 0.5, "method.until_steps": 100_000, "train.lr": 5e-4},
        ),
        "control_baseline": Preset(
            "baseline of the ControlVAE code: gamma 100, capacity up to 15, learning rate 5e-4",
            {"method.gamma": 100.0, "method.c_end": 15.0, "method.until_steps": 100_000, "train.lr": 5e-4},
        ),
    }

    def build(self, shape: Shape) -> Objective:
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=Capacity(self.gamma, self.c_start, self.c_end, self.until, self.until_steps),
            likelihood=likelihoods.named(self.likelihood, shape.image[0], self.sigma),
            prior=StandardNormal(shape.latent),
        )
