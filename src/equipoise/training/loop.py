"""One training step, and the loop around it."""

from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equipoise.config import Train
from equipoise.errors import InputError, RunError
from equipoise.model import VAE, Shard
from equipoise.objective import Group, Objective
from equipoise.training import speed
from equipoise.training.schedule import rate

Row = dict[str, Any]
"""A row of `log.jsonl`: numbers, and lists of numbers for what is logged per dimension."""


ASK = 10  # steps between two times that several processes ask each other whether to stop
NOT_SAVED = "training stopped, and no checkpoint later than that is kept; try a smaller train.lr, or train.clip=1"


class Stopped(RunError):
    """Training was asked to stop before its last step; all that was done is in the checkpoint."""


class Training:
    """Model, objective, optimisers and clock: what a step changes, and all that a checkpoint holds.

    `step` counts the steps done. Batches are for the caller to give, so whatever yields tensors can be trained on. Of
    several processes each is given its `shard` of a batch, and has the same state and the same logs as the others.
    """

    def __init__(
        self, model: VAE, objective: Objective, train: Train, device: torch.device, shard: Shard | None = None
    ) -> None:
        self.train = train
        self.device = device
        self.shard = model.shard = shard or Shard()
        self.layout = speed.memory_format(model) if train.fast else torch.contiguous_format
        # channels_last concerns 4-D weights only; `to` leaves the others alone.
        self.model = model.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.model.bf16 = train.precision == "bf16"
        self.objective = objective.to(device)
        if objective.adversary is not None:
            objective.adversary.shard = self.shard
        groups = objective.parameter_groups(model)
        self.optimisers = {
            name: speed.adam(_of(groups, name, train), train.fast)
            for name in dict.fromkeys(group["optimiser"] for group in groups)
        }
        self.clipped = [p for group in groups if group["clip"] for p in group["params"]]
        self.clock = torch.zeros((), dtype=torch.int64, device=device)
        self.generator = torch.Generator(device)
        self.step = 0
        self.seconds = 0.0
        self.sizes: dict[str, int | None] = {}  # what is logged, with its dimensions, None for a scalar
        self.pending: list[Tensor] = []  # one row of logged values a step since the last row of the log

    def advance(self, x: Tensor, second: Tensor | None = None) -> None:
        """One step on x, float [B, C, H, W] in [0, 1]; `second` is the disjoint batch that some objectives ask for.

        Nothing in here waits for the device, and all randomness is a function of the seed and the step.
        """
        train = self.train
        factor = rate(train.schedule, self.step + 1, train.schedule_length)
        for group in self.optimisers["model"].param_groups:
            group["lr"] = group["base_lr"] * factor
        self.generator.manual_seed(int(np.random.SeedSequence([train.seed, self.step]).generate_state(1, np.uint64)[0]))
        self.clock += 1
        seen = {"step": self.clock, "progress": (self.clock / train.schedule_length).clamp(max=1)}

        x = x.to(self.device, memory_format=self.layout, non_blocking=True)
        p = self.model(x, self.generator)
        loss, logs = self.objective(p, seen)
        self.optimisers["model"].zero_grad(set_to_none=True)
        loss.backward()
        self.shard.average(p.grad for group in self.optimisers["model"].param_groups for p in group["params"])
        if train.clip is not None:
            nn.utils.clip_grad_norm_(self.clipped, train.clip)
        self.optimisers["model"].step()
        if second is not None:
            second = second.to(self.device, memory_format=self.layout, non_blocking=True)
        logs |= self.objective.after_step(self.model, p, second, self.optimisers, self.generator)

        self.sizes = {name: len(value) if value.ndim else None for name, value in logs.items()}
        self.pending.append(torch.cat([value.reshape(-1).float() for value in logs.values()]))
        self.step += 1

    def stops(self, said: bool) -> bool:
        """Whether to stop before the next step; several processes stop at the same one, if any of them says so."""
        if self.shard.processes == 1:
            return said
        return self.step % ASK == 0 and self.shard.any(said, self.device)

    def row(self) -> Row:
        """The means of what was logged since the last row. Raises `RunError` if a value is not finite."""
        values = self._checked().mean(0).tolist()
        self.pending = []
        row: Row = {"step": self.step}
        for name, size in self.sizes.items():
            row[name] = values.pop(0) if size is None else [values.pop(0) for _ in range(size)]
        return row

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, and the values not yet in the log.

        Raises `RunError` if any of it is not finite: a step can spoil the weights and leave its own loss intact.
        """
        pending = self._checked() if self.pending else None
        tensors = [*self.model.state_dict().values(), *self.objective.state_dict().values()]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise RunError(f"step {self.step}: a weight is not finite; {NOT_SAVED}")
        return {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "objective": self.objective.own_state(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "pending": pending,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.clock.fill_(self.step)
        self.model.load_state_dict(state["model"])
        self.objective.load_own_state(state["objective"])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        self.pending = [] if state["pending"] is None else list(state["pending"])

    def _checked(self) -> Tensor:
        rows = torch.stack([row.cpu() for row in self.pending]).double()
        wrong = (~rows.isfinite()).nonzero()
        if len(wrong):
            at = int(wrong[0, 0])
            names = [name for name, size in self.sizes.items() for _ in range(size or 1)]
            # The loss is wrong because a term is: name the term where there is one.
            terms = [names[int(column)] for row, column in wrong if int(row) == at]
            name = next((name for name in terms if name != "loss"), "loss").removesuffix("_dims")
            raise RunError(f"step {self.step - len(rows) + at + 1}: {name} is not finite; {NOT_SAVED}")
        return rows


def fit(
    training: Training,
    batch: Callable[[int, int], Tensor],
    *,
    log: Callable[[Row], object],
    save: Callable[[], object],
    after: Callable[[int], object],
    stop: Callable[[], bool],
) -> None:
    """Train up to `train.steps` on `batch(step, stream)`, float [B, C, H, W] in [0, 1].

    `log` gets a row every `train.log_every` steps, `after` is called each step, `save` every `train.checkpoint_every`.
    When `stop` says so, the state is saved and `Stopped` raised.
    """
    train = training.train
    training.model.train()
    training.objective.train()
    began, images = monotonic(), 0
    while training.step < train.steps:
        if training.stops(stop()):
            training.seconds += monotonic() - began
            save()
            raise Stopped(f"stopped after step {training.step} of {train.steps}")
        x = batch(training.step, 0)
        training.advance(x, batch(training.step, 1) if training.objective.needs_second_batch else None)
        images += len(x) * training.shard.processes
        done = training.step
        if done % train.log_every == 0 or done == train.steps:
            row = training.row()
            now = monotonic()
            training.seconds += now - began
            learning_rate = training.optimisers["model"].param_groups[0]["lr"]
            log(row | {"lr": learning_rate, "images_per_second": images / (now - began), "seconds": training.seconds})
            began, images = now, 0
        after(done)  # before the checkpoint: a step that is saved is never looked at again
        if done % train.checkpoint_every == 0 or done == train.steps:
            save()


def device(name: str) -> torch.device:
    """The device called `name`; `auto` is CUDA where there is one. Raises `InputError` for one that is not here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not (name.partition(":")[0] == "cuda" and torch.cuda.is_available()):
        raise InputError(f"train.device is {name}, which this machine does not offer; use auto or cpu")
    return torch.device(name)


def _of(groups: list[Group], name: str, train: Train) -> list[dict[str, Any]]:
    """The parameter groups of the optimiser called `name`, as torch takes them."""
    found = []
    for group in groups:
        if group["optimiser"] == name:
            lr = group.get("lr", train.lr)
            # "base_lr" is the group's own learning rate, which the schedule scales.
            found.append({"params": group["params"], "lr": lr, "base_lr": lr, "betas": group.get("betas", train.betas)})
    return found
