"""Overhead of a study: two runs of one thread under each engine, compared with two plain processes.

    python benchmarks/studies.py [--rounds 3] [--engines local ray] [--out FILE]

`plain` is `equipoise train` twice at the same time, each as a process with one thread. An engine runs the same two runs
as a study with two workers. The sides take turns. A side's rate is the sum of both runs' images per second, each the
median over the rows of its log except the first; a ratio is the median over rounds of rates of the same round.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import tomli_w

STEPS = {"mlp_lvae": 240, "higgins_h": 160}
BAR = 0.9
ROWS = 8


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", nargs="+", default=["local", "ray"])
    parser.add_argument("--nets", nargs="+", default=list(STEPS))
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"

    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for net in args.nets:
            rates: dict[str, list[float]] = {side: [] for side in ("plain", *args.engines)}
            for number in range(args.rounds):
                for side in rates:
                    folder = Path(scratch) / f"{net}-{side}-{number}"
                    rates[side].append(rate(plain(net, folder) if side == "plain" else engine(side, net, folder)))
            results[net] = rates
            print(f"{net}: two plain processes {statistics.median(rates['plain']):,.0f} images/s")
            for side in args.engines:
                ratios = [ours / theirs for ours, theirs in zip(rates[side], rates["plain"], strict=True)]
                each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
                print(f"  {side}: {statistics.median(ratios):.2f} of it (rounds {each}; bar {BAR})")
    if args.out:
        args.out.write_text(json.dumps(results, indent=1))
        print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
