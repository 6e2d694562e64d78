"""Slurm's queue: the states of this user's jobs, and their cancellation.

`squeue` works on every cluster. `sacct` needs an accounting database, which many small clusters lack.
"""

import os
import subprocess
from collections.abc import Collection
from contextlib import suppress
from time import monotonic

LOOK = 30.0  # seconds between calls of squeue
PATIENCE = 60.0  # seconds after which a command of Slurm is given up
GONE = "UNKNOWN"  # the state of a job that Slurm does not list; it drops jobs a few minutes after their end
ENDS = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT", GONE),
}


class Queue:
    """The queue of this user, read at most once in `LOOK` seconds."""

    def __init__(self) -> None:
        self._states: dict[str, str] | None = None
        self._last_look = float("-inf")

    def end(self, number: str) -> str:
        """Return the state in which a job ended, such as TIMEOUT; empty while it waits, runs or cannot be looked up."""
        if monotonic() - self._last_look > LOOK:
            self._states = states()
            self._last_look = monotonic()
        if self._states is None:
            return ""
        state = self._states.get(number, GONE)
        return state if state in ENDS else ""

    def look_again(self) -> None:
        """Read the queue at the next question, since jobs were submitted."""
        self._last_look = float("-inf")


def states() -> dict[str, str] | None:
    """Return the state of each job of this user by its number, such as 12_0; None if Slurm does not answer."""
    # Variables such as SQUEUE_PARTITION would hide jobs.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.geteuid()}", "--format=%i %T"]
    try:
        squeue = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = [line.split() for line in squeue.stdout.splitlines()]
    return {line[0]: line[1] for line in lines if len(line) == 2}


def cancel(numbers: Collection[str]) -> None:
    """Cancel jobs with one command. Jobs that have ended, and a Slurm that does not answer, are no error."""
    if numbers:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["scancel", *numbers], capture_output=True, timeout=PATIENCE)
