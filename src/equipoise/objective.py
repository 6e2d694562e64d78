"""The objective combines terms, prior, likelihood, balance and adversary into one loss. It averages over the batch."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from equipoise.adversary import Discriminator
from equipoise.alignment import Alignment
from equipoise.balance import Balance, Seen
from equipoise.data.settings import LabelSettings
from equipoise.edges import Edges
from equipoise.errors import InputError
from equipoise.gates import Rates
from equipoise.likelihoods import Likelihood
from equipoise.model import VAE, Pass
from equipoise.pairing import Pairing
from equipoise.part import Part
from equipoise.priors import Prior
from equipoise.supervision import Supervision
from equipoise.terms import MONITORS, Term

Logs = dict[str, Tensor]

SHARED = ("likelihood.", "prior.")  # the modules that an objective shares with its model


class Group(TypedDict):
    """Parameters with one learning rate, as an optimiser takes them."""

    optimiser: str  # "model" takes its step in the training loop, all others in `after_step`
    params: list[nn.Parameter]
    lr: NotRequired[float]  # default: `train.lr`; the schedule scales it for "model" alone
    travel: NotRequired[float]  # how far Adam moves them in a schedule, instead of `lr`, whatever the schedule of rates
    betas: NotRequired[tuple[float, float]]  # default: `train.betas`
    clip: bool  # whether the parameters count in the norm that is clipped


def reduce(term: Tensor) -> Tensor:
    """Return the mean over the batch: [] from [B], [D] from [B, D]; [] is unchanged."""
    return term if term.ndim == 0 else term.mean(0)


class Objective(nn.Module):
    """The loss of a method: sum over terms of (weight * batch mean) + the penalty of the balance, in nats per image.

    Terms per dimension are summed over dimensions. The model has the same likelihood and prior.

    Args:
        terms: functions of a `Pass` by name.
        balance: computes the weights of the terms.
        likelihood: the likelihood p(x|z), shared with the model.
        prior: the prior p(z), shared with the model.
        adversary: a discriminator, whose own step is in `after_step`.
        alignment: rotates the latent axes, in `after_step`.
        monitors: terms that are logged and given to the balance, and not part of the loss; they replace terms of the
            same name in the log. Those of `terms.MONITORS` that the balance measures are added.
        prior_lr: learning rate of the parameters of the prior. Default: that of the training.
        rates: the betas of a model whose nets have gates; a term reads that of each image from the pass.
        pairing: how batches of pairs are drawn, and which latents of a pair share their posterior.
        edges: draws the edge maps of the images, for a term of them; `attach` gives it the decoder.

    The attribute `supervision` is the term of labelled images, if there are any; `with_labels` sets it.

    Raises:
        InputError: if the balance needs a term that is missing.

    Example:
        >>> from equipoise import likelihoods, priors, terms
        >>> from equipoise.balance import Fixed
        >>> objective = Objective(
        ...     terms={"rec": terms.rec, "kl": terms.kl},
        ...     balance=Fixed({"kl": 4.0}),
        ...     likelihood=likelihoods.Bernoulli(),
        ...     prior=priors.StandardNormal(10),
        ... )
        >>> objective.needs_second_batch
        False
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, Term],
        balance: Balance,
        likelihood: Likelihood,
        prior: Prior,
        adversary: Discriminator | None = None,
        alignment: Alignment | None = None,
        monitors: Mapping[str, Term] | None = None,
        prior_lr: float | None = None,
        rates: Rates | None = None,
        pairing: Pairing | None = None,
        edges: Edges | None = None,
    ) -> None:
        super().__init__()
        self.terms = dict(terms)
        self.balance = balance
        self.likelihood = likelihood
        self.prior = prior
        self.adversary = adversary
        self.alignment = alignment
        self.monitors = dict(monitors or {})
        self.prior_lr = prior_lr
        self.rates = rates
        self.pairing = pairing
        self.edges = edges
        self.supervision: Supervision | None = None
        words = f"which is not among the terms, {', '.join(terms)}"
        for name in balance.terms:
            if name not in terms:
                raise InputError(f"the balance weights {name}, {words}")
        for name in balance.measures:
            if name in terms or name in self.monitors:
                continue
            if name not in MONITORS:
                others = ", ".join({**self.monitors, **MONITORS})
                raise InputError(f"the balance measures {name}, {words}, or the monitors, {others}")
            self.monitors[name] = MONITORS[name]

    @property
    def parts(self) -> list[Part]:
        """Balance, likelihood and prior, and adversary, alignment, edges and supervision if there are any."""
        others = (self.adversary, self.alignment, self.edges, self.supervision)
        parts = (self.balance, self.likelihood, self.prior, *others)
        return [part for part in parts if part is not None]

    @property
    def needs_second_batch(self) -> bool:
        """Whether a step needs a second batch, disjoint from the first."""
        return self.adversary is not None and self.adversary.second == "other"

    def forward(self, p: Pass, seen: Seen, labelled: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Logs]:
        """Return the loss [] and the values for the log.

        Args:
            p: the forward pass.
            seen: the clock: `step` and `progress`.
            labelled: means and targets of labelled images, [B', D] each, with NaN where there is no label.

        Returns:
            The loss, and by name, detached: `loss`; the total of each term and monitor; `weight.<term>`, the mean
            weight of a term; `<name>_dims` [D] for both if they are per dimension; `beta_equivalent`,
            `tc_equivalent`; and the parameters and buffers of the balance.
        """
        means = {name: reduce(_of_the_batch(name, term(p), p)) for name, term in self.terms.items()}
        with torch.no_grad():
            monitors = {name: reduce(_of_the_batch(name, term(p), p)) for name, term in self.monitors.items()}
        seen = {**seen, **monitors, **{name: mean.detach() for name, mean in means.items()}}
        if self.adversary is not None:
            seen["accuracy"] = self.adversary.accuracy
        weights = self.balance(seen)
        loss = self.balance.penalty(seen)
        for name, mean in means.items():
            loss = loss + (weights[name] * mean).sum() if name in weights else loss + mean.sum()
        of_labels: Logs = {}
        if self.supervision is not None and labelled is not None:
            error, weight = self.supervision(*labelled).mean(), self.supervision.weight_at(seen["progress"])
            loss = loss + weight * error
            of_labels = {"labels": error.detach(), "weight.labels": weight}

        means = {name: mean.detach() for name, mean in means.items()}
        logs = {"loss": loss.detach()}
        for name, value in {**means, **monitors}.items():
            logs[name] = value.sum()
            if value.ndim:
                logs[f"{name}_dims"] = value
        one = torch.ones_like(loss)
        for name in means:
            weight = weights.get(name, one).detach()
            logs[f"weight.{name}"] = weight.mean()
            if weight.ndim:
                logs[f"weight.{name}_dims"] = weight
        # The trade-off of all methods on one scale: the weight relative to one unit of squared error or cross-entropy.
        for name, equivalent in (("kl", "beta_equivalent"), ("tc", "tc_equivalent")):
            if name in means and "rec" in means:
                logs[equivalent] = logs[f"weight.{name}"] / (logs["weight.rec"] * self.likelihood.unit)
        return loss, logs | of_labels | self.balance.logs() | self.likelihood.logs() | self.prior.logs()

    def parameter_groups(self, model: VAE) -> list[Group]:
        """Return the parameters by optimiser and learning rate.

        Only the parameters of encoder, decoder and edges are clipped. Those of balance, prior and likelihood are not.
        """
        networks = [*model.encoder.parameters(), *model.decoder.parameters()]
        networks += self.edges.parameters() if self.edges is not None else []
        groups: list[Group] = [{"optimiser": "model", "params": networks, "clip": True}]
        paced_parts = [part for part in self.balance.modules() if isinstance(part, Balance) and part.travel is not None]
        their_parameters = {parameter for part in paced_parts for parameter in part.parameters()}
        own = [parameter for parameter in self.balance.parameters() if parameter not in their_parameters]
        own += self.likelihood.parameters()
        of_prior = list(self.prior.parameters())
        if self.prior_lr is None:
            own += of_prior
        elif of_prior:
            groups.append({"optimiser": "model", "params": of_prior, "lr": self.prior_lr, "clip": False})
        if own:
            groups.append({"optimiser": "model", "params": own, "clip": False})
        for part in paced_parts:
            travel = part.travel or 0.0
            groups.append({"optimiser": "model", "params": [*part.parameters()], "travel": travel, "clip": False})
        if self.adversary is not None:
            group: Group = {"optimiser": "adversary", "params": list(self.adversary.parameters()), "clip": False}
            groups.append({**group, "lr": self.adversary.lr, "betas": self.adversary.betas})
        return groups

    def after_step(
        self,
        model: VAE,
        p: Pass,
        second: Tensor | None,
        optimisers: Mapping[str, Optimizer],
        generator: torch.Generator,
        step: int = 1,
        progress: float = 0.0,
    ) -> Logs:
        """Run the steps of the adversary and of the alignment, if there are any, and return the values for the log.

        Args:
            model: the model after its own step.
            p: the pass of this step.
            second: images [B, C, H, W] disjoint from those of the pass, if `needs_second_batch`.
            optimisers: the optimisers by the names in `parameter_groups`.
            generator: source of the random numbers of this step.
            step: the number of this step, 1 for the first.
            progress: the fraction of the schedule that is over.
        """
        logs: Logs = {}
        if self.adversary is not None:
            logs |= self.adversary.step(model, p, second, optimisers, generator)
        if self.alignment is not None:
            logs |= self.alignment.step(model, p, optimisers, generator, step, progress)
        return logs

    def own_state(self) -> dict[str, Tensor]:
        """Return the state of the parts but likelihood and prior, which belong to the state of the model."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(SHARED)}

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """Load the state of the parts but likelihood and prior, which keep the state that the model has loaded."""
        shared = {name: value for name, value in self.state_dict().items() if name.startswith(SHARED)}
        self.load_state_dict({**state, **shared})


def with_labels(objective: Objective, labels: LabelSettings | None) -> Objective:
    """Return the objective with the term of labelled images if there are any."""
    if labels is not None:
        objective.supervision = Supervision(labels.loss, labels.weight, labels.until)
    return objective


def _of_the_batch(name: str, term: Tensor, p: Pass) -> Tensor:
    """Return the term. Raises `InputError` if it covers the images of one process alone."""
    if term.ndim and len(term) == len(p.x) != len(p.z):
        raise InputError(
            f"the term {name} has {len(term)} rows for a batch of {len(p.z)}; a term of x or out is computed from the "
            "images of one process alone, so pass its value through shard.whole of the Pass"
        )
    return term
