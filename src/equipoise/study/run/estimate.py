"""Estimate how long a study takes on this machine, from a few seconds of training of each kind of run."""

import dataclasses
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from time import monotonic

from rich.console import Console

from equipoise import runs
from equipoise.config import Config
from equipoise.training.loop import Stopped

SECONDS = 2.0  # of training, for each kind
ROW = 5  # steps of a row of the log


def seconds(configs: Iterable[Config], workers: int, progress: bool = True) -> float | None:
    """Return the training time of these runs in seconds, with `workers` at once; None where a run is too short to time.

    Scores and reports take more time. Runs with the same method, net, data and batch are one kind. Raises `InputError`
    for settings with which no run can start.
    """
    rates: dict[str, float | None] = {}
    total = 0.0
    for config in configs:
        kind = repr((config.data, config.method.name, config.net, config.train.batch, config.train.precision))
        if kind not in rates:
            with Console(stderr=True, quiet=not progress).status(f"timing {config.method.name} for {SECONDS:g} s"):
                rates[kind] = _images_per_second(config)
        rate = rates[kind]
        if rate is None:
            return None
        total += config.train.steps * config.train.batch / rate
    return total / workers


def _images_per_second(config: Config) -> float | None:
    """Return the speed of a run that starts in a temporary folder and stops before its last step."""
    times: list[float] = []

    def is_enough() -> bool:
        times.append(monotonic())
        long = times[-1] - times[0] > SECONDS and len(times) > ROW
        return long or len(times) == config.train.steps

    train = dataclasses.replace(config.train, log_every=ROW, checkpoint_every=config.train.steps)
    with tempfile.TemporaryDirectory() as folder:
        brief = dataclasses.replace(config, out=f"{folder}/run", train=train)
        with suppress(Stopped):
            runs.execute(brief, progress=False, stop=is_enough)
        return next((float(row["images_per_second"]) for row in reversed(runs.open_run(brief.out).logs)), None)
