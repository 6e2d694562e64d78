"""Claims: only one process works on a run at a time, on this machine or on any other that can read the same folder.

The claims on a run are files 0, 1, 2 and so on in `claims/` in its folder. The last one is valid until it is marked as
over. A claim is written beside its place and gets its name as a hard link, which succeeds in one process only, also on
NFS, so that a kill leaves a whole claim or none. Claims are never removed. A process with an old listing of the folder
tries to create a file that exists already, and fails.

The holder writes a new beat every few seconds. A claim is dead when its process has ended, which can be checked on the
same machine, or when no new beat was seen for the length of a lease, by the clock of the observer: clocks of different
machines are never compared. Any process may create claim k + 1 when claim k is dead or over. A holder that was
suspended finds the next claim before it writes anything, and stops.
"""

import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from equipoise.errors import RunError
from equipoise.files import FULL, naming, sweep

LEASE = 60.0  # seconds without a new beat after which a claim of another machine is dead
BEAT = 5.0  # seconds between beats
FOLDER = "claims"  # in the folder of a run


class Claimed(RunError):
    """Another process works on this run."""


@contextmanager
def hold(run: Path) -> Iterator["Claim"]:
    """Claim the run in this folder for the block. Raises `Claimed` while another process has it.

    For a process of this machine the check is immediate. A process of another machine is dead if it writes no new beat
    for the length of a lease, so this call then waits as long.
    """
    claims = Claims()
    claim = claims.take(run)
    while claim is None:
        claims.refuse(run)
        time.sleep(0.1)
        claim = claims.take(run)
    try:
        yield claim
    finally:
        claim.release()


class Claim:
    """A claim of this process. The process that works on the run calls `check` often."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path, self._about = path, about
        self._beats = 0
        self._last_beat = _now()
        self._lock = threading.Lock()  # two threads of the holder write beats
        self._lost = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_over, daemon=True)
        self.beat()
        self._thread.start()

    def check(self) -> None:
        """Raise `Claimed` when another process has claimed the run."""
        # A process that was suspended must look at the folder before it writes, without waiting for its next beat.
        if _now() - self._last_beat > 2 * BEAT:
            self.beat()
        if self._lost.is_set():
            raise Claimed(f"{self.path.parent.parent} was claimed by another process, moved or removed")

    def confirm(self) -> None:
        """Look at the folder now. Raise `Claimed` when another process has claimed the run."""
        self.beat()
        self.check()

    def beat(self, over: bool = False) -> None:
        """Write a new beat, or mark the claim as over, unless the claim was lost."""
        with self._lock:
            if not self.path.exists() or _next(self.path).exists():
                self._lost.set()
            if self._lost.is_set():
                return
            self._beats += 1
            _write(self.path, self._about | {"beat": self._beats, "over": over})
            self._last_beat = _now()

    def release(self) -> None:
        """Mark the claim as over, so that the run can be claimed again."""
        self._over.set()
        self._thread.join()
        try:
            self.beat(over=True)
        except OSError as error:
            if error.errno not in FULL:
                raise
            with self.path.open("r+b") as file:  # a full disk has room for what is already there
                file.write(b'{"over": true}'.ljust(os.fstat(file.fileno()).st_size))

    def _beat_until_over(self) -> None:
        while not self._over.wait(BEAT) and not self._lost.is_set():
            with suppress(OSError):  # a file server may be unavailable for a moment; the lease covers that
                self.beat()


class Claims:
    """The claims on runs, each given as its folder, and when this process last saw a new beat of each."""

    def __init__(self) -> None:
        self._beats: dict[Path, tuple[Any, float]] = {}
        self._certain: set[Path] = set()

    def take(self, run: Path) -> Claim | None:
        """Claim this run. Returns None while another process has it. Removes files that a killed holder left."""
        last = _last(run)
        if self._is_alive(run, last):
            return None
        folder, pid = run / FOLDER, os.getpid()
        folder.mkdir(parents=True, exist_ok=True)
        about = {"host": socket.gethostname(), "machine": machine(), "pid": pid, "born": _start_time(pid)}
        about["folder"] = str(folder.stat().st_ino)
        path = _create(run, last, about)
        if path is None:
            return None
        claim = Claim(path, about)
        sweep(run)
        return claim

    def is_claimed(self, run: Path) -> bool:
        """Return whether a living process has this run, as far as this process can see."""
        return self._is_alive(run, _last(run))

    def refuse(self, run: Path) -> None:
        """Raise `Claimed` if a process that is certainly alive holds this run.

        It is one of this machine, or one that was seen to write a beat.
        """
        if self.is_claimed(run) and run in self._certain:
            raise Claimed(f"{run} is in use ({self.holder(run)}); wait until that process ends, or stop it")

    def clear(self, run: Path) -> bool:
        """Return whether this run can be claimed. A dead claim is marked as over.

        The mark is for new processes: they have seen no beat, and would wait for the length of a lease.
        """
        last = _last(run)
        if self._is_alive(run, last):
            return False
        if last is not None and not _read(last).get("over"):
            return _create(run, last, {"over": True}) is not None  # None: another process was faster
        return True

    def holder(self, run: Path) -> str:
        """Return host and process that claimed the run, as text; empty when unknown."""
        last = _last(run)
        about = _read(last) if last else {}
        return f"{about['host']}, process {about['pid']}" if "host" in about else ""

    def _is_alive(self, run: Path, last: Path | None) -> bool:
        """Return whether the last claim on a run is neither over nor dead."""
        about = _read(last) if last else {"over": True}
        is_alive, is_certain = True, run in self._certain
        if last is None or about.get("over"):
            is_alive = False
        elif about.get("machine") == machine() != "":
            # A folder that was copied while it was claimed has a new number. A folder that was moved keeps it.
            is_original = about.get("folder") == str(last.parent.stat().st_ino)
            is_alive = is_certain = is_original and _start_time(about["pid"]) == about["born"]
        else:
            beat = (last, about.get("beat"))
            before, since = self._beats.get(run, (None, 0.0))
            if before == beat:
                is_alive = time.monotonic() - since < LEASE
            else:
                self._beats[run] = beat, time.monotonic()
                is_certain |= before is not None
        (self._certain.add if is_alive and is_certain else self._certain.discard)(run)
        return is_alive


def _now() -> float:
    """Return the seconds of a clock that also counts while the machine is suspended, where the system has one."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        if hasattr(time, name):
            return time.clock_gettime(getattr(time, name))
    return time.monotonic()  # Windows


def _last(run: Path) -> Path | None:
    """Return the last claim on a run; None when there is none."""
    folder = run / FOLDER
    numbers = [int(name) for name in os.listdir(folder) if name.isdigit()] if folder.is_dir() else []
    return folder / str(max(numbers)) if numbers else None


def _create(run: Path, last: Path | None, about: dict[str, Any]) -> Path | None:
    """Create the claim after the last one. Returns None when another process has created it."""
    path = _next(last) if last else run / FOLDER / "0"
    content = json.dumps({"beat": 0, "over": False, **about})
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with naming(path):
            part.write_text(content, encoding="utf-8")
        return path if _link(part, path, content) else None
    finally:
        part.unlink(missing_ok=True)


def _link(part: Path, path: Path, content: str) -> bool:
    """Give the written claim its name. Returns whether this process did it, and no other."""
    try:
        os.link(part, path)
    except (FileExistsError, FileNotFoundError):  # not found: the next holder swept the folder
        with suppress(FileNotFoundError):
            return part.stat().st_nlink == 2  # NFS repeated the call after a lost answer
        return False
    except OSError:  # a file system without hard links
        with suppress(FileExistsError), naming(path), open(path, "x", encoding="utf-8") as file:
            file.write(content)
            return True
        return False
    return True


def machine() -> str:
    """Return a name for the processes that this process can see: same boot, container and user. Empty if unknown."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {os.stat('/proc/self/ns/pid').st_ino} {os.getuid()}"
    return ""


def _start_time(pid: int) -> str:
    """Return the start time of a process in ticks since the boot, as numbers are reused. Empty when it has ended."""
    with suppress(OSError):
        state, *fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if state in "ZX" else fields[18]
    return ""


def _next(path: Path) -> Path:
    return path.with_name(str(int(path.name) + 1))


def _write(path: Path, about: dict[str, Any]) -> None:
    beside = path.with_name(f".{path.name}.part")  # a fixed name is enough: only one process writes this claim
    with naming(path):
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
