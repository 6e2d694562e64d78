"""The objective joins terms, prior, likelihood and balance into one loss. The only place that reduces."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from equipoise.balance import Balance, Seen
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

    `terms` maps names to functions of a `Pass`; `balance` sets their weights. `likelihood` and `prior` are shared with
    the model. A method that needs more than one backward pass overrides `after_step`, and one whose adversary compares
    with other images sets `second_batch`.
    """

    second_batch = False

    def __init__(self, *, terms: Mapping[str, Term], balance: Balance, likelihood: Likelihood, prior: Prior) -> None:
        super().__init__()
        self.terms = dict(terms)
        self.balance = balance
        self.likelihood = likelihood
        self.prior = prior

    def forward(self, p: Pass, seen: Seen) -> tuple[Tensor, Logs]:
        """The loss [] and what is logged of it, from one pass and the clock (`step`, `progress`).

        Logged, detached: `loss`, each term's total, the mean of its weight as `weight.<term>`, what either is per
        dimension, [D], as `<name>_dims`, `beta_equivalent`, and what the balance learns or remembers.
        """
        means = {name: reduce(term(p)) for name, term in self.terms.items()}
        seen = {**seen, **{name: mean.detach() for name, mean in means.items()}}
        weights = self.balance(seen)
        loss = self.balance.penalty(seen)
        for name, mean in means.items():
            loss = loss + (weights[name] * mean).sum() if name in weights else loss + mean.sum()

        one = torch.ones_like(loss)
        weights = {name: weights.get(name, one).detach() for name in means}
        logs = {"loss": loss.detach()}
        for name in means:
            logs[name] = seen[name].sum()
            if seen[name].ndim:
                logs[f"{name}_dims"] = seen[name]
            logs[f"weight.{name}"] = weights[name].mean()
            if weights[name].ndim:
                logs[f"weight.{name}_dims"] = weights[name]
        if "kl" in means and "rec" in means:
            # Every method's trade-off on one scale: the weight of the KL beside one unit of squared error (or of BCE).
            logs["beta_equivalent"] = weights["kl"].mean() / (weights["rec"] * self.likelihood.unit)
        return loss, logs | self.balance.logs()

    def parameter_groups(self, model: VAE) -> list[Group]:
        """The networks, clipped together, and the parameters of the balance, prior and likelihood, never clipped."""
        networks = [*model.encoder.parameters(), *model.decoder.parameters()]
        groups: list[Group] = [{"optimiser": "model", "params": networks, "clip": True}]
        own = [*self.balance.parameters(), *self.prior.parameters(), *self.likelihood.parameters()]
        if own:
            groups.append({"optimiser": "model", "params": own, "clip": False})
        return groups

    def after_step(
        self,
        model: VAE,  # noqa: ARG002
        p: Pass,  # noqa: ARG002
        second: Tensor | None,  # noqa: ARG002
        optimisers: Mapping[str, Optimizer],  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
    ) -> Logs:
        """What happens after the model's step, none here: an adversary's own step on detached codes, further phases.

        p is the pass of this step, `second` a batch disjoint from it when `second_batch` asks for one, `optimisers` the
        optimisers by name as `parameter_groups` gives them, `generator` the step's own source of random numbers.
        """
        return {}
