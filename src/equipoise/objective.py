"""The objective joins terms, prior, likelihood, balance and adversary into one loss. The only place that reduces."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from equipoise.adversary import Adversary, ImageAdversary
from equipoise.balance import Balance, Seen
from equipoise.errors import InputError
from equipoise.likelihoods import Likelihood
from equipoise.model import VAE, Pass
from equipoise.priors import Prior
from equipoise.terms import Term

Logs = dict[str, Tensor]


class Group(TypedDict):
    """Parameters that share a learning rate, the optimiser that steps them, and whether clipping counts them."""

    optimiser: str  # "model" is stepped by the training loop, every other by `after_step`
    params: list[nn.Parameter]
    lr: NotRequired[float]  # where it is absent: `train.lr`; the schedule scales it for "model" alone
    betas: NotRequired[tuple[float, float]]  # where it is absent: `train.betas`
    clip: bool


def reduce(term: Tensor) -> Tensor:
    """The mean over the batch: [] from [B], [D] from [B, D]; [] stays. The loss sums what is left."""
    return term if term.ndim == 0 else term.mean(0)


class Objective(nn.Module):
    """loss = sum over terms of (weight * batch mean), summed over dimensions, + the balance's penalty; nats per image.

    terms: functions of a `Pass` by name; balance: sets their weights. likelihood and prior are shared with the model.
    adversary: what plays against the model; its own step is `after_step`.
    monitors: terms that are logged and never part of the loss, in place of a term of the same name.
    prior_lr: learning rate of what the prior learns; unset: that of the training.

    Raises `InputError` where the balance weighs or measures a term that is not there.
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, Term],
        balance: Balance,
        likelihood: Likelihood,
        prior: Prior,
        adversary: Adversary | ImageAdversary | None = None,
        monitors: Mapping[str, Term] | None = None,
        prior_lr: float | None = None,
    ) -> None:
        super().__init__()
        self.terms = dict(terms)
        self.balance = balance
        self.likelihood = likelihood
        self.prior = prior
        self.adversary = adversary
        self.monitors = dict(monitors or {})
        self.prior_lr = prior_lr
        for verb, names in (("weighs", balance.terms), ("measures", balance.measures)):
            for name in names:
                if name not in terms:
                    raise InputError(f"the balance {verb} {name}, which is not among the terms, {', '.join(terms)}")

    @property
    def second_batch(self) -> bool:
        """Whether a step needs a second batch, disjoint from the first."""
        return self.adversary is not None and self.adversary.source == "other"

    def forward(self, p: Pass, seen: Seen) -> tuple[Tensor, Logs]:
        """The loss [] and what is logged of it, from one pass and the clock (`step`, `progress`).

        Logged, detached: `loss`, the total of each term and monitor, the mean of a term's weight as `weight.<term>`,
        what either is per dimension, [D], as `<name>_dims`, `beta_equivalent`, `tc_equivalent`, and what the balance
        learns or remembers.
        """
        means = {name: reduce(_of_the_batch(name, term(p), p)) for name, term in self.terms.items()}
        seen = {**seen, **{name: mean.detach() for name, mean in means.items()}}
        if self.adversary is not None:
            seen["accuracy"] = self.adversary.accuracy
        weights = self.balance(seen)
        loss = self.balance.penalty(seen)
        for name, mean in means.items():
            loss = loss + (weights[name] * mean).sum() if name in weights else loss + mean.sum()

        one = torch.ones_like(loss)
        weights = {name: weights.get(name, one).detach() for name in means}
        with torch.no_grad():
            shown = {**seen, **{name: reduce(_of_the_batch(name, term(p), p)) for name, term in self.monitors.items()}}
        logs = {"loss": loss.detach()}
        for name in {**means, **self.monitors}:
            logs[name] = shown[name].sum()
            if shown[name].ndim:
                logs[f"{name}_dims"] = shown[name]
        for name in means:
            logs[f"weight.{name}"] = weights[name].mean()
            if weights[name].ndim:
                logs[f"weight.{name}_dims"] = weights[name]
        # Every method's trade-off on one scale: the weight of a term beside one unit of squared error (or of BCE).
        for name, equivalent in (("kl", "beta_equivalent"), ("tc", "tc_equivalent")):
            if name in means and "rec" in means:
                logs[equivalent] = weights[name].mean() / (weights["rec"] * self.likelihood.unit)
        return loss, logs | self.balance.logs() | self.likelihood.logs() | self.prior.logs()

    def parameter_groups(self, model: VAE) -> list[Group]:
        """The networks, clipped together, and the parameters of the balance, prior and likelihood, never clipped."""
        networks = [*model.encoder.parameters(), *model.decoder.parameters()]
        groups: list[Group] = [{"optimiser": "model", "params": networks, "clip": True}]
        own = [*self.balance.parameters(), *self.likelihood.parameters()]
        learned = list(self.prior.parameters())
        if self.prior_lr is None:
            own += learned
        elif learned:
            groups.append({"optimiser": "model", "params": learned, "lr": self.prior_lr, "clip": False})
        if own:
            groups.append({"optimiser": "model", "params": own, "clip": False})
        if self.adversary is not None:
            theirs: Group = {"optimiser": "adversary", "params": list(self.adversary.parameters()), "clip": False}
            groups.append({**theirs, "lr": self.adversary.lr, "betas": self.adversary.betas})
        return groups

    def after_step(
        self,
        model: VAE,
        p: Pass,
        second: Tensor | None,
        optimisers: Mapping[str, Optimizer],
        generator: torch.Generator,
    ) -> Logs:
        """What happens after the model's step: the adversary's own, where there is one.

        p is the pass of this step, `second` a batch disjoint from it when `second_batch` asks for one, `optimisers` the
        optimisers by name as `parameter_groups` gives them, `generator` the step's own source of random numbers.
        """
        return {} if self.adversary is None else self.adversary.step(model, p, second, optimisers, generator)


def _of_the_batch(name: str, term: Tensor, p: Pass) -> Tensor:
    """The term, if it is not that of one process's images alone."""
    if term.ndim and len(term) == len(p.x) != len(p.z):
        raise InputError(
            f"the term {name} has {len(term)} rows for a batch of {len(p.z)}; a term of x or out sees the images of "
            "one process alone, and its value has to pass through shard.whole of the Pass"
        )
    return term
