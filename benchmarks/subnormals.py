"""Training steps with subnormal numbers flushed to 0, beside the same steps with subnormal numbers, in a long run.

    python benchmarks/subnormals.py [--method M] [--net N] [--data D] [--size 32] [--steps 2000] [--out FILE]

Both sides train the same run on the same batches with one thread, in one process, and take turns every 100 steps. Each
row has the CPU time of a step on both sides and their ratio; the last line compares all steps and the losses.
"""

import argparse
import json
from pathlib import Path
from time import process_time

import torch

from equipoise import assemble, config
from equipoise.data import load_data
from equipoise.data.batches import Batches
from equipoise.training import speed
from equipoise.training.loop import Training

TURN = 100  # steps


def take_turn(training: Training, batch: Batches, flush: bool) -> float:
    """Train for a turn and return the CPU time of a step."""
    needs_second = training.objective.needs_second_batch
    batches = [(batch(step, 0), batch(step, 1) if needs_second else None) for step in _steps(training)]
    with speed.flush_subnormals(flush):
        start = process_time()
        for x, second in batches:
            training.advance(x, second)
        return (process_time() - start) / TURN


def _steps(training: Training) -> range:
    return range(training.step, training.step + TURN)


def main() -> None:
    """Print a row for each turn, and write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="aligned-vae")
    parser.add_argument("--net", default="locatello")
    parser.add_argument("--data", default="dsprites")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    images = load_data(arguments.data, size=arguments.size)
    names = {"data": arguments.data, "data.size": arguments.size, "method": arguments.method, "net": arguments.net}
    settings = config.resolve({**names, "train.steps": arguments.steps, "train.device": "cpu"})
    rows = []
    with speed.fast_parts(True, 1):
        sides = []
        for _ in range(2):
            model, objective = assemble.build(settings, images.shape, len(images))
            sides.append(Training(model, objective, settings.train, torch.device("cpu")))
        batch = Batches(images, settings.train.batch, seed=0)
        print(f"{'step':>6}{'subnormal':>12}{'flushed':>12}{'ratio':>8}   ({arguments.method}, {arguments.net})")
        while sides[0].step < arguments.steps:
            plain, flushed = (take_turn(side, batch, flush) for side, flush in zip(sides, (False, True), strict=True))
            rows.append({"step": sides[0].step, "subnormal": plain, "flushed": flushed})
            print(
                f"{sides[0].step:>6}{1e3 * plain:>9.1f} ms{1e3 * flushed:>9.1f} ms{plain / flushed:>8.2f}", flush=True
            )
    totals = [sum(row[side] for row in rows) * TURN for side in ("subnormal", "flushed")]
    losses = [side.row()["loss"] for side in sides]
    print(f"all steps: {totals[0]:.0f} s and {totals[1]:.0f} s; mean losses {losses[0]:.6g} and {losses[1]:.6g}")
    if arguments.out is not None:
        contents = {"settings": {**names, "train.steps": arguments.steps}, "processor": speed.processor(), "rows": rows}
        arguments.out.write_text(json.dumps(contents, indent=1))


if __name__ == "__main__":
    main()
