"""Time to disentangle: scores of a method against the images it has seen and the CPU seconds of its training.

    python benchmarks/time_to_disentangle.py [--method aligned-vae] [--data dsprites] [--size 32] [--net NAME]
        [--budget SECONDS | --images N] [--seeds 5] [--jobs 1] [--settings key=value ...] [--beside beta-vae]
        [--out FILE]

A short trial measures the CPU time of a step, and the number of steps follows from the budget, so that every schedule
ends with the run. Each seed is a fresh process with this number of steps. At ten points of the training, 10,000 images
of the full set are encoded and scored in the convention of the settings, carbonneau by default. CPU seconds are process
time: they add up over threads and exclude other programs, loading and scoring. The file is written after each seed, and
the same command goes on where it was stopped.

At the end of its schedule, aligned-vae switches unused latents off. At the earlier points the means of these latents
are set to 0 before the codes are scored, as in a run that ends there.

`--beside` trains a second method for the same CPU time by the common protocol of the field: the net `locatello`, 64
pixels, batches of 64, a learning rate of 1e-4 (Locatello et al., 2019). Settings of data and evaluate apply to both.
"""

import argparse
import concurrent.futures
import json
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equipoise import alignment, assemble, codes, config, scoring
from equipoise.config import Config
from equipoise.data import Images
from equipoise.data.batches import Batches
from equipoise.files import replacing
from equipoise.methods import METHODS
from equipoise.metrics import ScoreWarning
from equipoise.nets import NETS
from equipoise.training import speed
from equipoise.training.loop import Training, fit

SCORES = {"mig": "MIG", "factor_vae": "FactorVAE", "dci_hist_disentanglement": "DCI"}
SIZES = ("sampled_sse", "sampled_bce", "kl")  # also stored for each point, per image
PROTOCOL: dict[str, object] = {"net": "locatello", "data.size": 64, "train.batch": 64, "train.lr": 1e-4}
WARM_UP, TRIAL = 5, 40  # steps before the trial, and in it

Point = dict[str, float]


# --- one training, in a separate process ------------------------------------------------------------------------------


def pace(settings: dict[str, object]) -> float:
    """Return the CPU seconds of a training step."""
    resolved = config.resolve(settings | {"train.steps": 10**9})
    with speed.fast_parts(resolved.train.fast, resolved.train.threads, resolved.train.precision):
        training, batches, _ = start(resolved)
        training.model.train()
        training.objective.train()
        begin = time.process_time()
        for step in range(WARM_UP + TRIAL):
            if step == WARM_UP:
                begin = time.process_time()
            training.advance(batches(step, 0), batches(step, 1) if training.objective.needs_second_batch else None)
        return (time.process_time() - begin) / TRIAL


def measure(settings: dict[str, object], points: int) -> list[Point]:
    """Train and return the images, CPU seconds and scores at equally spaced points of the training."""
    resolved = config.resolve(settings)
    steps = resolved.train.steps
    at = {max(1, round(steps * (number + 1) / points)) for number in range(points)}
    results: list[Point] = []
    with speed.fast_parts(resolved.train.fast, resolved.train.threads, resolved.train.precision):
        training, batches, scored = start(resolved)
        scoring.check(resolved, scored)
        begin, scoring_time = time.process_time(), 0.0

        def score(step: int) -> None:
            nonlocal scoring_time
            if step not in at:
                return
            now = time.process_time()
            point: Point = {"images": step * resolved.train.batch, "cpu_seconds": now - begin - scoring_time}
            results.append(point | scores(training, scored, resolved))
            scoring_time += time.process_time() - now

        fit(
            training,
            batches,
            log=lambda row: None,  # noqa: ARG005
            save=lambda: None,
            after=score,
            stop=lambda: False,
        )
    return results


def start(resolved: Config) -> tuple[Training, Batches, Images]:
    """Return the training before its first step, its batches, and the images to score."""
    images, scored = assemble.load_images(resolved, None)
    model, objective = assemble.build(resolved, images.shape, len(images))
    training = Training(model, objective, resolved.train, torch.device("cpu"))
    return training, Batches(images, resolved.train.batch, resolved.train.seed), scored


def scores(training: Training, images: Images, resolved: Config) -> dict[str, float]:
    """Return the scores of the model at this step; the training is not affected."""
    encoded = codes.encode(training.model, images, codes.index(images, resolved.evaluate.n))
    training.model.train()
    if training.objective.alignment is not None:
        kl = 0.5 * (encoded["mean"] ** 2 + np.exp(encoded["logvar"]) - encoded["logvar"] - 1).mean(0)
        encoded["mean"] = np.where(kl < alignment.ACTIVE, 0, encoded["mean"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)  # a collapsed latent lowers the scores, which is enough
        values = scoring.score_codes(
            encoded, tuple(SCORES), resolved.evaluate.convention, interval=False, progress=False
        )
    sizes = {name: float(encoded[name].mean()) for name in SIZES}
    return {name: float(values[name].value) for name in SCORES} | sizes


# --- all trainings ----------------------------------------------------------------------------------------------------


def side(settings: dict[str, object], budget: float | None, images: int | None, earlier: Any) -> Any:
    """Return the entry of a method before its seeds are trained: its name, budget, settings with the steps, no seeds.

    `earlier` are the entries of a file that was written before; one of the same settings and budget is continued.
    """
    resolved = config.resolve(settings)
    about = {"method": resolved.method.name, "budget": budget if images is None else None}
    for entry in earlier:
        steps = entry["settings"]["train.steps"]
        is_same = entry["settings"] == resolved_settings(settings, steps) and about.items() <= entry.items()
        if is_same and (images is None or steps == max(1, images // resolved.train.batch)):
            return entry
    if images is None:
        assert budget is not None
        images = max(1, round(budget / fresh(settings=settings))) * resolved.train.batch
    return about | {"settings": resolved_settings(settings, max(1, images // resolved.train.batch)), "seeds": {}}


def resolved_settings(settings: dict[str, object], steps: int) -> dict[str, Any]:
    """Return all settings but the seed, as the file holds them."""
    flat = config.resolve(settings | {"train.steps": steps}).flat()
    as_stored: dict[str, Any] = json.loads(
        json.dumps({key: value for key, value in flat.items() if key != "train.seed"})
    )
    return as_stored


def train(entry: Any, settings: dict[str, object], seed: int, points: int) -> list[Point]:
    """Train a seed of an entry in a separate process and return its points."""
    steps = entry["settings"]["train.steps"]
    print(f"{entry['method']}: {steps:,} steps, seed {seed}", file=sys.stderr)
    measured: list[Point] = fresh(settings=settings | {"train.steps": steps, "train.seed": seed}, points=points)
    return measured


def medians(seeds: dict[str, list[Point]]) -> list[Point]:
    """Return the median over the seeds at each point."""
    return [
        {name: statistics.median(point[name] for point in same) for name in same[0]}
        for same in zip(*seeds.values(), strict=True)
    ]


def fresh(**arguments: Any) -> Any:
    """Run `measure`, or `pace` if there are no points, in a separate process."""
    command = [sys.executable, __file__, "--measure", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(result: Any) -> str:
    """Return a line for each point and seed, and one for the median over the seeds."""
    of_data = result["settings"]
    size = f", {of_data['data.size']} pixels" if "data.size" in of_data else ""
    lines = [
        f"{result['method']} on {of_data['data.name']}{size}, {of_data['net.name']}",
        f"{'images':>12}{'CPU s':>9}  {'seed':<7}" + "".join(f"{label:>11}" for label in SCORES.values()),
    ]
    for number, median in enumerate(result["median"]):
        for seed, points in [*result["seeds"].items(), ("median", None)]:
            point = median if points is None else points[number]
            values = "".join(f"{point[name]:>11.3f}" for name in SCORES)
            lines.append(f"{point['images']:>12,.0f}{point['cpu_seconds']:>9.1f}  {seed:<7}{values}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="scores of a method against images and CPU seconds of training")
    parser.add_argument("--method", choices=METHODS, default="aligned-vae", help="method to train")
    parser.add_argument("--net", choices=NETS, help="net; default: that of the method")
    parser.add_argument("--data", default="dsprites", help="data set or path of images, with factors")
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--budget", type=float, default=600.0, help="CPU seconds of training for each seed")
    length.add_argument("--images", type=int, help="images of training for each seed, instead of a budget")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds")
    parser.add_argument("--jobs", type=int, default=1, help="seeds trained at once, each with --threads threads")
    parser.add_argument("--points", type=int, default=10, help="points at which the model is scored")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    parser.add_argument("--settings", nargs="+", default=[], metavar="key=value", help="other settings of the method")
    parser.add_argument("--beside", choices=METHODS, help="method to train by the common protocol for the same time")
    parser.add_argument("--out", type=Path, default=Path("time-to-disentangle.json"), help="JSON file to write")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.beside and args.images:
        parser.error("--beside trains for the same CPU time; give a --budget instead of --images")
    if args.measure:
        arguments = json.loads(args.measure)
        print(json.dumps(measure(**arguments) if "points" in arguments else pace(**arguments)))
        return
    others = config.parse(args.settings)
    common: dict[str, object] = {"data": args.data, "train.device": "cpu", "train.threads": args.threads}
    common |= {key: value for key, value in others.items() if key.startswith(("data.", "evaluate."))}
    settings = {**common, "data.size": args.size, "method": args.method, **others}
    if args.net is not None:
        settings["net"] = args.net
    about = {"processor": speed.processor(), "torch": torch.__version__, "threads": args.threads, "jobs": args.jobs}
    earlier = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {"results": []}
    if earlier["results"] and any(earlier[key] != value for key, value in about.items()):
        parser.error(f"{args.out} is of another machine, or other threads or jobs; take another --out")
    sides = [(settings, side(settings, args.budget, args.images, earlier["results"]))]
    if args.beside:
        protocol = common | PROTOCOL | {"method": args.beside}
        sides.append((protocol, side(protocol, args.budget, None, earlier["results"])))
    results = [entry for _, entry in sides]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        trainings = {
            pool.submit(train, entry, own, seed, args.points): (entry, str(seed))
            for own, entry in sides
            for seed in range(args.seeds)
            if str(seed) not in entry["seeds"]
        }
        for done in concurrent.futures.as_completed(trainings):
            entry, seed = trainings[done]
            entry["seeds"][seed] = done.result()
            entry["median"] = medians(entry["seeds"])
            with replacing(args.out) as file:
                file.write((json.dumps(about | {"results": results}, indent=1) + "\n").encode())
    print(f"{about['processor']}, {args.threads} threads, torch {torch.__version__}")
    print("\n\n".join(table(result) for result in results) + f"\nwrote {args.out}")


if __name__ == "__main__":
    main()
