"""Estimate how long a study takes on this machine, from a few seconds of training of each kind of run."""

from collections.abc import Iterable

from rich.console import Console

from equipoise import automatic, scoring
from equipoise.assemble import load_images
from equipoise.config import Config


def seconds(work: Iterable[tuple[Config, int]], workers: int, progress: bool = True) -> float:
    """Return the training time in seconds of these runs, each with its steps that are left, with `workers` at once.

    Scores and reports take more time. Runs of one kind have the same data, method, net, optimiser, batch and precision.
    Raises `InputError` for settings with which no run can start.
    """
    rates: dict[str, float] = {}
    total = 0.0
    for config, steps in work:
        train = config.train
        kind = repr((config.data, config.method.name, config.net, train.optimizer, train.batch, train.precision))
        if kind not in rates:
            status = f"timing {config.method.name} for {automatic.SECONDS:g} s"
            with Console(stderr=True, quiet=not progress).status(status):
                images, images_to_score = load_images(config, None)
                scoring.check(config, images_to_score)
                rate = automatic.measure(config, images)[1]
                assert rate is not None
                rates[kind] = rate
        total += steps * config.train.batch / rates[kind]
    return total / workers
