"""The engine for one machine: a process of one thread a run, as many at once as there are cores."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Collection, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from equipoise.config import Config
from equipoise.study.work import note, work

GRACE = 30.0  # seconds for a step and a checkpoint, after which a process that was asked to end does so

_CONTEXT = multiprocessing.get_context("forkserver")


class Local:
    """Processes of this machine, `slots` of them at once."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        # torch is loaded once, in the server that forks: a run starts in 0.04 s and not in 5.
        _CONTEXT.set_forkserver_preload([__name__])

    def start(self, configs: Sequence[Config], study: Path) -> list["Job"]:
        return [Job(config, study) for config in configs]

    def wait(self, jobs: "Collection[Job]", seconds: float) -> None:
        wait([job.process.sentinel for job in jobs], timeout=seconds)

    def close(self) -> None:
        """Nothing is held."""


class Job:
    """A run in a process of its own, which saves and ends when this process closes the line to it, or is no more."""

    def __init__(self, config: Config, study: Path) -> None:
        self.run, self.study = Path(config.out).name, study
        theirs, self._line = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=_work, args=(config, study, theirs), name=self.run, daemon=True)
        self.process.start()
        theirs.close()

    def ended(self) -> bool:
        """Whether the process is over; one that died is written down as a failure of its run."""
        code = self.process.exitcode
        if code is None:
            return False
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            note(self.study, self.run, f"its process ended with {how}; see {_notes(self.study, self.run)}")
        self._line.close()
        return True

    def stop(self) -> None:
        """Ask it to save and end."""
        self._line.close()

    def join(self) -> None:
        """Return when it has ended."""
        self.process.join()


def _work(config: Config, study: Path, line: Connection) -> None:
    """What the process of a run does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the driver decides
    notes = _notes(study, Path(config.out).name)
    notes.parent.mkdir(parents=True, exist_ok=True)
    with notes.open("a", encoding="utf-8") as file:  # the terminal is the driver's
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    over = threading.Event()

    def listen() -> None:
        line.poll(None)  # nothing is ever sent: the line ends when the driver does
        over.set()
        time.sleep(GRACE)
        os._exit(0)  # scoring is begun again by the next call; every file is whole or absent

    threading.Thread(target=listen, daemon=True).start()
    work(config, study, over.is_set)
    if not notes.stat().st_size:
        notes.unlink()


def _notes(study: Path, run: str) -> Path:
    """Where the process of a run writes its notes and warnings."""
    return study / "notes" / f"{run}.txt"
