"""The soak test: kills, races, full disks, lost folders, mutated runs and hostile settings, with a fixed seed.

    make soak                                   the counts that docs/trust.md reports
    python tests/soak/soak.py --quick           a few of each, in about a minute
    python tests/soak/soak.py --parts kills races --minutes 10 --log soak.jsonl

Each trial draws from a generator of its own, of the seed, the part and the number of the trial. With --log, trials that
a log lists are not repeated, so that a soak can be run in slices. Exits with 1 if a trial found a fault; the folder of
that trial is kept.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from faults import Disks, Places
from folders import Flips, Folders
from kills import COMMANDS, Kills, Races
from processes import load_everything
from values import Hostile, Settings

QUICK = {"kills": 6, "races": 2, "disks": 2, "places": 4, "flips": 20, "folders": 30, "settings": 300, "hostile": 20}
FULL = {"kills": 300, "races": 50, "disks": 40, "places": 40, "flips": 100, "folders": 1000, "settings": 3000}
FULL["hostile"] = 300


class Part(Protocol):
    """A part of the soak."""

    def trial(self, rng: random.Random, number: int) -> int:
        """Run one trial and return how much it counts. Raises an error for a fault."""


def main() -> None:
    """Run the parts until each has its count or the time is over, and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few trials of each part")
    parser.add_argument("--parts", nargs="+", choices=list(FULL), default=list(FULL))
    parser.add_argument("--commands", nargs="+", choices=list(COMMANDS), default=list(COMMANDS), help="those to kill")
    for name in FULL:
        parser.add_argument(f"--{name}", type=int, metavar="N")
    parser.add_argument("--minutes", type=float, default=60.0, help="for all parts together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="a file with the trials that are done, which grows")
    options = parser.parse_args()
    counts = {name: getattr(options, name) or (QUICK if options.quick else FULL)[name] for name in FULL}
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    log = options.log.resolve() if options.log else None
    folder = Path(tempfile.mkdtemp(prefix="equipoise-soak-"))
    os.environ["EQUIPOISE_CACHE"] = str(folder / "cache")
    if {"kills", "races", "disks", "places"} & set(options.parts):
        load_everything(folder / "first")
    parts: dict[str, Callable[[Path], Part]] = {
        "kills": lambda place: Kills(place, options.commands),
        "races": Races,
        "disks": Disks,
        "places": Places,
        "flips": Flips,
        "folders": Folders,
        "settings": Settings,
        "hostile": Hostile,
    }
    end = time.monotonic() + 60 * options.minutes
    faults = 0
    for name in options.parts:
        faults += run(name, parts[name], folder / name, counts[name], end, options.seed, log)
    if faults:
        sys.exit(f"{faults} faults; the folders are in {folder}")
    shutil.rmtree(folder)


def run(
    name: str, build: Callable[[Path], Part], folder: Path, count: int, end: float, seed: int, log: Path | None
) -> int:
    """Run the trials of a part, print its figures, and return the number of faults."""
    rows = read(log, name, seed)
    number = 1 + max((row["trial"] for row in rows), default=-1)
    if sum(row["count"] for row in rows) < count and time.monotonic() < end:
        part = build(folder)
    while sum(row["count"] for row in rows) < count and time.monotonic() < end:
        row: dict[str, Any] = {"part": name, "seed": seed, "trial": number, "count": 0, "fault": None}
        began = time.monotonic()
        try:
            row["count"] = part.trial(random.Random(f"{seed} {name} {number}"), number)
        except Exception as error:
            row["fault"] = f"{type(error).__name__}: {error}"
            print(f"{name}, trial {number}: {row['fault'][:1000]}\n{place_of(error)}", flush=True)
        row["seconds"] = round(time.monotonic() - began, 2)
        rows.append(row)
        if log is not None:
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
        number += 1
    faults = sum(row["fault"] is not None for row in rows)
    figures = {"part": name, "count": sum(row["count"] for row in rows), "trials": len(rows), "faults": faults}
    print(json.dumps(figures | {"seconds": round(sum(row["seconds"] for row in rows))}), flush=True)
    return faults


def place_of(error: Exception) -> str:
    """The place in the library at which an error arose."""
    while error.__cause__ is not None:
        error = error.__cause__  # type: ignore[assignment]
    return " > ".join(
        f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    )


def read(log: Path | None, name: str, seed: int) -> list[dict[str, Any]]:
    """The rows of a part in a log."""
    if log is None or not log.exists():
        return []
    rows = map(json.loads, log.read_text().splitlines())
    return [row for row in rows if row["part"] == name and row["seed"] == seed]


if __name__ == "__main__":
    main()
