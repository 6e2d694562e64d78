"""The curve of one run of mr-vae beside separately trained beta-VAEs of the same net, steps and batches.

    python benchmarks/rates.py [--data dsprites] [--size 32] [--net small] [--steps 20000] [--seeds 3]
        [--betas 0.2 0.35 0.6 1 1.7 3 5 8] [--range 0.1 10] [--law balanced] [--settings key=value ...]
        [--out rates.json] [--figure FILE.svg]

For each seed one mr-vae is trained over the range of beta, and one beta-vae for each of the betas, with the optimiser,
learning rate, batches and start that mr-vae has by default. KL and reconstruction term are means over 2,000 images of
the set, the same for all. "Objective" is rec + beta KL, which each model minimises at its beta. CPU seconds are those
of the training steps. The file is written after each training, and the same command goes on where it was stopped.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from equipoise import assemble, codes, config
from equipoise.data.batches import Batches
from equipoise.files import replacing
from equipoise.methods import METHODS
from equipoise.model import VAE
from equipoise.report.figures.style import BLUE, ORANGE, label_axes
from equipoise.report.rates import constant
from equipoise.training import speed
from equipoise.training.loop import Training

IMAGES = 2000  # that are encoded
COMMON: dict[str, object] = {**METHODS["mr-vae"].defaults, "train.threads": 1}  # also of beta-vae

Point = dict[str, float]


def measure(settings: dict[str, object], betas: list[float]) -> tuple[float, list[Point]]:
    """Train, and return the CPU seconds and the point at each beta; a beta-vae is measured at its own."""
    resolved = config.resolve(settings)
    images, scored = assemble.load_images(resolved, None)
    model, objective = assemble.build(resolved, images.shape, len(images))
    training = Training(model, objective, resolved.train, torch.device("cpu"))
    batches = Batches(images, resolved.train.batch, resolved.train.seed)
    model.train()
    objective.train()
    with speed.fast_parts(resolved.train.fast, resolved.train.threads):
        begin = time.process_time()
        for step in range(resolved.train.steps):
            training.advance(batches(step, 0))
        seconds = time.process_time() - begin
    index = codes.index(scored, IMAGES)
    has_range = objective.rates is not None
    return seconds, [point(model.eval().at(beta if has_range else None), scored, index, beta) for beta in betas]


def point(model: VAE, images: Any, index: Any, beta: float) -> Point:
    """Return KL and reconstruction term of a model over the images at `index`, in nats per image."""
    encoded = codes.encode(model, images, index)
    kl, rec = (float(np.mean(values, dtype=np.float64)) for values in (encoded["kl"], -encoded["log_px_z"]))
    rec -= constant(model)
    return {"beta": beta, "kl": kl, "rec": rec, "objective": rec + beta * kl}


def table(result: Any) -> str:
    """Return a line for each beta: medians over the seeds, and how far mr-vae is from the separate runs."""
    seeds = [seed for seed in result["seeds"].values() if len(seed) == len(result["betas"]) + 1]
    if not seeds:
        return "no seed is finished"
    lines = [f"{'beta':>6}{'KL':>9}{'mr-vae':>9}{'':>8}{'rec':>9}{'mr-vae':>9}{'':>8}{'objective':>11}"]
    for place, beta in enumerate(result["betas"]):
        cells = ""
        for name in ("kl", "rec", "objective"):
            alone = statistics.median(seed[f"{beta:g}"]["points"][0][name] for seed in seeds)
            ours = statistics.median(seed["mr-vae"]["points"][place][name] for seed in seeds)
            change = f"{ours / alone - 1:+.1%}"
            cells += f"{change:>11}" if name == "objective" else f"{alone:>9.2f}{ours:>9.2f}{change:>8}"
        lines.append(f"{beta:>6g}{cells}")
    ratios = [
        seed["mr-vae"]["seconds"] / statistics.median(seed[f"{beta:g}"]["seconds"] for beta in result["betas"])
        for seed in seeds
    ]
    lines.append(f"cost of mr-vae: {statistics.median(ratios):.2f} of one beta-vae; {len(seeds)} seeds")
    return "\n".join(lines)


def draw(result: Any) -> Figure:
    """Draw the curves of mr-vae and the points of the separate runs, for every seed."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for number, seed in enumerate(result["seeds"].values()):
        labels = ("mr-vae, one run for every β", "β-VAEs, one run each") if number == 0 else (None, None)
        points = seed.get("mr-vae", {"points": []})["points"]
        axes.plot([p["kl"] for p in points], [p["rec"] for p in points], "-", color=BLUE, lw=1.2, label=labels[0])
        alone = [seed[key]["points"][0] for key in seed if key != "mr-vae"]
        axes.plot([p["kl"] for p in alone], [p["rec"] for p in alone], "o", color=ORANGE, ms=4, label=labels[1])
        for p in alone if number == 0 else []:
            axes.annotate(f"{p['beta']:g}", (p["kl"], p["rec"]), (4, 4), textcoords="offset points", size=7)
    of = result["settings"]
    label_axes(axes, f"{of['data']}, {of['net.name']}, {of['train.steps']:,} steps", "KL, nats", "reconstruction, nats")
    axes.legend(frameon=False, fontsize=8)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description="mr-vae beside separately trained beta-VAEs")
    parser.add_argument("--data", default="dsprites", help="data set or path of images")
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--net", default="small", help="net of both methods")
    parser.add_argument("--steps", type=int, default=20_000, help="training steps of each run")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--betas", type=float, nargs="+", default=[0.2, 0.35, 0.6, 1, 1.7, 3, 5, 8])
    parser.add_argument("--range", type=float, nargs=2, default=[0.1, 10.0], help="range of beta of mr-vae")
    parser.add_argument("--law", default="balanced", help="weights of the losses of mr-vae: balanced or published")
    parser.add_argument("--settings", nargs="+", default=[], metavar="key=value", help="other settings of both")
    parser.add_argument("--out", type=Path, default=Path("rates.json"), help="JSON file to write")
    parser.add_argument("--figure", type=Path, help="file for the figure")
    args = parser.parse_args()
    common = COMMON | {"data": args.data, "data.size": args.size, "net.name": args.net, "train.steps": args.steps}
    common |= config.parse(args.settings)
    about = {"settings": common, "betas": args.betas, "range": args.range, "law": args.law}
    result: Any = about | {"processor": speed.processor(), "seeds": {}}
    if args.out.exists():
        result = json.loads(args.out.read_text(encoding="utf-8"))
        if any(result.get(key) != value for key, value in about.items()):
            parser.error(f"{args.out} is of other settings; take another --out")
    low, high = args.range
    ours = {"method": "mr-vae", "method.law": args.law, "method.beta_min": low, "method.beta_max": high}
    ours["method.beta"] = (low * high) ** 0.5
    runs = [("mr-vae", ours, args.betas)]
    runs += [(f"{beta:g}", {"method": "beta-vae", "method.beta": beta}, [beta]) for beta in args.betas]
    for seed in map(str, range(args.seeds)):
        done = result["seeds"].setdefault(seed, {})
        for name, own, betas in runs:
            if name not in done:
                print(f"seed {seed}: {name}", file=sys.stderr)
                seconds, points = measure(common | own | {"train.seed": int(seed)}, betas)
                done[name] = {"seconds": seconds, "points": points}
                with replacing(args.out) as file:
                    file.write((json.dumps(result, indent=1) + "\n").encode())
    print(table(result))
    if args.figure is not None:
        draw(result).savefig(args.figure)
        print(f"wrote {args.figure}")


if __name__ == "__main__":
    main()
