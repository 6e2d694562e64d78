"""L-VAE: the weights of reconstruction and KL are learned with the network."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.balance import ClosedFormWeights, LearnedWeights
from equipoise.balance.contract import Positive
from equipoise.errors import InputError
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.objective import Objective
from equipoise.part import Spec
from equipoise.priors import StandardNormal


@dataclass(frozen=True, config=STRICT)
class LVAE:
    """Minimise  rec / sigma_rec^2 + KL / sigma_kl^2 + sigma_rec^2 + sigma_kl^2,  in nats per image.

    The learned trade-off is beta = sigma_rec^2 / sigma_kl^2. At the stationary point beta is sqrt(rec / KL) and the
    loss is 2 sqrt(rec) + 2 sqrt(KL). The value of beta depends on the scale of rec: the paper's values hold for `mse`,
    the squared error summed over pixels. Adam changes a sigma by at most one learning rate a step, so a short run with
    a small learning rate ends before the sigmas have converged. The weight of a KL near 0 would go to infinity, which
    the floor prevents.

    Deviation from the paper, which has no floor: `floor`.

    Source:
        Mogultay Ozcan, Kalkan & Yarman-Vural, L-VAE: Variational Auto-Encoder with Learnable Beta for Disentangled
        Representation, Eq. 5, https://arxiv.org/abs/2507.02619

    Example:
        >>> import equipoise as eq
        >>> eq.METHODS["l-vae"](weights="closed").smoothing
        0.9999
    """

    weights: Literal["learned", "closed"] = "learned"
    """`learned`: the sigmas are parameters, as in the paper. `closed`: the sigmas are the fourth roots of running means
    of rec and KL, the values to which the learned ones converge."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    """Decay of those running means. With 0.999 the weight of the KL grows faster than the KL, which then collapses."""
    regulariser: Literal["squares", "log"] = "squares"
    """`squares`: + sigma^2, Eq. 5. `log`: + log sigma, Eq. 4 as printed, whose beta converges to rec / KL."""
    parametrisation: Literal["raw", "log"] = "raw"
    """The optimised parameter. `raw`: sigma, as in the paper. `log`: log sigma."""
    floor: Positive | None = None
    """Lowest sigma^2; unset: 1e-4, or 1e-2 with the log regulariser, whose loss has no lower bound as the KL goes to
    0."""
    initial: Positive = 1.0
    """Both sigmas at the start. Default: the paper's."""
    likelihood: Spec = "mse"
    """Noise of the decoder; `mse` is the paper's. A likelihood that can be negative is an error, because the loss would
    have no minimum."""

    name: ClassVar[str] = "l-vae"
    summary: ClassVar[str] = "both weights are learned with the network"
    # The paper's net for dSprites. A convolutional net starts on a plateau with KL near 0, where the weight of the KL
    # grows: `locatello` did not leave it at learning rates of 1e-4 and 5e-4 (docs/findings.md).
    defaults: ClassVar[Settings] = {"net.name": "mlp_lvae"}
    presets: ClassVar[Presets] = presets("l-vae")

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
        likelihood = likelihoods.from_name(self.likelihood, shape.image[0])
        if likelihood.can_be_negative:
            raise InputError(
                f"method.likelihood is {likelihood.name}, which can be negative, so the loss has no minimum; choose "
                f"mse, half_mse or bernoulli"
            )
        floor = self.floor or {"squares": 1e-4, "log": 1e-2}[self.regulariser]
        measures = ["rec", "kl"]
        return Objective(
            terms={"rec": terms.rec, "kl": terms.kl},
            balance=ClosedFormWeights(measures, self.smoothing, floor, self.initial)
            if self.weights == "closed"
            else LearnedWeights(measures, self.regulariser, self.parametrisation, floor, self.initial),
            likelihood=likelihood,
            prior=StandardNormal(shape.latent),
        )
