"""The linear examples of Stühmer et al. (2020), appendix B: the effect of mean-field inference and of beta."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from equipoise import progress
from equipoise.errors import InputError
from equipoise.files import replacing, write_text
from equipoise_toys import experiments, figures
from equipoise_toys.experiments import BUDGET, ICA_BETAS, ITERATIONS
from equipoise_toys.findings import findings, table

__all__ = ["run", "table"]


def run(out: Path, seeds: int = 6, iterations: int = ITERATIONS, console: Console | None = None) -> dict[str, Any]:
    """Run the experiments, write `out/toys.json` and figures, and return the numbers (nats, degrees).

    The over-complete ICA runs `iterations` of EM, 100 or more, on the data of each of the seeds 0 to `seeds` - 1, about
    eight seconds per seed at 700. `console` shows the progress. Raises `InputError` before any work for a value that
    cannot be used, or where `out` is a file.
    """
    file = next((path for path in (out, *out.parents) if path.exists() and not path.is_dir()), None)
    if file:
        raise InputError(f"out: {file} is a file; give a folder")
    if seeds < 1:
        raise InputError(f"seeds: {seeds} data sets to learn from; give 1 or more")
    if iterations < BUDGET:
        raise InputError(f"iterations: {iterations} are fewer than those of the paper's figure; give {BUDGET} or more")
    turned, shrunk = experiments.rotation(), experiments.shrinking()
    shared = experiments.pruning(np.linspace(0, 1, 201))

    console = console or Console(stderr=True, quiet=True)
    # For matrices this small BLAS is several times slower with more than one thread.
    with (
        threadpool_limits(1, user_api="blas"),
        progress.bar("over-complete ICA", seeds * len(ICA_BETAS) * iterations, "iterations", console) as advance,
    ):
        learned = [
            experiments.components(seed, beta, iterations, lambda: advance(1))
            for seed in range(seeds)
            for beta in ICA_BETAS
        ]

    results = findings(turned, shared, shrunk, learned)
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
    write_text(out / "toys.json", json.dumps(results, indent=1))
    return results
