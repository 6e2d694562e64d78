"""The linear examples of Stühmer et al. (2020), appendix B: what mean-field inference, and beta, do to a model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from equipoise import progress
from equipoise.errors import InputError
from equipoise.files import replacing, write_text
from equipoise.toys import experiments, figures
from equipoise.toys.experiments import BUDGET, ICA_BETAS, ITERATIONS
from equipoise.toys.findings import findings, table

__all__ = ["run", "table"]


def run(out: Path, seeds: int = 6, iterations: int = ITERATIONS, console: Console | None = None) -> dict[str, Any]:
    """What the experiments found, in numbers (nats, degrees), as written to `out/toys.json`, with figures beside it.

    The over-complete ICA takes `iterations` of EM, 100 or more, on the data of each of the seeds 0 to `seeds` - 1, some
    eight seconds each at 700; `console` shows how far it is. Raises `InputError` before any work where one of these, or
    `out` that is a file, cannot be used.
    """
    file = next((path for path in (out, *out.parents) if path.exists() and not path.is_dir()), None)
    if file:
        raise InputError(f"out: {file} is a file; give a folder, which is made if need be")
    if seeds < 1:
        raise InputError(f"seeds: {seeds} data sets to learn from; give 1 or more")
    if iterations < BUDGET:
        raise InputError(f"iterations: {iterations} end before the paper's picture is met; give {BUDGET} or more")
    turned, shrunk = experiments.rotation(), experiments.shrinking()
    shared = experiments.pruning(np.linspace(0, 1, 201))

    console = console or Console(stderr=True, quiet=True)
    # Waiting threads of BLAS cost several times what they do for matrices as small as these.
    with (
        threadpool_limits(1, user_api="blas"),
        progress.bar("over-complete ICA", seeds * len(ICA_BETAS) * iterations, "iterations", console) as advance,
    ):
        learned = [
            experiments.components(seed, beta, iterations, lambda: advance(1))
            for seed in range(seeds)
            for beta in ICA_BETAS
        ]

    found = findings(turned, shared, shrunk, learned)
    drawn = {
        "rotation": figures.rotation(turned),
        "pruning": figures.pruning(shared),
        "beta": figures.beta(turned),
        "linear-vae": figures.shrinking(shrunk),
        "ica": figures.components(learned),
    }
    for name, figure in drawn.items():
        with replacing(out / f"{name}.png") as target:
            target.write(figures.png(figure))
    write_text(out / "toys.json", json.dumps(found, indent=1))
    return found
