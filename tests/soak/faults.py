"""Full disks, folders without permission to write, and folders that are moved or removed during a training."""

import os
import random
import shutil
import time
from pathlib import Path

from kills import COMMANDS, LONGER, TRAIN, Kills
from processes import (
    check_refusal,
    compare_runs,
    copy,
    finish,
    output,
    prepare,
    require,
    start,
    wait,
)

MESSAGES = 4096  # bytes that a command may print, which the limit holds for as well


class Disks:
    """Limit the size of each file of a command at random, then repeat it without the limit, and compare the result."""

    def __init__(self, folder: Path) -> None:
        self.kills = Kills(folder, [name for name, command in COMMANDS.items() if not command.has_workers])

    def trial(self, rng: random.Random, number: int) -> int:
        """Run one command on a full disk. Returns whether the limit stopped it."""
        name = self.kills.names[number % len(self.kills.names)]
        before, alone = self.kills.leave_alone(name)
        largest = max(path.stat().st_size for path in alone.rglob("*") if path.is_file())
        place = copy(before, before.with_name(f"{name} {number}"))
        limit = max(MESSAGES, int(largest ** rng.uniform(0.3, 1)))
        code = wait(start(COMMANDS[name].words, place, bytes_per_file=limit))
        if code != 0:
            check_refusal(place, code, "free some space" if "data" not in name else "resumes")
            finish(COMMANDS[name].words, place)
        COMMANDS[name].compare(alone, place)
        shutil.rmtree(place)
        return int(code != 0)


class Places:
    """Read-only folders, folders of another user, and folders that are moved or removed while a run is trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.alone = prepare(folder / "alone")
        self.seconds = finish(TRAIN, self.alone)
        self.trials = [self._read_only, self._unowned, self._moved, self._removed]

    def trial(self, rng: random.Random, number: int) -> int:
        """Run one trial of the four in turn. Returns 1."""
        place = copy(self.alone, self.folder / f"place {number}")
        self.trials[number % len(self.trials)](place, rng)
        shutil.rmtree(place)
        return 1

    def _read_only(self, place: Path, rng: random.Random) -> None:
        self._refuse(place, rng, 0o555, os.getuid())

    def _unowned(self, place: Path, rng: random.Random) -> None:
        self._refuse(place, rng, 0o755, 65534 if os.getuid() == 0 else os.getuid())

    def _refuse(self, place: Path, rng: random.Random, mode: int, owner: int) -> None:
        """Commands that only read work; those that write are refused in one sentence, and change nothing."""
        mode = mode if owner != os.getuid() else 0o555
        for folder in (place / "run", place / "run" / "claims"):
            os.chown(folder, owner, -1)
            folder.chmod(mode)
        reading = [["status", "run"], ["check", "run"], ["encode", "run", "data.npz", "--out", "codes.csv"]]
        reading.append(["export", "run", "--out", "exported"])
        words = rng.choice(reading)
        code = wait(start(words, place, is_root=False))
        require(code == 0, f"{place}: {words} ended with {code}: {output(place)[-1000:]}")
        for words in (["evaluate", "run", "--which", "sse"], ["report", "run"], ["export", "run"], LONGER):
            check_refusal(place, wait(start(words, place, is_root=False)), "run")
        for folder in (place / "run", place / "run" / "claims"):
            os.chown(folder, os.getuid(), -1)
            folder.chmod(0o755)
        compare_runs(self.alone, place)

    def _moved(self, place: Path, rng: random.Random) -> None:
        """A training whose folder is moved stops with one sentence, and resumes in the folder that came back."""
        if self._interrupt(place, rng, lambda: (place / "run").rename(place / "elsewhere")):
            if (place / "run").exists():
                raise AssertionError(f"{place}/run was made again while the run was elsewhere")
            (place / "elsewhere").rename(place / "run")
        finish(TRAIN, place)
        compare_runs(self.alone, place)

    def _removed(self, place: Path, rng: random.Random) -> None:
        """A training whose folder is removed stops with one sentence."""
        self._interrupt(place, rng, lambda: shutil.rmtree(place / "run", ignore_errors=True))
        shutil.rmtree(place / "run", ignore_errors=True)
        finish(TRAIN, place)
        compare_runs(self.alone, place)

    def _interrupt(self, place: Path, rng: random.Random, act: object) -> bool:
        """Start a training and do this during it. Returns whether the training ended with a refusal."""
        shutil.rmtree(place / "run")
        pid = start(TRAIN, place)
        while not (place / "run" / "log.jsonl").exists():
            time.sleep(0.005)
        time.sleep(rng.uniform(0, self.seconds / 2))
        if os.waitpid(pid, os.WNOHANG) != (0, 0):
            return False
        act()  # type: ignore[operator]
        code = wait(pid)
        if code != 0:
            check_refusal(place, code)
        return (place / "elsewhere").exists()
