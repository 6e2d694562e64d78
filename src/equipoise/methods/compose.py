"""A free composition: terms, prior, likelihood and balance, each by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise import likelihoods
from equipoise.adversary import Adversary
from equipoise.balance import BALANCES, Balance, Fixed, Joint
from equipoise.edges import Edges
from equipoise.errors import InputError
from equipoise.likelihoods import LIKELIHOODS, SHORT, Likelihood
from equipoise.methods.method import STRICT, Presets, Settings, Shape, presets
from equipoise.methods.shared import Sigma, check_sigma, latent_of, prior_of
from equipoise.objective import Objective
from equipoise.part import Spec, build, check_options, name_in, options_in, options_of
from equipoise.priors import PRIORS, Prior
from equipoise.terms import SIGNED, TERMS, Term

ADVERSARIAL = "adversarial_tc"
# Two estimates of one quantity share its name: a balance weights `kl` however it is computed.
QUANTITY = {"kl_mc": "kl", ADVERSARIAL: "tc"}
RESERVED = ("latent", "view", "betas", "link")  # arguments of parts that are not options in settings


@dataclass(frozen=True, config=STRICT)
class Compose:
    """Minimise  rec + sum over terms of (weight * term) + the penalties of the balances,  in nats per image.

    A part is a name, or a table of a name and its options: {name = "tc", weights = "mss"}. A term has weight 1 unless a
    balance weights it. Several balances are allowed if each has terms of its own. For a balance, `kl_mc` is called kl
    and `adversarial_tc` tc. Compositions that cannot work are errors, such as learned weights on a term that can be
    negative.

    Example:
        >>> method = Compose(terms=("kl", "tc"), balance=({"name": "fixed", "weights": {"tc": 5.0}},))
        >>> list(method.build(Shape((1, 64, 64), latent=10, images=1000)).terms)
        ['rec', 'kl', 'tc']
    """

    terms: Annotated[
        tuple[Spec, ...], Field(description="terms beside rec; adversarial_tc has a discriminator, edges a layer")
    ] = ("kl",)
    balance: Annotated[tuple[Spec, ...], Field(description="rules for the weights; empty: every weight is 1")] = ()
    prior: Annotated[
        Spec,
        Field(
            description="standard-normal, lp-nested with its layout, or codebooks with the terms quantise and commit"
        ),
    ] = "standard-normal"
    likelihood: Annotated[
        Spec,
        Field(
            description="noise of the decoder; calibrated: sigma-VAE's; auto: bernoulli for grey images, mse for colour"
        ),
    ] = "auto"
    sigma: Sigma = 1.0
    adversary: Annotated[
        dict[str, Any], Field(description="options of the discriminator: width, layers, second, lr")
    ] = field(default_factory=dict)
    prior_lr: Annotated[float, Field(gt=0, description="learning rate of learned exponents; ISA-VAE's")] = 5e-4

    name: ClassVar[str] = "compose"
    summary: ClassVar[str] = "terms, prior, likelihood and balance of your choice"
    defaults: ClassVar[Settings] = {}
    presets: ClassVar[Presets] = presets("compose")

    @property
    def latent(self) -> int | None:
        """The number of latents if the options of the prior fix it, as a layout does."""
        return latent_of(self.prior)

    def check_new(self, objective: Objective, optimizer: str) -> None:  # noqa: ARG002
        """Raise `InputError` for an unused sigma, and for terms that need a density where posteriors are points."""
        check_sigma(self.sigma, objective.likelihood)
        names = sorted(SIGNED & {spec if isinstance(spec, str) else spec["name"] for spec in self.terms})
        if objective.prior.is_discrete and names:
            raise InputError(
                f"method.terms has {', '.join(names)}, which needs the density of the posterior, and with the prior "
                f"{objective.prior.name} this is a point; take kl, or quantise and commit"
            )

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` for an invalid composition."""
        names = [name_in("term", spec, [*TERMS, ADVERSARIAL, Edges.name]) for spec in self.terms]
        prior = prior_of(self.prior, shape)
        likelihood = likelihoods.from_name(self.likelihood, shape.image[0], self.sigma, shape.link)
        balances = [build("balance", BALANCES, spec, {"latent": shape.latent}) for spec in self.balance]
        _check(names, balances, prior, likelihood)
        balance = Joint(*balances) if balances else Fixed({})

        adversary = None
        if ADVERSARIAL in names:
            options = check_options("adversary", Adversary, self.adversary, RESERVED)
            adversary = Adversary(shape.latent, view=balance.mask, **options)
        elif self.adversary:
            raise InputError(f"method.adversary has options, but no term needs it; add {ADVERSARIAL} to method.terms")
        edges = None
        terms: dict[str, Term] = {"rec": TERMS["rec"]}
        for name, spec in zip(names, self.terms, strict=True):
            if name == ADVERSARIAL:
                terms["tc"] = lambda p: adversary.log_ratio(p.z)  # type: ignore[union-attr]
            elif name == Edges.name:
                edges = terms[name] = Edges(**check_options(name, Edges, options_in(spec)))
            else:
                options = check_options(name, TERMS[name], options_in(spec))
                terms[QUANTITY.get(name, name)] = partial(TERMS[name], **options)
        return Objective(
            terms=terms,
            balance=balance,
            likelihood=likelihood,
            prior=prior,
            adversary=adversary,
            monitors={} if "kl" in terms else {"kl": TERMS["kl"]},
            prior_lr=self.prior_lr,
            edges=edges,
        )


def parts() -> dict[str, dict[str, str]]:
    """Every part by kind and name, with its options and their defaults as text."""
    tables: dict[str, Mapping[str, Callable[..., Any]]] = {
        "terms": {name: term for name, term in TERMS.items() if name != "rec"}
        | {ADVERSARIAL: _no_options, Edges.name: Edges},
        "priors": PRIORS,
        "balances": BALANCES,
        "likelihoods": dict.fromkeys(("auto", *SHORT), _no_options) | LIKELIHOODS,
        "adversary": {Adversary.name: Adversary},
    }
    return {kind: {name: _options(part) for name, part in table.items()} for kind, table in tables.items()}


def _no_options(p: object) -> None:
    """Stands for a name that has no options of its own."""


def _options(part: Callable[..., Any]) -> str:
    """The options of a part with their defaults, such as "beta, until = 0.6"."""
    return ", ".join(
        name if option.default is inspect.Parameter.empty else f"{name} = {_text(option.default)}"
        for name, option in options_of(part).items()
        if name not in RESERVED
    )


def _text(default: object) -> object:
    return "unset" if default is None else default


def _check(names: list[str], balances: list[Balance], prior: Prior, likelihood: Likelihood) -> None:
    """Raises `InputError` for a composition that cannot work, with the reason."""
    quantities = [QUANTITY.get(name, name) for name in names]
    for quantity in quantities:
        if quantities.count(quantity) > 1:
            raise InputError(f"method.terms has {quantity} twice, under one name or two; take one")
    if "rec" in names:
        raise InputError("method.terms has rec, which is always there; leave it out")
    signed = {QUANTITY.get(name, name) for name in names if name in SIGNED or name == ADVERSARIAL}
    signed |= {"kl"} if prior.is_estimated else set()
    signed |= {"rec"} if likelihood.can_be_negative else set()
    for balance in balances:
        if balance.needs_nonnegative and (own := sorted(signed & set(balance.terms))):
            name = own[0]
            raise InputError(
                f"learned weights on {name}: it can become negative here, and the loss then has no lower bound; learn "
                f"the weights of terms that cannot, and give {name} to another balance"
            )
        if balance.needs_latent_kl and set(prior.sizes) != {1}:
            raise InputError(
                f"{balance.name} weights the KL of each latent, and this prior has one for each subspace; take "
                "standard-normal"
            )
        if balance.needs_adversary and ADVERSARIAL not in names:
            raise InputError(
                f"{balance.name} follows a discriminator, and there is none; add {ADVERSARIAL} to method.terms"
            )
