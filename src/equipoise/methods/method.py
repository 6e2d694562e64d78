"""What a method is: its settings, a frozen dataclass, and `build`, which composes the parts into an objective."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import ConfigDict, Field

from equipoise.objective import Objective

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""Settings are taken as they are or refused: no unknown key, no text where a number belongs."""

LikelihoodName = Annotated[
    Literal["auto", "bernoulli", "mse", "half_mse", "gaussian"],
    Field(
        description="noise of the decoder; auto: bernoulli for grey images, mse for colour. beta beside half_mse is "
        "2 beta beside mse, and beside gaussian it is 2 sigma^2 beta"
    ),
]
Sigma = Annotated[
    float, Field(gt=0, description="standard deviation of the gaussian likelihood, in units of a pixel's range 0 to 1")
]

# The discriminator of the methods that have one.
Width = Annotated[int, Field(ge=1, description="units in each hidden layer of the discriminator; the publication's")]
Source = Annotated[
    Literal["other", "split", "same"],
    Field(
        description="shuffled codes come from a second batch (as published), from the second half of the batch, or "
        "from the very codes they are told apart from; the last two save encoding a second batch"
    ),
]
AdversaryRate = Annotated[
    float,
    Field(gt=0, description="learning rate of the discriminator's Adam, whose betas are 0.5 and 0.9; as published"),
]


@dataclass(frozen=True)
class Shape:
    """What an objective may depend on: image (C, H, W), latent dimensions D, number of training images N."""

    image: tuple[int, int, int]
    latent: int
    images: int


@dataclass(frozen=True)
class Preset:
    """Settings that reproduce a source, as `section.key`, and what the source is."""

    why: str
    settings: Mapping[str, object]


class Method(Protocol):
    """A frozen dataclass of settings; its docstring states the loss in nats per image, and the citation.

    `defaults` are settings of other sections (`train.lr`, `net.name`) that this method wants where the user says
    nothing; `presets` are settings of publications, by name. A method whose settings fix how many latents there are
    says so as `latent`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    defaults: ClassVar[Mapping[str, object]]
    presets: ClassVar[Mapping[str, Preset]]

    def build(self, shape: Shape) -> Objective:
        """The objective for images and latents of this shape."""
        ...


# The protocol of the L-VAE paper (section 6.3) that its baselines share: OneCycle from 1e-5 to 1e-4 over 150,000 steps,
# then cosine to 1e-6; batch from {32, 64, 128, 256}, steps from {1 .. 30} x 10,000, as many latents as factors.
LVAE_PAPER: Mapping[str, object] = {
    "method.likelihood": "mse",
    "net.name": "mlp_lvae",
    "net.latent": 5,
    "train.batch": 64,
    "train.lr": 1e-4,
    "train.schedule": "one-cycle",
    "train.schedule_steps": 300_000,
}
