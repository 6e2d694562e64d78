"""A free composition: terms, prior, likelihood and balance, each by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, create_model
from pydantic.dataclasses import dataclass

from equipoise import balance, likelihoods, priors
from equipoise.adversary import Adversary
from equipoise.errors import InputError, choose, nearest
from equipoise.likelihoods import Likelihood
from equipoise.methods.isa_vae import leaves
from equipoise.methods.method import STRICT, Preset, Settings, Shape, presets
from equipoise.methods.shared import Sigma
from equipoise.objective import Objective
from equipoise.terms import SIGNED, TERMS, Term

Part = str | dict[str, Any]

PRIORS: dict[str, Callable[..., priors.Prior]] = {
    "standard-normal": priors.StandardNormal,
    "lp-nested": priors.LpNested,
}
LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "calibrated": likelihoods.CalibratedGaussian,
    "calibrated_learned": partial(likelihoods.CalibratedGaussian, "learned"),
}
BALANCES: dict[str, Callable[..., balance.Balance]] = {
    "fixed": balance.Fixed,
    "warm-up": balance.WarmUp,
    "capacity": balance.Capacity,
    "pi": balance.PI,
    "incremental-pi": balance.IncrementalPI,
    "learned": balance.LearnedWeights,
    "closed-form": balance.ClosedFormWeights,
    "accuracy": balance.AccuracyFeedback,
    "relevance": balance.Relevance,
}
ADVERSARIAL = "adversarial_tc"
# Two ways to estimate one quantity have its name: a balance weighs `kl` however it is computed.
QUANTITY = {"kl_mc": "kl", ADVERSARIAL: "tc"}
GIVEN = ("latent", "view", "betas")  # what a part is given by the composition, not by settings


@dataclass(frozen=True, config=STRICT)
class Compose:
    """minimises  rec + sum over terms of (weight * term) + the penalties of the balances,  in nats per image.

    A part is a name, or a table of a name and its options: {name = "tc", weights = "mss"}. Every term has weight 1
    unless a balance weighs it; several balances may, each its own terms. `kl_mc` is weighed as kl, and `adversarial_tc`
    as tc. What cannot work is refused: learned weights on a term that can be negative, for one.
    """

    terms: Annotated[
        tuple[Part, ...], Field(description="beside rec: what is measured; adversarial_tc brings its discriminator")
    ] = ("kl",)
    balance: Annotated[tuple[Part, ...], Field(description="who sets the weights; empty: all are 1")] = ()
    prior: Annotated[Part, Field(description="standard-normal, or lp-nested with its layout")] = "standard-normal"
    likelihood: Annotated[
        Literal["auto", "bernoulli", "mse", "half_mse", "gaussian", "calibrated", "calibrated_learned"],
        Field(
            description="noise of the decoder; calibrated: sigma-VAE's; auto: bernoulli for grey images, mse for colour"
        ),
    ] = "auto"
    sigma: Sigma = 1.0
    adversary: Annotated[
        dict[str, Any], Field(description="options of the discriminator: width, layers, source, lr")
    ] = field(default_factory=dict)
    prior_lr: Annotated[float, Field(gt=0, description="learning rate of learned exponents; ISA-VAE's")] = 5e-4

    name: ClassVar[str] = "compose"
    summary: ClassVar[str] = "terms, prior, likelihood and balance of your own choice"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Mapping[str, Preset]] = presets("compose")

    @property
    def latent(self) -> int | None:
        """Latents that the layout of the prior holds, where it has one."""
        return leaves(self.prior.get("layout", ())) or None if isinstance(self.prior, dict) else None

    def build(self, shape: Shape) -> Objective:
        names = [_name(spec, [*TERMS, ADVERSARIAL], "term") for spec in self.terms]
        prior = _built("prior", PRIORS, self.prior, shape.latent)
        if prior.latent != shape.latent:
            raise InputError(
                f"method.prior has {prior.latent} latents, but net.latent is {shape.latent}; make them equal"
            )
        likelihood = (
            LIKELIHOODS[self.likelihood]()
            if self.likelihood in LIKELIHOODS
            else likelihoods.named(self.likelihood, shape.image[0], self.sigma)
        )
        balances = [_built("balance", BALANCES, spec, shape.latent) for spec in self.balance]
        _refuse(names, balances, prior, likelihood)

        relevance = next((b for b in balances if isinstance(b, balance.Relevance)), None)
        adversary = None
        if ADVERSARIAL in names:
            options = _options("adversary", Adversary, dict(self.adversary))
            adversary = Adversary(shape.latent, view=relevance.mask if relevance else None, **options)
        elif self.adversary:
            raise InputError(f"method.adversary has options, but no term needs it; add {ADVERSARIAL} to method.terms")
        measured: dict[str, Term] = {"rec": TERMS["rec"]}
        for name, spec in zip(names, self.terms, strict=True):
            if name == ADVERSARIAL:
                measured["tc"] = lambda p: adversary.log_ratio(p.z)  # type: ignore[union-attr]
            else:
                options = _options(name, TERMS[name], dict(spec) if isinstance(spec, dict) else {})
                measured[QUANTITY.get(name, name)] = partial(TERMS[name], **options)
        return Objective(
            terms=measured,
            balance=balance.Joint(*balances) if balances else balance.Fixed({}),
            likelihood=likelihood,
            prior=prior,
            adversary=adversary,
            monitors={} if "kl" in measured else {"kl": TERMS["kl"]},
            prior_lr=self.prior_lr,
        )


def parts() -> dict[str, dict[str, str]]:
    """Every part by kind and name, with its options and their defaults as words."""
    tables: dict[str, Mapping[str, Callable[..., Any]]] = {
        "terms": {name: term for name, term in TERMS.items() if name != "rec"} | {ADVERSARIAL: _no_options},
        "priors": PRIORS,
        "balances": BALANCES,
        "adversary": {"discriminator": Adversary},
    }
    return {
        kind: {
            name: ", ".join(_written(option) for option in options_of(part).values()) for name, part in table.items()
        }
        for kind, table in tables.items()
    }


def _no_options(p: object) -> None:
    """Stands for the discriminator's estimate, which has its options under `adversary`."""


def _written(option: inspect.Parameter) -> str:
    if option.default is option.empty:
        return option.name
    return f"{option.name} = {'unset' if option.default is None else option.default}"


def options_of(part: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a part that settings may give; the first argument of a term is the pass."""
    options = list(inspect.signature(part).parameters.items())[1 if inspect.isfunction(part) else 0 :]
    return {name: option for name, option in options if name not in GIVEN}


def _refuse(names: list[str], balances: list[balance.Balance], prior: priors.Prior, likelihood: Likelihood) -> None:
    """Raises `InputError` for a composition that cannot work, with the reason."""
    quantities = [QUANTITY.get(name, name) for name in names]
    for quantity in quantities:
        if quantities.count(quantity) > 1:
            raise InputError(f"method.terms has {quantity} twice, under one name or two; take one")
    if "rec" in names:
        raise InputError("method.terms has rec, which is always there; leave it out")
    signed = {QUANTITY.get(name, name) for name in names if name in SIGNED or name == ADVERSARIAL}
    if not isinstance(prior, priors.StandardNormal):
        signed.add("kl")
    if isinstance(likelihood, likelihoods.Gaussian | likelihoods.CalibratedGaussian):
        signed.add("rec")
    if sum(isinstance(one, balance.PI | balance.IncrementalPI) for one in balances) > 1:
        raise InputError("method.balance has two controllers, whose set points one log could not tell apart; take one")
    for one in balances:
        if isinstance(one, balance.LearnedWeights | balance.ClosedFormWeights):
            for name in signed & set(one.terms):
                raise InputError(
                    f"learned weights on {name}: it can become negative here, and the loss then has no lower bound; "
                    f"learn those of terms that cannot, and give {name} to another balance"
                )
        if isinstance(one, balance.Relevance) and not isinstance(prior, priors.StandardNormal):
            raise InputError(
                "relevance weighs the KL of each latent, and this prior has one for each subspace; take standard-normal"
            )
        if isinstance(one, balance.AccuracyFeedback) and ADVERSARIAL not in names:
            raise InputError(f"accuracy follows a discriminator, and there is none; add {ADVERSARIAL} to method.terms")


def _name(spec: Part, known: list[str], kind: str) -> str:
    name = spec if isinstance(spec, str) else spec.get("name")
    if not isinstance(name, str):
        raise InputError(f"{kind} {spec} has no name; choose one of {', '.join(known)}")
    choose(kind, name, known)
    return name


def _built(kind: str, table: Mapping[str, Callable[..., Any]], spec: Part, latent: int) -> Any:
    part = table[_name(spec, list(table), kind)]
    options = _options(f"{kind} {_name(spec, list(table), kind)}", part, dict(spec) if isinstance(spec, dict) else {})
    return part(latent, **options) if "latent" in inspect.signature(part).parameters else part(**options)


def _options(owner: str, part: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """The options a part was given, checked against the types it declares. Raises `InputError` with one sentence."""
    given.pop("name", None)
    known = options_of(part)
    for key in given:
        if key not in known:
            raise InputError(f"{key}: no such option of {owner}; {nearest(key, list(known))}")
    # A layout is a list of lists of lists, a type that pydantic cannot read; the prior checks it.
    types = {name: Any if name == "layout" else option.annotation for name, option in known.items()}
    defaults = {name: ... if option.default is option.empty else option.default for name, option in known.items()}
    fields: dict[str, Any] = {name: (types[name], defaults[name]) for name in known}
    try:
        checked = create_model("Options", **fields).model_validate(given)
    except ValidationError as error:
        wrong = error.errors()[0]
        option = str(wrong["loc"][0])
        if wrong["type"] == "missing":
            raise InputError(f"{owner} needs its option {option}; write a table of its name and {option}") from None
        raise InputError(f"{option} of {owner} is {given.get(option)!r}; {wrong['msg'].lower()}") from None
    return {key: getattr(checked, key) for key in given}
