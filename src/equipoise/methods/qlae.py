"""QLAE: codes that take few values, from a small codebook for each latent, and strong weight decay."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import FAST, Noise, likelihood_of
from equipoise.objective import Objective
from equipoise.priors import Codebooks


@dataclass(frozen=True, config=STRICT)
class QLAE(Noise):
    """Minimise  rec + quantise * Q + commit * C,  in nats per image, with codes that take `values` values.

    The code of an image is the nearest value of each latent's codebook. The decoder's gradient reaches the encoder as
    if the code were not rounded. Q and C are the squared distance of output and value, a mean over latents, times the
    number of pixels and channels; Q moves the values, and C the outputs of the encoder. There is no KL in the loss: the
    few values limit the information, and weight decay makes nets prefer codes with one meaning for each value.

    Source:
        Hsu, Dorrell, Whittington, Wu & Finn, Disentanglement via Latent Quantization, NeurIPS 2023,
        https://arxiv.org/abs/2305.18378; learned=false: Mentzer, Minnen, Agustsson & Tschannen, Finite Scalar
        Quantization: VQ-VAE Made Simple, ICLR 2024, https://arxiv.org/abs/2309.15505

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["qlae"](values=8).values
        8
    """

    values: Annotated[int, Field(ge=2, le=1024)] = 12
    """Number of values of each latent. Default: as published."""
    learned: bool = True
    """Whether the values are learned. Otherwise they are equal steps from -1 to 1, and tanh limits the output of the
    encoder to that range, as in FSQ; Q and C are then not needed and left out."""
    quantise: NonNegative = 0.01
    """Weight of Q. Default: as published, for a mean over pixels."""
    commit: NonNegative = 0.01
    """Weight of C. Default: as Q."""

    name: ClassVar[str] = "qlae"
    summary: ClassVar[str] = "each latent takes few values, with weight decay instead of a KL"
    defaults: ClassVar[Settings] = {**FAST, "train.weight_decay": 0.1, "train.steps": 10_000}
    presets: ClassVar[Presets] = presets("qlae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape."""
        weights = {"quantise": self.quantise, "commit": self.commit} if self.learned else {}
        return Objective(
            terms={"rec": terms.rec, **{name: terms.TERMS[name] for name in weights}},
            balance=Fixed(weights),
            likelihood=likelihood_of(self, shape),
            prior=Codebooks(shape.latent, self.values, self.learned),
            monitors={"kl": terms.kl},
        )
