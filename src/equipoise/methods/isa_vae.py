"""ISA-VAE: a prior of independent subspaces, which breaks the rotation symmetry of the latents."""

from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import terms
from equipoise.balance import Fixed
from equipoise.balance.contract import NonNegative, Positive
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Noise, likelihood_of
from equipoise.objective import Objective
from equipoise.priors import LpNested

# The paper's protocol for dSprites: 20 epochs of 360 steps.
PROTOCOL: Settings = {"net.name": "mlp_tc", "train.lr": 1e-3, "train.batch": 2048, "train.steps": 7200}


def leaves(layout: Any) -> int:
    """Return the number of latents in a layout. Entries that are not sizes count 0, and `LpNested` refuses them."""
    if isinstance(layout, list | tuple):
        return sum(leaves(child) for child in layout)
    return layout if isinstance(layout, int) else 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Subspaces(Noise):
    """Settings of the prior that ISA-VAE and ISA-beta-TCVAE share."""

    layout: Annotated[tuple[Any, ...], Field(min_length=1)] = (4, 4, 4, 4, 4)
    """Sizes of the subspaces, or lists of lists for a deeper tree; their sum is the number of latents."""
    p0: Positive = 2.1
    """Exponent between subspaces, never learned. Default: as in the paper."""
    p: Annotated[float, Field(ge=1)] = 2.2
    """Exponent within each subspace. Default: as in the paper for dSprites. With p = p0 the prior factorises."""
    scale: float | Literal["unit_variance"] = 1.0
    """s of the radial density; 1 in the published code, 2 is the standard normal for p = p0 = 2, `unit_variance` gives
    latents of variance 1."""
    learned: bool = False
    """Whether to learn the exponents within subspaces, starting from p."""
    p_min: Annotated[float, Field(ge=1)] = 1.0
    """Lower bound of learned exponents; 1, or 1.8 as in the published code."""
    prior_lr: Positive = 5e-4
    """Learning rate of the exponents. Default: as in the published code."""

    @property
    def latent(self) -> int:
        """Number of latents in the layout."""
        return leaves(self.layout)


def subspace_prior(settings: Subspaces, shape: Shape) -> LpNested:
    """Return the prior of the settings.

    Raises `InputError` if the layout has more or fewer latents than the net.
    """
    if settings.latent != shape.latent:
        raise InputError(
            f"method.layout adds up to {settings.latent} latents, but net.latent is {shape.latent}; leave net.latent "
            f"out, or make them equal"
        )
    return LpNested(settings.layout, settings.p0, settings.p, settings.scale, settings.learned, settings.p_min)


@dataclass(frozen=True, config=STRICT)
class ISAVAE(Subspaces):
    """Minimise  rec + beta * mean of (log q(z|x) - log p(z)),  in nats per image, with the L^p-nested prior p.

    The prior is a product over subspaces. Within a subspace rotations change the density unless the exponents are 2, so
    beta = 1, the evidence lower bound itself, already prefers some axes. The KL is estimated from one sample.

    Source:
        Stuehmer, Turner & Nowozin, Independent Subspace Analysis for Unsupervised Learning of Disentangled
        Representations, AISTATS 2020, https://arxiv.org/abs/1909.05063

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["isa-vae"](layout=(4, 4, 4)).latent
        12
    """

    beta: NonNegative = 1.0
    """Weight of the KL; the main result of the paper is for 1."""
    estimator: Literal["mc", "entropy", "stl"] = "mc"
    """Estimator of the KL from one sample. `mc`: as published. `entropy`: the entropy of q in closed form. `stl`:
    without the gradient that has mean 0 (Roeder et al., 2017)."""

    name: ClassVar[str] = "isa-vae"
    summary: ClassVar[str] = "a prior of independent subspaces instead of a weight"
    defaults: ClassVar[Settings] = PROTOCOL
    presets: ClassVar[Presets] = presets("isa-vae")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for a wrong layout."""
        return Objective(
            terms={"rec": terms.rec, "kl": partial(terms.kl_mc, estimator=self.estimator)},
            balance=Fixed({"kl": self.beta}),
            likelihood=likelihood_of(self, shape),
            prior=subspace_prior(self, shape),
            prior_lr=self.prior_lr,
        )
