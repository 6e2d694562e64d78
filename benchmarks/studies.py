"""Studies: what an engine costs beside plain processes, and what planning, looking and comparing cost in large ones.

    python benchmarks/studies.py engines [--rounds 3] [--engines local ray] [--out FILE]
    python benchmarks/studies.py growth [--runs 100 1000 10000] [--planned 12600] [--without-summaries] [--out FILE]

`engines`: `plain` is `equipoise train` twice at the same time, each as a process with one thread. An engine runs the
same two runs as a study with two workers. The sides take turns. A side's rate is the sum of both runs' images per
second, each the median over the rows of its log except the first; a ratio is the median over rounds of rates of the
same round.

`growth`: CPU seconds of the process, its largest memory and the size of the page, each in a fresh process. The runs are
made up: ten seeds of each setting of four methods, with files of the size that a training writes, in a temporary folder
(TMPDIR). The planned study has the shape of Locatello et al. (2019): 6 methods, 6 values, 7 data sets, 50 seeds. A look
is what `sweep` and `status --watch` do every second. --without-summaries compares runs of earlier versions, which have
no `summary.json`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

STEPS = {"mlp_lvae": 240, "higgins_h": 160}
BAR = 0.9
ROWS = 8

SEEDS = 10  # of a made-up study
METHODS = {"beta-vae": "beta", "annealed-vae": "gamma", "beta-tcvae": "beta", "dip-vae": "lambda_od"}
IMAGES, LATENTS, LOG = 10_000, 10, 500  # codes and rows of the log of a made-up run
PLANNED_METHODS = {**METHODS, "factor-vae": "gamma", "rf-vae": "gamma"}
PLANNED_DATA = ("dsprites", "dsprites-color", "dsprites-noisy", "dsprites-scream", "smallnorb", "cars3d", "shapes3d")

Figures = dict[str, float]


# --- engines ----------------------------------------------------------------------------------------------------------


def settings(net: str) -> dict[str, dict[str, object]]:
    steps = STEPS[net]
    return {
        "data": {"name": "dsprites"},
        "net": {"name": net},
        "method": {"name": "beta-vae"},
        "train": {"steps": steps, "log_every": steps // ROWS},
        "evaluate": {"which": ["sse"], "n": 200},
    }


def plain(net: str, folder: Path) -> list[Path]:
    """Train in two independent processes, and return the folders of the runs."""
    words = [f"{section}.{key}={value}" for section, table in settings(net).items() for key, value in table.items()]
    words = [word.replace("'", '"') for word in words]
    runs = [folder / f"seed{seed}" for seed in (0, 1)]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "equipoise", "train", *words, "train.threads=1", f"train.seed={seed}", f"out={run}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for seed, run in enumerate(runs)
    ]
    for process in started:
        if process.wait():
            raise SystemExit(f"a plain run in {folder} failed")
    return runs


def engine(name: str, net: str, folder: Path) -> list[Path]:
    """Train the same two runs as a study, and return their folders."""
    file = folder.with_suffix(".toml")
    file.write_text(tomli_w.dumps({"out": str(folder), "seeds": 2, **settings(net)}))
    command = [sys.executable, "-m", "equipoise", "sweep", str(file), "--engine", name, "--workers", "2"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return sorted((folder / "runs").iterdir())


def rate(runs: Sequence[Path]) -> float:
    """Return the images per second of all runs together."""
    logs = [[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in runs]
    return sum(statistics.median(float(row["images_per_second"]) for row in rows[1:]) for rows in logs)


def engines(nets: Sequence[str], names: Sequence[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return and print the rates of the plain processes and of each engine, by net."""
    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for net in nets:
            rates: dict[str, list[float]] = {side: [] for side in ("plain", *names)}
            for number in range(rounds):
                for side in rates:
                    folder = Path(scratch) / f"{net}-{side}-{number}"
                    rates[side].append(rate(plain(net, folder) if side == "plain" else engine(side, net, folder)))
            results[net] = rates
            print(f"{net}: two plain processes {statistics.median(rates['plain']):,.0f} images/s")
            for side in names:
                ratios = [ours / theirs for ours, theirs in zip(rates[side], rates["plain"], strict=True)]
                each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
                print(f"  {side}: {statistics.median(ratios):.2f} of it (rounds {each}; bar {BAR})")
    return results


# --- growth -----------------------------------------------------------------------------------------------------------


def study_file(folder: Path, methods: dict[str, str], values: int, seeds: int, data: Sequence[str]) -> Path:
    """Write the file of a study with this many values of one setting of each method."""
    spread = np.geomspace(0.5, 50, values).round(6).tolist()
    tables = [{"name": name, key: spread} for name, key in methods.items()]
    folder.mkdir(parents=True)
    contents = {"out": str(folder), "seeds": seeds, "data": {"name": list(data)}, "method": tables}
    (folder / "study.toml").write_text(tomli_w.dumps(contents))
    return folder / "study.toml"


def make_up(folder: Path, runs: int, with_summaries: bool) -> None:
    """Write a finished study of this many runs. Files that do not differ are links to one file."""
    from equipoise import scoring, study
    from equipoise.codes import Codes, save
    from equipoise.runs import open_run

    if with_summaries:
        from equipoise.report import summary

    rng = np.random.default_rng(0)
    plan = study.read(study_file(folder, METHODS, runs // SEEDS // len(METHODS), SEEDS, ["dsprites"]))
    factors = np.stack([rng.integers(0, size, IMAGES) for size in (3, 6, 40, 32, 32)], 1)
    noise = rng.normal(size=(IMAGES, LATENTS))
    mean = np.where(np.arange(LATENTS) < 5, factors[:, np.arange(LATENTS) % 5] / 10 + noise / 4, noise)
    per_image = ("sse", "bce", "sampled_sse", "sampled_bce", "log_px_z", "kl")
    codes = Codes(index=np.arange(IMAGES), factors=factors, mean=mean.astype(np.float32), pixels=np.array(4096))
    codes |= {"logvar": np.full_like(codes["mean"], -3), "z": codes["mean"]}
    codes |= {name: rng.gamma(9, 3, IMAGES).astype(np.float32) for name in per_image}
    shared = folder / "shared"
    shared.mkdir()
    save(shared / "codes.npz", codes, "0")
    steps = next(iter(plan.runs.values())).train.steps
    values = dict.fromkeys(("loss", "rec", "kl", "beta_equivalent", "lr", "images_per_second", "seconds"), 20.0)
    rows = [{"step": steps // LOG * (row + 1), **values, "kl_dims": [2.0] * LATENTS} for row in range(LOG)]
    (shared / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"digest": "0", "factor_names": list("abcde")}
    (shared / "meta.json").write_text(
        json.dumps({"format": 1, "versions": {}, "data": data, "shape": [1, 64, 64], "images": 737_280})
    )
    for name in ("report.html", "checkpoint.pt"):
        (shared / name).write_text("made up")
    scored = scoring.score_codes(codes, "default", "carbonneau", interval=False, progress=False)
    scores = {name: score.to_dict() for name, score in scored.items()}
    first: Any = None
    for config in plan.runs.values():
        run = Path(config.out)
        run.mkdir(parents=True)
        (run / "config.toml").write_text(config.to_toml())
        for file in shared.iterdir():
            os.link(file, run / file.name)
        own = {name: {**score, "value": score["value"] * rng.uniform(0.8, 1.2)} for name, score in scores.items()}
        contents = {"checkpoint": "0", "convention": "carbonneau", "n": IMAGES, "scores": own}
        (run / "scores.json").write_text(json.dumps(contents))
        if with_summaries:  # as the run wrote it at its end, without reading its codes each time
            first = first or summary.write(open_run(run))
            made = {**first, "scores": {name: score["value"] for name, score in own.items()}}
            made["sources"] = summary.sources(run)
            made["digest"] = scoring.content_digest(made)
            (run / summary.FILE).write_text(json.dumps(made))


def in_new_process(what: str, folder: Path) -> Figures:
    """Return the figures of one measurement, made in a new process."""
    words = [sys.executable, __file__, "one", what, str(folder)]
    output = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout
    return {str(name): float(value) for name, value in json.loads(output).items()}


def one(what: str, folder: Path) -> Figures:
    """Plan and look at a study, or compare its runs. Imports are not part of the figures."""
    from equipoise import study
    from equipoise.commands.studies import compare
    from equipoise.study.run.status import Watch

    figures: Figures = {}
    begin = time.process_time()
    if what == "compare":
        compare(folder)
        figures["compare_s"] = time.process_time() - begin
        figures["page_mb"] = (folder / "compare.html").stat().st_size / 1e6
    else:
        plan = study.open_study(folder)
        figures["plan_s"] = time.process_time() - begin
        states = Watch(plan)
        for look in ("first_look_s", "next_look_s"):
            begin = time.process_time()
            states()
            figures[look] = time.process_time() - begin
    return figures | {"memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def growth(sizes: Sequence[int], planned: int, without_summaries: bool) -> dict[str, Figures]:
    """Return and print what planning, looking and comparing cost, by the number of runs."""
    results: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as scratch:
        if planned:
            folder = Path(scratch) / "planned"
            seeds = planned // (6 * len(PLANNED_METHODS) * len(PLANNED_DATA))
            study_file(folder, PLANNED_METHODS, 6, seeds, PLANNED_DATA)
            show(results, f"{planned:,} runs, none begun", in_new_process("plan", folder))
        for runs in sizes:
            folder = Path(scratch) / str(runs)
            make_up(folder, runs, not without_summaries)
            show(results, f"{runs:,} runs, all finished", in_new_process("plan", folder))
            show(results, f"{runs:,} runs, compared", in_new_process("compare", folder))
    return results


def show(results: dict[str, Figures], name: str, figures: Figures) -> None:
    results[name] = figures
    print(f"{name}: " + ", ".join(f"{key} {value:,.3g}" for key, value in figures.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_engines, of_growth, of_one = (kinds.add_parser(name) for name in ("engines", "growth", "one"))
    of_engines.add_argument("--rounds", type=int, default=3)
    of_engines.add_argument("--engines", nargs="+", default=["local", "ray"])
    of_engines.add_argument("--nets", nargs="+", default=list(STEPS))
    of_growth.add_argument("--runs", type=int, nargs="*", default=[100, 1000, 10_000], help="multiples of 40")
    of_growth.add_argument("--planned", type=int, default=12_600, help="a multiple of 252; 0: none")
    of_growth.add_argument("--without-summaries", action="store_true")
    for kind in (of_engines, of_growth):
        kind.add_argument("--out", type=Path, default=None)
    of_one.add_argument("what", choices=["plan", "compare"])
    of_one.add_argument("folder", type=Path)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    if args.kind == "one":
        print(json.dumps(one(args.what, args.folder)))
        return
    if args.kind == "engines":
        results: object = engines(args.nets, args.engines, args.rounds)
    else:
        results = growth(args.runs, args.planned, args.without_summaries)
    if args.out:
        args.out.write_text(json.dumps(results, indent=1))
        print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
