"""Settings that several methods share, and the objectives that are built from them."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods, terms
from equipoise.adversary import Adversary, ImageAdversary
from equipoise.alignment import Alignment
from equipoise.balance import Balance
from equipoise.balance.contract import Positive
from equipoise.edges import Edges
from equipoise.errors import InputError
from equipoise.likelihoods import Likelihood
from equipoise.methods.method import STRICT, Settings, Shape
from equipoise.objective import Objective
from equipoise.pairing import Pairing
from equipoise.part import Spec, build, name_in, options_of
from equipoise.priors import PRIORS, Prior, StandardNormal

Sigma = Annotated[
    float,
    Field(gt=0, description="Standard deviation of the gaussian likelihood, in units of the pixel range 0 to 1."),
]

AT_MEAN: Settings = {"train.start_at_mean": True}
"""The default of the methods that tune themselves. A decoder that must begin by learning the mean image stops
using its codes, and a weight that follows the KL then follows a KL of 0."""


FAST: Settings = {"net.name": "small", "train.optimizer": "muon", "train.lr": 2e-3, **AT_MEAN}
"""The defaults of methods whose settings were measured in trainings of minutes on a processor."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Noise:
    """Settings of the noise of the decoder."""

    likelihood: Spec = "auto"
    """Noise of the decoder: mse, half_mse, a name in `equipoise.LIKELIHOODS`, or a table of a name and its options.
    `auto`: bernoulli for grey images, mse for colour. A beta with half_mse corresponds to 2 beta with mse, and with
    gaussian to 2 sigma^2 beta."""
    sigma: Sigma = 1.0

    def check_new(self, objective: Objective, optimizer: str) -> None:  # noqa: ARG002
        """Raise `InputError` for a sigma that the likelihood does not use."""
        check_sigma(self.sigma, objective.likelihood)


def check_sigma(sigma: float, likelihood: Likelihood) -> None:
    """Raise `InputError` for a sigma other than the default that the likelihood does not use."""
    if sigma not in (Noise().sigma, getattr(likelihood, "sigma", Noise().sigma)):
        raise InputError(
            f"method.sigma is {sigma:g}, which method.likelihood does not use; leave it out, or set "
            "method.likelihood=gaussian"
        )


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Discriminator(Noise):
    """Settings of the discriminator that estimates the total correlation."""

    width: Annotated[int, Field(ge=1)] = 1000
    """Units in each hidden layer of the discriminator. Default: as published."""
    layers: Annotated[int, Field(ge=1)] = 6
    """Hidden layers of the discriminator. Default: FactorVAE's."""
    second: Literal["other", "split", "same"] = "other"
    """Source of the shuffled codes. `other`: a second batch, as published. `split`: the second half of the batch.
    `same`: the codes of the batch itself. `split` and `same` save the encoding of a second batch."""
    adversary_lr: Positive = 1e-4
    """Learning rate of the discriminator's Adam, whose betas are 0.5 and 0.9. Default: as published."""


def likelihood_of(settings: Noise, shape: Shape) -> Likelihood:
    """Return the likelihood that the settings name for images of this shape."""
    return likelihoods.from_name(settings.likelihood, shape.image[0], settings.sigma, shape.link)


def latent_of(prior: Spec) -> int | None:
    """Return the number of latents if the options of a prior fix it, as a layout does."""
    if "latent" in options_of(PRIORS[name_in("prior", prior, list(PRIORS))]):
        return None
    return build("prior", PRIORS, prior, {}).latent


def prior_of(prior: Spec, shape: Shape) -> Prior:
    """Return the prior of a setting. Raises `InputError` if it has more or fewer latents than the net."""
    result = build("prior", PRIORS, prior, {"latent": shape.latent})
    if result.latent != shape.latent:
        raise InputError(f"method.prior has {result.latent} latents, but net.latent is {shape.latent}; make them equal")
    return result


def gaussian_objective(
    settings: Noise,
    shape: Shape,
    balance: Balance,
    measures: Mapping[str, terms.Term] | None = None,
    monitors: Mapping[str, terms.Term] | None = None,
    adversary: Adversary | ImageAdversary | None = None,
    alignment: Alignment | None = None,
    pairing: Pairing | None = None,
    edges: Edges | None = None,
) -> Objective:
    """Return the objective of `rec` and `measures`, by default the KL alone, under a standard normal prior.

    `monitors` are terms that are logged and not part of the loss.
    """
    return Objective(
        terms={"rec": terms.rec, **({"kl": terms.kl} if measures is None else measures)},
        balance=balance,
        likelihood=likelihood_of(settings, shape),
        prior=StandardNormal(shape.latent),
        monitors=monitors,
        adversary=adversary,
        alignment=alignment,
        pairing=pairing,
        edges=edges,
    )


def adversarial_objective(settings: Discriminator, shape: Shape, balance: Balance) -> Objective:
    """Return the objective of `rec`, `kl` and the total correlation `tc`, which a discriminator estimates.

    The discriminator gets the codes through the mask of `balance`.
    """
    of_codes = Adversary(
        shape.latent, settings.width, settings.layers, balance.mask, second=settings.second, lr=settings.adversary_lr
    )
    measures: dict[str, terms.Term] = {"kl": terms.kl, "tc": lambda p: of_codes.log_ratio(p.z)}
    return gaussian_objective(settings, shape, balance, measures, adversary=of_codes)
