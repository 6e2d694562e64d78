"""How long a study takes on this machine, from a few seconds of training of each kind of run."""

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
ROW = 5  # steps, of which one row at least is timed


def seconds(configs: Iterable[Config], workers: int, progress: bool = True) -> float | None:
    """Seconds that the training of these runs takes here, `workers` at once; None where a run is too short to be timed.

    Scores and reports come on top. Runs of one method, net, data and batch are one kind. Raises `InputError` for what
    no run of a kind can begin with.
    """
    pace: dict[str, float | None] = {}
    total = 0.0
    for config in configs:
        kind = repr((config.data, config.method.name, config.net, config.train.batch, config.train.precision))
        if kind not in pace:
            with Console(stderr=True, quiet=not progress).status(f"timing {config.method.name} for {SECONDS:g} s"):
                pace[kind] = _images_per_second(config)
        rate = pace[kind]
        if rate is None:
            return None
        total += config.train.steps * config.train.batch / rate
    return total / workers


def _images_per_second(config: Config) -> float | None:
    """Of a run that is begun in a folder that vanishes, and stopped before its last step."""
    began: list[float] = []

    def enough() -> bool:
        began.append(monotonic())
        long = began[-1] - began[0] > SECONDS and len(began) > ROW
        return long or len(began) == config.train.steps

    train = dataclasses.replace(config.train, log_every=ROW, checkpoint_every=config.train.steps)
    with tempfile.TemporaryDirectory() as folder:
        brief = dataclasses.replace(config, out=f"{folder}/run", train=train)
        with suppress(Stopped):
            runs.execute(brief, progress=False, stop=enough)
        return next((float(row["images_per_second"]) for row in reversed(runs.open_run(brief.out).logs)), None)
