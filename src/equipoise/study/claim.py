"""Claims: a run is worked on by one process at a time, on this machine or on any other that sees the same folder.

The claims to a run are files 0, 1, 2 and so on in a folder of its own. The last one holds, until it says that it is
over. They are made with O_EXCL, which succeeds for one process alone, also on NFS from version 3, and are never
removed: whoever is late, or reads an old list of the folder, tries to make one that is there already, and fails.

The holder writes a new beat every few seconds. A claim is dead when its process is gone, which can be seen on its own
machine, or when no new beat was seen for the length of a lease, by the clock of the one who looks: clocks of different
machines are never compared. Whoever finds claim k dead or over may make k + 1. A holder that was away (a suspended
machine) finds the next claim there before it writes anything, and stops.
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

LEASE = 60.0  # seconds without a new beat after which a claim that cannot be looked into is dead
BEAT = 5.0  # seconds between beats

# Of the holder: goes on while the machine is suspended, where the system has such a clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Lost(RunError):
    """Another process took this run over while this one was not heard of."""


class Claim:
    """A claim that is held. `check` is called often, by the one who works."""

    def __init__(self, path: Path) -> None:
        self.path = path
        pid = os.getpid()
        self._about = {"host": socket.gethostname(), "machine": machine(), "pid": pid, "born": _born(pid)}
        self._beats = 0
        self._beaten = time.clock_gettime(_CLOCK)
        self._one = threading.Lock()  # two threads of the holder beat
        self._lost = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self.beat()
        self._thread.start()

    def check(self) -> None:
        """Raises `Lost` when the claim is no longer held."""
        # A process that slept must look before it writes anything, and not wait for its own next beat.
        if time.clock_gettime(_CLOCK) - self._beaten > 2 * BEAT:
            self.beat()
        if self._lost.is_set():
            raise Lost(f"{self.path.parent.name} was taken over by another process")

    def beat(self, over: bool = False) -> None:
        """Show that the holder lives, or that the claim is over, if it still holds."""
        with self._one:
            if not self.path.exists() or _next(self.path).exists():
                self._lost.set()
            if self._lost.is_set():
                return
            self._beats += 1
            _write(self.path, self._about | {"beat": self._beats, "over": over})
            self._beaten = time.clock_gettime(_CLOCK)

    def release(self) -> None:
        """Give the run up: it can be claimed again."""
        self._over.set()
        self._thread.join()
        self.beat(over=True)

    def _keep(self) -> None:
        while not self._over.wait(BEAT) and not self._lost.is_set():
            with suppress(OSError):  # a file server that is away for a moment; too long a moment loses the lease
                self.beat()


class Claims:
    """The claims to the runs of a study, and when this process last saw each of them beat."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, tuple[Any, float]] = {}

    def take(self, run: str) -> Claim | None:
        """A claim to this run; None while another process holds it."""
        last = self._last(run)
        path = None if self._holds(run, last) else self._make(run, last)
        return Claim(path) if path else None

    def held(self, run: str) -> bool:
        """Whether a living process holds this run, as far as this one can tell."""
        return self._holds(run, self._last(run))

    def clear(self, run: str) -> bool:
        """Whether this run can be taken; a dead claim is declared over, for those who cannot tell or have yet to wait.

        A process that was just started has seen no beat, and would wait for the length of a lease.
        """
        last = self._last(run)
        if self._holds(run, last):
            return False
        if last is not None and not _read(last).get("over"):
            path = self._make(run, last)
            if path is None:
                return False  # another was faster
            _write(path, {"over": True})
        return True

    def holder(self, run: str) -> str:
        """Host and process that hold the run, for people; empty when it is not known."""
        last = self._last(run)
        about = _read(last) if last else {}
        return f"{about['host']}, process {about['pid']}" if "host" in about else ""

    def _last(self, run: str) -> Path | None:
        folder = self.folder / run
        numbers = [int(name) for name in os.listdir(folder) if name.isdigit()] if folder.is_dir() else []
        return folder / str(max(numbers)) if numbers else None

    def _holds(self, run: str, last: Path | None) -> bool:
        """Whether the last claim to a run is neither over nor dead."""
        about = _read(last) if last else {"over": True}
        if about.get("over"):
            return False
        if about.get("machine") == machine() != "":
            return _born(about["pid"]) == about["born"]
        sign = (last, about.get("beat"))
        before, since = self._seen.get(run, (None, 0.0))
        if before != sign:
            self._seen[run] = sign, time.monotonic()
            return True
        return time.monotonic() - since < LEASE

    def _make(self, run: str, last: Path | None) -> Path | None:
        """The claim that follows the last one, still empty; None when another process has made it."""
        path = _next(last) if last else self.folder / run / "0"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(path, "x", encoding="utf-8"):
                return path
        except FileExistsError:
            return None


def machine() -> str:
    """What tells the processes that this one can see from all others; empty where it cannot be told.

    They are those of this boot of this machine, in this container, of this user.
    """
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {os.stat('/proc/self/ns/pid').st_ino} {os.getuid()}"
    return ""


def _born(pid: int) -> str:
    """When the process of this number began, in ticks since the boot: numbers are used again. Empty when it is gone."""
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    return ""


def _next(path: Path) -> Path:
    return path.with_name(str(int(path.name) + 1))


def _write(path: Path, about: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.part")  # no name of its own: only one process writes this claim
    beside.write_text(json.dumps(about), encoding="utf-8")
    os.replace(beside, path)


def _read(path: Path) -> dict[str, Any]:
    """What a claim says; nothing when it was just made and not yet written."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        return {}
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):  # replaced this moment, seen over NFS
            return {}
        raise
