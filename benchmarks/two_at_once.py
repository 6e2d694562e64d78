"""Two default trainings that are started together, beside one alone: images per second of both over those of the one.

    python benchmarks/two_at_once.py [--steps 1000] [--repeats 5] [--settings key=value ...]

Nothing else may run on the machine. Each training chooses its threads as it does by default, from what is free when it
starts. The speed of a training is the number of images of its steps over the time between the first and the last row of
its log, so that loading and scoring do not count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

COMMAND = [sys.executable, "-m", "equipoise", "train", "data=dsprites", "evaluate.which=sse", "evaluate.n=500"]


def train(folders: list[Path], settings: list[str]) -> list[dict[str, float]]:
    """Train a run in each folder, all at the same time, and return speed and threads of each."""
    running = [subprocess.Popen([*COMMAND, *settings, f"out={folder}"], stderr=subprocess.PIPE) for folder in folders]
    if any(process.wait() for process in running):
        raise SystemExit(b"".join(process.stderr.read() for process in running if process.stderr).decode())
    return [speed(folder) for folder in folders]


def speed(folder: Path) -> dict[str, float]:
    """Return the images per second of the steps of a run, and its threads."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    first, last = rows[0], rows[-1]
    settings = (folder / "config.toml").read_text(encoding="utf-8")
    batch, threads = (
        next(int(line.partition("=")[2]) for line in settings.splitlines() if line.startswith(name))
        for name in ("batch", "threads")
    )
    images = batch * (last["step"] - first["step"])
    return {"images_per_second": images / (last["seconds"] - first["seconds"]), "threads": threads}


def main() -> None:
    """Print the speeds of each repetition, and the median of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--settings", nargs="*", default=[], metavar="key=value", help="of both trainings")
    arguments = parser.parse_args()
    settings = [f"train.steps={arguments.steps}", *arguments.settings]
    ratios = []
    for _ in range(arguments.repeats):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (alone,) = train([folder / "alone"], settings)
            pair = train([folder / "first", folder / "second"], settings)
        both = sum(each["images_per_second"] for each in pair)
        ratios.append(both / alone["images_per_second"])
        texts = [
            f"{each['images_per_second']:,.0f} images/s ({each['threads']:.0f} threads)" for each in (alone, *pair)
        ]
        print(f"alone {texts[0]}; together {texts[1]} and {texts[2]}: {ratios[-1]:.2f} of one alone", flush=True)
    print(f"median of {len(ratios)}: {median(ratios):.2f} of one alone, on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
