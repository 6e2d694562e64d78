"""L-VAE: the weights of reconstruction and KL are learned with the network."""

from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import Balance, ClosedFormWeights, LearnedWeights
from equipoise.balance.contract import Fraction, Positive, Share
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import AT_MEAN
from equipoise.objective import Objective
from equipoise.part import Spec
from equipoise.priors import StandardNormal

MEASURES = ("rec", "kl")
SCALED = {"reference": 152.6, "least": 4.0, "travel": 10.0, "memory": 0.1}


@dataclass(frozen=True, config=STRICT)
class LVAE:
    """Minimise  R / sigma_rec^2 + KL / sigma_kl^2 + sigma_rec^2 + sigma_kl^2,  with sigma_kl^4 at least `least`.

    R is reference / S times the nats by which rec exceeds that of a perfect reconstruction, with S the spread of the
    images: the nats by which rec of the mean image exceeds that of a perfect reconstruction. The learned trade-off is
    sigma_rec^2 / sigma_kl^2, stationary at sqrt(R / max(KL, least)), so the weight of the KL falls from above as the
    images are explained, and does not depend on the size, the colours or the likelihood of the images.

    Deviations from the paper, which `law=published` undoes: R is rec itself there; its weight of a KL near 0 goes to
    infinity, so that a net which starts on a plateau collapses; its sigmas start at 1 and move with the learning rate.

    Source:
        Mogultay Ozcan, Kalkan & Yarman-Vural, L-VAE: Variational Auto-Encoder with Learnable Beta for Disentangled
        Representation, Eq. 5, https://arxiv.org/abs/2507.02619

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["l-vae"](weights="closed").smoothing
        0.9999
    """

    law: Literal["scaled", "published"] = "scaled"
    """`scaled`: rec in units of the spread, a KL weight that is learned above `least` nats, and sigmas whose speed is
    that of the schedule. `published`: the paper's form."""
    weights: Literal["learned", "closed"] = "learned"
    """`learned`: the sigmas are parameters, as in the paper. `closed`: the sigmas are the fourth roots of running means
    of rec and KL, the values to which the learned ones converge."""
    smoothing: Share = 0.9999
    """Decay of the running means of weights=closed with law=published. With 0.999 the weight of the KL grows
    faster than the KL, which then collapses."""
    memory: Fraction | None = None
    """Fraction of the schedule over which the running means of weights=closed average with law=scaled; unset: 0.1."""
    travel: Positive | None = None
    """Largest change of a sigma by Adam in a schedule with law=scaled; unset: 10, or 1 in a tenth of the schedule."""
    reference: Positive | None = None
    """The spread to which rec is scaled with law=scaled, in nats; unset: 152.6, the spread of the paper's main data,
    dSprites at 64 x 64 with squared error. On these images the stationary beta is the paper's."""
    least: Positive | None = None
    """Nats of the KL below which its weight is not learned with law=scaled. A principal direction with the share s of
    the variance leaves the collapsed state if least > 1 / (4 reference s^2); unset: 4, for shares of 2 % or more."""
    regulariser: Literal["squares", "log"] = "squares"
    """`squares`: + sigma^2, Eq. 5. `log`: + log sigma, Eq. 4 as printed, whose beta converges to rec / KL."""
    parametrisation: Literal["raw", "log"] = "raw"
    """The optimised parameter. `raw`: sigma, as in the paper. `log`: log sigma."""
    floor: Positive | None = None
    """Lowest sigma^2; unset: 1e-4, or 1e-2 with the log regulariser, whose loss has no lower bound as the KL goes to
    0."""
    initial: Positive = 1.0
    """Both sigmas at the start. Default: as in the paper. With law=scaled it is relative to the stationary values of a
    model that explains nothing."""
    likelihood: Spec = "mse"
    """Noise of the decoder; `mse` as in the paper. A likelihood that can be negative is an error, because the loss then
    has no minimum."""

    name: ClassVar[str] = "l-vae"
    summary: ClassVar[str] = "both weights are learned with the network"
    # The paper's net for dSprites.
    defaults: ClassVar[Settings] = {"net.name": "mlp_lvae", **AT_MEAN}
    presets: ClassVar[Presets] = presets("l-vae")

    def check_new(self, objective: Objective, optimizer: str) -> None:  # noqa: ARG002
        """Raise `InputError` for a setting of the other way to weight, or of the other law."""
        is_closed = self.weights == "closed"
        for name, has_effect, needs in (
            ("smoothing", is_closed and self.law == "published", "method.weights=closed and method.law=published"),
            ("memory", is_closed, "method.weights=closed"),
            ("travel", not is_closed, "method.weights=learned"),
        ):
            value = getattr(self, name)
            if value != getattr(LVAE(), name) and not has_effect:
                raise InputError(f"method.{name} is {value:g}, which has an effect with {needs} only; leave it out")

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape.

        Raises `InputError` if `weights="closed"` is combined with another regulariser or parametrisation, or if the
        likelihood can be negative.
        """
        if self.weights == "closed" and (self.regulariser, self.parametrisation) != ("squares", "raw"):
            raise InputError(
                "method.weights is closed, which computes the sigmas of the squares regulariser; leave "
                "method.regulariser and method.parametrisation out, or set method.weights=learned"
            )
        likelihood = likelihoods.from_name(self.likelihood, shape.image[0], link=shape.link)
        if likelihood.can_be_negative:
            raise InputError(
                f"method.likelihood is {likelihood.name}, which can be negative, so the loss has no minimum; choose "
                f"mse, half_mse or bernoulli"
            )
        floor = self.floor or {"squares": 1e-4, "log": 1e-2}[self.regulariser]
        own = {name: value for name in SCALED if (value := getattr(self, name)) is not None}
        if self.law == "published" and own:
            raise InputError(f"method.{next(iter(own))} belongs to method.law=scaled; leave it out, or set that law")
        scaled = SCALED | own if self.law == "scaled" else {}
        memory, travel = scaled.pop("memory", None), scaled.pop("travel", None)
        balance: Balance
        if self.weights == "closed":
            balance = ClosedFormWeights(MEASURES, self.smoothing, floor, self.initial, memory=memory, **scaled)
        else:
            balance = LearnedWeights(
                MEASURES, self.regulariser, self.parametrisation, floor, self.initial, travel=travel, **scaled
            )
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=balance,
            likelihood=likelihood,
            prior=StandardNormal(shape.latent),
        )
