"""The engine for one machine: each run is a process with one thread, as many at once as there are cores."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Collection, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from equipoise.config import Config
from equipoise.study.run.work import record_failure, work

GRACE = 30.0  # seconds to finish a step and save a checkpoint; then the process ends

_CONTEXT = multiprocessing.get_context("forkserver")


def end_if_loaded_again(name: str) -> None:
    """End a process of a study that loads the user's script again, if this calls `name` without a guard."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        sentence = f'the processes of {name} load this script again: call it under if __name__ == "__main__":'
        print(f"equipoise: {sentence}", file=sys.stderr, flush=True)
        raise SystemExit(1)


class Local:
    """An engine that runs `slots` processes of this machine at once."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        # The server that forks loads torch once: a run starts in 0.04 s instead of 5 s.
        _CONTEXT.set_forkserver_preload([__name__])

    def start(self, configs: Sequence[Config], study: Path) -> list["Job"]:
        """Start a process for each configuration."""
        return [Job(config, study) for config in configs]

    def wait(self, jobs: "Collection[Job]", seconds: float) -> None:
        """Wait until a process has ended, or for at most `seconds`."""
        wait([job.process.sentinel for job in jobs], timeout=seconds)

    def close(self) -> None:
        """Do nothing: no resource is open."""


class Job:
    """A run in its own process. It saves and ends when this process closes the pipe or ends."""

    def __init__(self, config: Config, study: Path) -> None:
        self.run, self.study = Path(config.out).name, study
        child_end, self._pipe = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=_work, args=(config, study, child_end), name=self.run, daemon=True)
        self.process.start()
        child_end.close()

    def has_ended(self) -> bool:
        """Return whether the process is over. If it died, a failure of its run is recorded."""
        code = self.process.exitcode
        if code is None:
            return False
        if code:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            record_failure(self.study, self.run, f"its process ended with {how}; see {_notes(self.study, self.run)}")
        self._pipe.close()
        return True

    def stop(self) -> None:
        """Request that the run saves and ends."""
        self._pipe.close()

    def join(self) -> None:
        """Wait until the process has ended."""
        self.process.join()


def _work(config: Config, study: Path, pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the driver handles it
    notes = _notes(study, Path(config.out).name)
    notes.parent.mkdir(parents=True, exist_ok=True)
    with notes.open("a", encoding="utf-8") as file:  # the driver alone writes to the terminal
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    stop = threading.Event()

    def listen() -> None:
        pipe.poll(None)  # nothing is sent: the pipe closes when the driver ends
        stop.set()
        time.sleep(GRACE)
        os._exit(0)  # scoring starts again in the next call; every file is whole or absent

    threading.Thread(target=listen, daemon=True).start()
    work(config, study, stop.is_set)
    if not notes.stat().st_size:
        notes.unlink()


def _notes(study: Path, run: str) -> Path:
    """Return the file for the output and warnings of a run's process."""
    return study / "notes" / f"{run}.txt"
