"""Kills at random moments, and races for a folder."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from processes import (
    SIZES,
    TRACEBACK,
    Fault,
    check_refusal,
    compare_files,
    compare_runs,
    copy,
    finish,
    kill,
    machine,
    output,
    prepare,
    require,
    settle,
    start,
    wait,
)

SETTINGS = (
    *("method=l-vae", "net=small", "net.latent=3", "evaluate.which=['mig','sse']"),
    *("train.batch=16", "train.steps=100", "train.schedule_steps=200", "train.threads=1"),
    *("train.log_every=5", "train.checkpoint_every=10"),
)
TRAIN = ["train", "data=data.npz", "out=run", *SETTINGS]
LONGER = [word.replace("train.steps=100", "train.steps=200") for word in TRAIN]
STUDY = """
out = "study"
retries = 1000
seeds = 2
data.name = "data.npz"
method.name = "l-vae"
net = { name = "small", latent = 3 }
evaluate.which = ["mig", "sse"]
[train]
batch = 16
steps = 100
log_every = 5
checkpoint_every = 10
"""
SEARCH = f"{STUDY}lr = {{ log_uniform = [1e-4, 1e-3] }}\n[search]\nmetric = 'mig'\ntrials = 3\n"


class Command(NamedTuple):
    """A command to be killed: its words, those of the commands before it, and what has to be equal afterwards."""

    words: list[str]
    before: list[list[str]]
    compare: Callable[[Path, Path], None]
    has_workers: bool = False


def _report(expected: Path, found: Path) -> None:
    compare_runs(expected, found)
    compare_files(expected / "run", found / "run", "claims")


def _export(expected: Path, found: Path) -> None:
    compare_runs(expected, found)
    compare_files(expected / "run" / "export", found / "run" / "export")


def _added(expected: Path, found: Path) -> None:
    """Compare the converted sets; about.json also has the path of the source."""
    left, right = (place / "cache" / "data" / "mpi3d-toy" for place in (expected, found))
    compare_files(left, right, "about.json", ".lock")
    one, other = (json.loads((folder / "about.json").read_text()) for folder in (left, right))
    require(one["digest"] == other["digest"], f"{right} has another digest than {left}")


COMMANDS = {
    "train": Command(TRAIN, [], compare_runs),
    "extend": Command(LONGER, [TRAIN], compare_runs),
    "evaluate": Command(["evaluate", "run", "--which", "default"], [TRAIN], compare_runs),
    "report": Command(["report", "run", "--explorer"], [TRAIN], _report),
    "export": Command(["export", "run"], [TRAIN], _export),
    "hub-folder": Command(["export", "run", "--to", "hub-folder"], [TRAIN], _export),
    "sweep": Command(["sweep", "study.toml", "--workers", "2"], [], compare_runs, has_workers=True),
    "search": Command(["search", "search.toml", "--workers", "1"], [], compare_runs, has_workers=True),
    "data add": Command(
        ["data", "add", "mpi3d-toy", "--from", "mpi3d_toy.npz"],
        [],
        _added,
    ),
    "data render": Command(
        ["data", "render", "rooms3d", "--n", "300", "--out", "rooms"],
        [],
        lambda expected, found: compare_files(expected / "rooms", found / "rooms"),
    ),
    "data render npz": Command(
        ["data", "render", "rooms3d", "--n", "300", "--out", "rooms.npz"],
        [],
        lambda expected, found: compare_files(expected / "rooms.npz", found / "rooms.npz"),
    ),
}
if find_spec("ray"):
    COMMANDS["sweep on ray"] = Command(
        ["sweep", "study.toml", "--engine", "ray", "--workers", "2"], [], compare_runs, has_workers=True
    )
SLOW = "sweep on ray"  # a start takes seconds; one of its trials comes after this many others
EVERY = 40
ENGINE, RAY = 60, 180  # seconds that processes may take to end; Ray's services look for their parent now and then


class Kills:
    """Kill commands at random moments, repeat them, and compare the result with that of a command left alone."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, list(names)
        self.seconds: dict[str, float] = {}

    def trial(self, rng: random.Random, number: int) -> int:
        """Kill one command up to four times and return the number of kills that hit it."""
        fast = [name for name in self.names if name != SLOW] or self.names
        name = SLOW if SLOW in self.names and number % EVERY == EVERY - 1 else fast[number % len(fast)]
        command = COMMANDS[name]
        before, alone = self.leave_alone(name)
        place = copy(before, self.folder / f"{name} {number}")
        killed = 0
        patience = RAY if name == SLOW else ENGINE
        for _ in range(rng.randint(1, 4)):
            pid = start(command.words, place)
            time.sleep(rng.uniform(0, self.seconds[name]))
            kill(pid, place, rng, command.has_workers)
            code = wait(pid)
            if code == TRACEBACK:
                raise Fault(f"{place}: {output(place)[-2000:]}")
            killed += code != 0
            if name == SLOW or rng.random() < 0.5:
                settle(place, patience)
            if code == 0:
                break
        else:
            finish(command.words, place)
        settle(place, patience)
        command.compare(alone, place)
        shutil.rmtree(place)
        return killed

    def leave_alone(self, name: str) -> tuple[Path, Path]:
        """Run what comes before a command, then the command itself in a copy, once; return the two folders."""
        before, alone = self.folder / f"{name} before", self.folder / f"{name} alone"
        if name in self.seconds:
            return before, alone
        prepare(before)
        (before / "study.toml").write_text(STUDY)
        (before / "search.toml").write_text(SEARCH)
        if name == "data add":
            images = np.random.default_rng(0).integers(0, 256, (int(np.prod(SIZES)), 64, 64, 3), dtype=np.uint8)
            np.savez(before / "mpi3d_toy.npz", images=images)
        for words in COMMANDS[name].before:
            finish(words, before)
        copy(before, alone)
        self.seconds[name] = finish(COMMANDS[name].words, alone)
        settle(alone, RAY)
        return before, alone


class Races:
    """Start `train` twice in one folder, kill the first at a random moment, and compare the result."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.alone = prepare(folder / "alone")
        self.seconds = finish(TRAIN, self.alone)

    def trial(self, rng: random.Random, number: int) -> int:
        """Run one race. Returns 1 if the second training was refused, as it has to be while the first one lives."""
        place = prepare(self.folder / f"race {number}")
        first = start(TRAIN, place)
        while not (place / "run" / "config.toml").exists():
            if os.waitpid(first, os.WNOHANG) != (0, 0):
                raise Fault(f"{place}: {output(place)}")
            time.sleep(0.002)
        code = wait(start(TRAIN, place, to="second.txt"))
        if os.waitpid(first, os.WNOHANG) != (0, 0):  # it ended before the second one looked
            shutil.rmtree(place)
            return 0
        check_refusal(place, code, machine(), f"process {first})", name="second.txt")
        time.sleep(rng.uniform(0, self.seconds / 4))
        os.kill(first, signal.SIGKILL)
        wait(first)
        for _ in range(rng.randint(0, 3)):  # also at the moment of a claim
            pid = start(TRAIN, place)
            time.sleep(rng.uniform(0, self.seconds / 4))
            os.kill(pid, signal.SIGKILL)
            wait(pid)
        require(finish(TRAIN, place) < 30, f"{place}: a killed process blocked the folder")
        compare_runs(self.alone, place)
        shutil.rmtree(place)
        return 1
