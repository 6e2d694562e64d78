"""The training step and the loop around it."""

from collections.abc import Callable
from time import monotonic
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from equipoise import convolutions, nets
from equipoise.data.labels import LabelledImages
from equipoise.errors import InputError, RunError
from equipoise.model import VAE, Shard
from equipoise.objective import Group, Objective
from equipoise.sections import Train
from equipoise.training import muon, speed
from equipoise.training.schedule import rate

Row = dict[str, Any]
"""A row of `log.jsonl`: numbers, and a list of numbers for a value per dimension."""

CHECK_EVERY = 10  # steps between checks whether one of several processes has to stop
NOT_SAVED = "training stopped, and the last checkpoint is of an earlier step; try a smaller train.lr, or train.clip=1"


class Stopped(RunError):
    """Training stopped before its last step, after saving a checkpoint."""


class Diverged(RunError):
    """A value or a weight is not finite. The same settings give the same values again."""


class Training:
    """Model, objective, optimisers and step counter: everything that a step changes and a checkpoint holds.

    Args:
        model: The model; moved to the device.
        objective: Its objective; moved to the device.
        train: The settings of [train].
        device: Where to train.
        shard: The part of each batch that this process computes; default: the whole batch. All processes have the
            same state and the same logs.
        labelled: The labelled images, of which each process computes the whole batch.
    """

    def __init__(
        self,
        model: VAE,
        objective: Objective,
        train: Train,
        device: torch.device,
        shard: Shard | None = None,
        labelled: LabelledImages | None = None,
    ) -> None:
        self.train, self.labelled = train, labelled
        self.device = device
        self.shard = model.shard = shard or Shard()
        self.layout = speed.memory_format(model) if train.fast else torch.contiguous_format
        # `to` applies channels_last to 4-D weights only.
        self.model = model.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        for net in (self.model, objective):
            convolutions.use_products(net, train.fast)
        self.model.bf16 = train.precision == "bf16"
        self.model.pairing = objective.pairing
        self.model.keeps_features = objective.edges is not None
        self.objective = objective.to(device)
        if objective.adversary is not None:
            objective.adversary.shard = self.shard
        if objective.alignment is not None and labelled is not None:
            objective.alignment.fixed = labelled.latents
        groups = objective.parameter_groups(model)
        self.optimisers = {
            name: _optimiser(name, _groups_of(name, groups, train), model, objective, train)
            for name in dict.fromkeys(group["optimiser"] for group in groups)
        }
        self.clipped = [p for group in groups if group["clip"] for p in group["params"]]
        self.clock = torch.zeros((), dtype=torch.int64, device=device)
        self.generator = torch.Generator(device)
        self.step = 0
        self.seconds = 0.0
        self.sizes: dict[str, int | None] = {}  # length of each logged value, None for a scalar
        self.pending: list[Tensor] = []  # logged values of each step since the last row of the log

    def advance(self, x: Tensor, second: Tensor | None = None) -> None:
        """Do one step on a batch.

        The step does not wait for the device. All random numbers are a function of the seed and the step.

        Args:
            x: Images, float [B, C, H, W] in [0, 1].
            second: A batch of other images, for objectives with `needs_second_batch`.
        """
        train, step = self.train, self.step + 1
        factor = rate(train.schedule, step, train.schedule_length)
        for group in self.optimisers["model"].param_groups:
            if not group.get("paced"):
                group["lr"] = group["base_lr"] * factor
        self.generator.manual_seed(int(np.random.SeedSequence([train.seed, self.step]).generate_state(1, np.uint64)[0]))
        self.clock += 1
        seen = {"step": self.clock, "progress": (self.clock / train.schedule_length).clamp(max=1)}

        x = self._on_device(x)
        if self.step == 0 and train.start_at_mean and train.init is None:
            image = self.shard.whole(x.mean(0, keepdim=True)).mean(0)
            nets.start_at(self.model.decoder, image, has_logits=self.model.likelihood.link is None)
        self.model.apart = step / train.schedule_length < self.objective.balance.apart
        p = self.model(x, self.generator)
        labelled = None
        if self.labelled is not None:
            images, targets = self.labelled(self.step)
            means = self.model.means(self._on_device(images), self.generator)
            labelled = means, targets.to(self.device, non_blocking=True)
        loss, logs = self.objective(p, seen, labelled)
        self.optimisers["model"].zero_grad(set_to_none=True)
        loss.backward()
        self.shard.average(p.grad for group in self.optimisers["model"].param_groups for p in group["params"])
        if train.clip is not None:
            nn.utils.clip_grad_norm_(self.clipped, train.clip)
        self.optimisers["model"].step()
        second = None if second is None else self._on_device(second)
        progress = min(step / train.schedule_length, 1.0)
        logs |= self.objective.after_step(self.model, p, second, self.optimisers, self.generator, step, progress)

        self.sizes = {name: len(value) if value.ndim else None for name, value in logs.items()}
        self.pending.append(torch.cat([value.reshape(-1).float() for value in logs.values()]))
        self.step = step

    def _on_device(self, images: Tensor) -> Tensor:
        """The images on the device, in the layout of the model."""
        return images.to(self.device, memory_format=self.layout, non_blocking=True)

    def must_stop(self, stop: bool) -> bool:
        """Whether to stop before the next step. Several processes stop at the same step, if any of them has to."""
        if self.shard.processes == 1:
            return stop
        return self.step % CHECK_EVERY == 0 and self.shard.any(stop, self.device)

    def row(self) -> Row:
        """Return the means of the values since the last row. Raises `Diverged` if a value is not finite."""
        values = self._finite_pending().mean(0).tolist()
        self.pending = []
        row: Row = {"step": self.step}
        for name, size in self.sizes.items():
            row[name] = values.pop(0) if size is None else [values.pop(0) for _ in range(size)]
        return row

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, with the values that are not yet in the log.

        Raises `Diverged` if a value or a weight is not finite. A step can make a weight infinite while its own loss is
        still finite.
        """
        pending = self._finite_pending() if self.pending else None
        tensors = [*self.model.state_dict().values(), *self.objective.state_dict().values()]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise Diverged(f"step {self.step}: a weight is not finite; {NOT_SAVED}")
        return {
            "step": self.step,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "objective": self.objective.own_state(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "pending": pending,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore a state that `state()` returned. A finished run does not need its optimisers."""
        self.step, self.seconds = state["step"], state["seconds"]
        self.clock.fill_(self.step)
        self.model.load_state_dict(state["model"])
        self.objective.load_own_state(state["objective"])
        for name, of_optimiser in state["optimisers"].items() if self.step < self.train.steps else ():
            try:
                self.optimisers[name].load_state_dict(of_optimiser)
            except ValueError:
                raise InputError(
                    "the checkpoint is of an earlier version, whose optimiser had other groups of weights; start the "
                    "run again in another folder, or continue it with that version"
                ) from None
        self.pending = [] if state["pending"] is None else list(state["pending"])

    def _finite_pending(self) -> Tensor:
        """The pending values, double [steps, values]. Raises `Diverged` that names the first value not finite."""
        rows = torch.stack([row.cpu() for row in self.pending]).double()
        infinite = (~rows.isfinite()).nonzero()
        if len(infinite):
            first = int(infinite[0, 0])
            columns = [name for name, size in self.sizes.items() for _ in range(size or 1)]
            names = [columns[int(column)] for row, column in infinite if int(row) == first]
            # A term makes the loss infinite, so name the term.
            name = next((name for name in names if name != "loss"), "loss").removesuffix("_dims")
            raise Diverged(f"step {self.step - len(rows) + first + 1}: {name} is not finite; {NOT_SAVED}")
        return rows


def _ignore(*_: object) -> None:
    """Do nothing with a row or a step."""


def fit(
    training: Training,
    batch: Callable[[int, int], Tensor],
    *,
    log: Callable[[Row], object] = _ignore,
    save: Callable[[], object] = _ignore,
    after: Callable[[int], object] = _ignore,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Train up to step `train.steps`.

    Args:
        training: The state to start from.
        batch: Returns the batch of a step and a stream (0, or 1 for the second batch), float [B, C, H, W] in [0, 1].
        log: Called with a row every `train.log_every` steps and at the last step.
        save: Called every `train.checkpoint_every` steps, at the last step, and before stopping.
        after: Called with the number of steps done after each step, before `save`.
        stop: Called before each step. When it returns True, the state is saved.

    Raises:
        Stopped: If `stop` returned True.
        Diverged: If a value or a weight is not finite.
    """
    train = training.train
    training.model.train()
    training.objective.train()
    start, images = monotonic(), 0
    while training.step < train.steps:
        if training.must_stop(stop()):
            training.seconds += monotonic() - start
            save()
            raise Stopped(f"stopped after step {training.step} of {train.steps}")
        x = batch(training.step, 0)
        training.advance(x, batch(training.step, 1) if training.objective.needs_second_batch else None)
        images += len(x) * training.shard.processes
        step = training.step
        if step % train.log_every == 0 or step == train.steps:
            row = training.row()
            now = monotonic()
            training.seconds += now - start
            learning_rate = training.optimisers["model"].param_groups[0]["lr"]
            log(row | {"lr": learning_rate, "images_per_second": images / (now - start), "seconds": training.seconds})
            start, images = now, 0
        after(step)  # before the checkpoint, since a saved step is not repeated
        if step % train.checkpoint_every == 0 or step == train.steps:
            save()


def device(name: str) -> torch.device:
    """The device called `name`; `auto` is CUDA if available, else the CPU. Raises `InputError` for a missing device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name != "cpu" and not (name.partition(":")[0] == "cuda" and torch.cuda.is_available()):
        raise InputError(f"train.device is {name}, which this machine does not offer; use auto or cpu")
    return torch.device(name)


def _optimiser(
    name: str, groups: list[dict[str, Any]], model: VAE, objective: Objective, train: Train
) -> torch.optim.Optimizer:
    """The optimiser of these groups. An adversary has Adam, whatever the optimiser of the model."""
    if name == "model" and train.optimizer == "muon":
        return muon.Muon(muon.split(groups, muon.hidden_weights(model, objective.edges)), train.fast)
    return speed.adam(groups, train.fast)


def _groups_of(name: str, groups: list[Group], train: Train) -> list[dict[str, Any]]:
    """The parameter groups of the optimiser called `name`, in the form of torch."""
    selection = []
    for group in groups:
        if group["optimiser"] == name:
            lr = group.get("lr", train.lr)
            betas = group.get("betas", train.betas)
            # Only encoder and decoder decay, the parameters that are also clipped.
            decay = train.weight_decay if group["clip"] else 0.0
            # The schedule scales "base_lr", the group's own learning rate.
            if "travel" in group:  # Adam moves a parameter by about one learning rate a step
                lr = group["travel"] / train.schedule_length
            rates = {"lr": lr, "base_lr": lr, "betas": betas, "weight_decay": decay, "paced": "travel" in group}
            selection.append({"params": group["params"], **rates})
    return selection
