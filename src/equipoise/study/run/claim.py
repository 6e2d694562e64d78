"""Claims: only one process works on a run at a time, on this machine or on any other that can read the same folder.

The claims on a run are files 0, 1, 2 and so on in a folder of its own. The last one is valid until it is marked as
over. They are created with O_EXCL, which succeeds in one process only, also on NFS from version 3, and are never
removed. A process with an old listing of the folder tries to create a file that exists already, and fails.

The holder writes a new beat every few seconds. A claim is dead when its process has ended, which can be checked on the
same machine, or when no new beat was seen for the length of a lease, by the clock of the observer: clocks of different
machines are never compared. Any process may create claim k + 1 when claim k is dead or over. A holder that was
suspended finds the next claim before it writes anything, and stops.
"""

import errno
import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from equipoise.errors import RunError

LEASE = 60.0  # seconds without a new beat after which a claim of another machine is dead
BEAT = 5.0  # seconds between beats

# A clock that also counts while the machine is suspended, where the system has one.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Lost(RunError):
    """Another process claimed this run."""


class Claim:
    """A claim of this process. The process that works on the run calls `check` often."""

    def __init__(self, path: Path) -> None:
        self.path = path
        pid = os.getpid()
        self._about = {"host": socket.gethostname(), "machine": machine(), "pid": pid, "born": _start_time(pid)}
        self._beats = 0
        self._last_beat = time.clock_gettime(_CLOCK)
        self._lock = threading.Lock()  # two threads of the holder beat
        self._lost = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_over, daemon=True)
        self.beat()
        self._thread.start()

    def check(self) -> None:
        """Raise `Lost` when another process has claimed the run."""
        # A process that was suspended must look at the folder before it writes, without waiting for its next beat.
        if time.clock_gettime(_CLOCK) - self._last_beat > 2 * BEAT:
            self.beat()
        if self._lost.is_set():
            raise Lost(f"{self.path.parent.name} was claimed by another process")

    def beat(self, over: bool = False) -> None:
        """Write a new beat, or mark the claim as over, unless the claim was lost."""
        with self._lock:
            if not self.path.exists() or _next(self.path).exists():
                self._lost.set()
            if self._lost.is_set():
                return
            self._beats += 1
            _write(self.path, self._about | {"beat": self._beats, "over": over})
            self._last_beat = time.clock_gettime(_CLOCK)

    def release(self) -> None:
        """Mark the claim as over, so that the run can be claimed again."""
        self._over.set()
        self._thread.join()
        self.beat(over=True)

    def _beat_until_over(self) -> None:
        while not self._over.wait(BEAT) and not self._lost.is_set():
            with suppress(OSError):  # a file server may be unavailable for a moment; the lease covers that
                self.beat()


class Claims:
    """The claims on the runs of a study, and when this process last saw a new beat of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._beats: dict[str, tuple[Any, float]] = {}

    def take(self, run: str) -> Claim | None:
        """Claim this run. Returns None while another process has it."""
        last = self._last(run)
        path = None if self._is_alive(run, last) else self._create(run, last)
        return Claim(path) if path else None

    def is_claimed(self, run: str) -> bool:
        """Return whether a living process has this run, as far as this process can see."""
        return self._is_alive(run, self._last(run))

    def clear(self, run: str) -> bool:
        """Return whether this run can be claimed. A dead claim is marked as over.

        The mark is for new processes: they have seen no beat, and would wait for the length of a lease.
        """
        last = self._last(run)
        if self._is_alive(run, last):
            return False
        if last is not None and not _read(last).get("over"):
            path = self._create(run, last)
            if path is None:
                return False  # another process was faster
            _write(path, {"over": True})
        return True

    def holder(self, run: str) -> str:
        """Return host and process that claimed the run, as text; empty when unknown."""
        last = self._last(run)
        about = _read(last) if last else {}
        return f"{about['host']}, process {about['pid']}" if "host" in about else ""

    def _last(self, run: str) -> Path | None:
        folder = self.folder / run
        numbers = [int(name) for name in os.listdir(folder) if name.isdigit()] if folder.is_dir() else []
        return folder / str(max(numbers)) if numbers else None

    def _is_alive(self, run: str, last: Path | None) -> bool:
        """Return whether the last claim on a run is neither over nor dead."""
        about = _read(last) if last else {"over": True}
        if about.get("over"):
            return False
        if about.get("machine") == machine() != "":
            return _start_time(about["pid"]) == about["born"]
        beat = (last, about.get("beat"))
        before, since = self._beats.get(run, (None, 0.0))
        if before != beat:
            self._beats[run] = beat, time.monotonic()
            return True
        return time.monotonic() - since < LEASE

    def _create(self, run: str, last: Path | None) -> Path | None:
        """Create the claim after the last one, still empty. Returns None when another process has created it."""
        path = _next(last) if last else self.folder / run / "0"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(path, "x", encoding="utf-8"):
                return path
        except FileExistsError:
            return None


def machine() -> str:
    """Return a name for the processes that this process can see: same boot, container and user. Empty if unknown."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {os.stat('/proc/self/ns/pid').st_ino} {os.getuid()}"
    return ""


def _start_time(pid: int) -> str:
    """Return the start time of a process in ticks since the boot, since numbers are reused. Empty when it has ended."""
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    return ""


def _next(path: Path) -> Path:
    return path.with_name(str(int(path.name) + 1))


def _write(path: Path, about: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.part")  # a fixed name is enough: only one process writes this claim
    beside.write_text(json.dumps(about), encoding="utf-8")
    os.replace(beside, path)


def _read(path: Path) -> dict[str, Any]:
    """Return the contents of a claim; nothing when it was created and not written yet."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return {}
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):  # replaced at this moment, as seen over NFS
            return {}
        raise
