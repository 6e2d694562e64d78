"""Where the time of a training goes, stage by stage: CPU seconds of one thread, each journey in a fresh process.

    OMP_NUM_THREADS=1 python benchmarks/journey.py [--journeys mlp conv ...] [--steps 50] [--rounds 1] [--out FILE]

A journey is `equipoise train` with its defaults but for net, size and steps: imports, data, nets, steps, encoding of
10,000 images, scores, their intervals, report. `mlp` and `conv` are dSprites with the perceptron of L-VAE and with
higgins_h. `colour-32` to `colour-128` are dsprites-color with locatello at that size. `folder` is 20,000 PNG files of
96 x 96 pixels, resized to 64, and `folder again` a second training on them. Few steps are trained; `of 2,000` is the
share of the time outside the steps if 2,000 of the same steps were.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BEGIN = time.process_time()

SIZES = (32, 64, 128)
JOURNEYS: dict[str, dict[str, object]] = {
    "mlp": {"data": "dsprites", "net": "mlp_lvae"},
    "conv": {"data": "dsprites", "net": "higgins_h"},
    **{f"colour-{size}": {"data": "dsprites-color", "data.size": size, "net": "locatello"} for size in SIZES},
    "folder": {"data.size": 64, "net": "locatello"},
    "folder again": {"data.size": 64, "net": "locatello"},
}
FILES, SIDE = 20_000, 96  # of the folder
STEPS = 2000  # of the training that is extrapolated
STAGES = ("imports", "data", "nets", "steps", "encode", "scores", "intervals", "report", "rest")

Figures = dict[str, float]


# --- one journey, in a separate process -------------------------------------------------------------------------------


class Stages:
    """CPU seconds of functions, added up over their calls; a function that another one calls counts by itself."""

    def __init__(self) -> None:
        self.seconds: Figures = dict.fromkeys(STAGES, 0.0)
        self._open: list[float] = []  # seconds of the stages inside each stage that has begun

    def time(self, stage: str, holder: Any, name: str) -> None:
        """Replace a function of a module or class by one that is timed."""
        function: Callable[..., Any] = getattr(holder, name)

        def timed(*args: Any, **options: Any) -> Any:
            begin = time.process_time()
            self._open.append(0.0)
            try:
                return function(*args, **options)
            finally:
                whole, inside = time.process_time() - begin, self._open.pop()
                self.seconds[stage] += whole - inside
                if self._open:
                    self._open[-1] += whole

        setattr(holder, name, timed)


def journey(settings: dict[str, object]) -> Figures:
    """Train, encode, score and report with these settings; return the CPU seconds of each stage."""
    from equipoise import codes as coding
    from equipoise import config, report, run, runs, scoring

    stages = Stages()
    stages.seconds["imports"] = time.process_time() - BEGIN
    stages.time("data", runs, "load_images")
    stages.time("data", run, "load_images")
    stages.time("data", runs, "fingerprint")
    stages.time("nets", runs, "build")
    stages.time("nets", run, "build")
    stages.time("nets", runs, "Training")
    stages.time("steps", runs, "fit")
    stages.time("encode", coding, "encode")
    stages.time("intervals", scoring, "score_codes")
    stages.time("report", report, "write")
    result = runs.execute(config.resolve(settings), progress=False)
    total = time.process_time() - BEGIN
    stages.seconds["rest"] = total - sum(stages.seconds.values())
    score_codes: Any = scoring.score_codes
    begin = time.process_time()
    evaluate = result.config.evaluate
    with_intervals = stages.seconds["intervals"]
    score_codes(result.codes, evaluate.which, evaluate.convention, interval=False, progress=False)
    without = time.process_time() - begin
    stages.seconds |= {"scores": without, "intervals": with_intervals - without}
    outside = total - stages.seconds["steps"]
    a_step = stages.seconds["steps"] / result.config.train.steps
    return stages.seconds | {"step": a_step, "outside": outside, "of 2,000": outside / (outside + STEPS * a_step)}


# --- all journeys -----------------------------------------------------------------------------------------------------


def draw_folder(folder: Path, files: int) -> None:
    """Write PNG files of random discs and noise, as large as photographs of this size."""
    import numpy as np
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    noise = rng.integers(0, 40, (SIDE, SIDE, 3))
    for number in range(files):
        across, down, radius = rng.uniform((20, 20, 8), (SIDE - 20, SIDE - 20, 20))
        disc = ((x - across) ** 2 + (y - down) ** 2 < radius**2)[..., None] * rng.integers(60, 215, 3)
        Image.fromarray((noise + disc).astype(np.uint8)).save(folder / f"{number:05}.png", compress_level=1)


def fresh(settings: dict[str, object], cache: Path) -> Figures:
    """Return the figures of a journey in a new process."""
    command = [sys.executable, __file__, "--one", json.dumps(settings)]
    environment = {**os.environ, "EQUIPOISE_CACHE": str(cache)} if "folder" in str(settings["out"]) else None
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
    return {str(name): float(value) for name, value in json.loads(output.splitlines()[-1]).items()}


def measure(names: Sequence[str], steps: int, rounds: int, files: int, images: int) -> dict[str, Figures]:
    """Return the median figures of each journey."""
    results: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        if any("folder" in name for name in names):
            draw_folder(place / "images", files)
        for name in names:
            taken = []
            for number in range(rounds):
                out = {"out": str(place / f"{name}-{number}"), "train.steps": steps, "evaluate.n": images}
                data = {"data": str(place / "images")} if "folder" in name else {}
                common = {"method": "l-vae", "train.threads": 1, "train.device": "cpu"}
                first = name == "folder"  # each round decodes the files anew
                taken.append(
                    fresh({**common, **data, **JOURNEYS[name], **out}, place / f"cache-{number if first else 0}")
                )
            results[name] = {stage: statistics.median(each[stage] for each in taken) for stage in taken[0]}
            print(table({name: results[name]}), flush=True)
    return results


def table(results: dict[str, Figures]) -> str:
    """Return the figures as text, a row for each journey."""
    heads = [*STAGES, "step", "outside", "of 2,000"]
    lines = [f"{'':<13}" + "".join(f"{head:>10}" for head in heads)]
    for name, figures in results.items():
        cells = [f"{figures[head]:>10.1%}" if head == "of 2,000" else f"{figures[head]:>10.3f}" for head in heads]
        lines.append(f"{name:<13}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--journeys", nargs="+", choices=list(JOURNEYS), default=list(JOURNEYS))
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--images", type=int, default=10_000, help="to encode and score")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(journey(json.loads(args.one))))
        return
    results = measure(args.journeys, args.steps, args.rounds, args.files, args.images)
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
