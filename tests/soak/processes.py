"""Commands in processes of their own, which can be killed, and what two folders have to share afterwards."""

import ctypes
import os
import random
import resource
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equipoise import audit, cli, commands, report, runs, scoring
from equipoise import codes as coding
from equipoise.config import resolve
from equipoise.data import DATASETS, store
from equipoise.files import write_text
from equipoise.training import checkpoint

OUTPUT = "output.txt"
TRACEBACK = 70  # exit code of a command that ended with one
NOT_RUNS = ("seconds", "images_per_second")  # values of a row or a score that differ between equal runs
MARK = "EQUIPOISE_SOAK"  # environment variable of all processes that a command starts
SIZES = (2, 2, 2, 3, 3, 4, 4)  # of the factors of a published set with few images
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class Fault(Exception):
    """What a soak must not find. The message names the folder, which is kept."""


def require(condition: object, message: object) -> None:
    """Raise `Fault` with the message unless the condition holds."""
    if not condition:
        raise Fault(str(message))


def start(
    words: Sequence[str], folder: Path, bytes_per_file: int | None = None, is_root: bool = True, to: str = OUTPUT
) -> int:
    """Start a command in `folder` and return the number of its process.

    The process is forked, so that hundreds of commands do not load torch hundreds of times. It leads a session.

    Args:
        words: The words after `equipoise`.
        folder: The working folder.
        bytes_per_file: The size at which the disk counts as full.
        is_root: Whether a process of root keeps the rights to write everywhere.
        to: The file in `folder` for what it prints.
    """
    pid = os.fork()
    if pid:
        return pid
    code = TRACEBACK
    try:
        os.setsid()
        os.environ[MARK] = str(folder)
        os.environ["EQUIPOISE_CACHE"] = str(folder / "cache")
        os.chdir(folder)
        printed = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        _reduce_work(words[0])
        if bytes_per_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, bytes_per_file))
        if not is_root:
            _drop_rights()
        sys.argv = ["equipoise", *words]
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def load_everything(folder: Path) -> None:
    """Run the commands once in this process, so that forked processes find all modules loaded."""
    here = Path.cwd()
    os.chdir(prepare(folder))
    settings = {
        "data": "data.npz",
        "method": "l-vae",
        "net": "small",
        "out": "run",
        "train.steps": 2,
        "train.batch": 16,
    }
    runs.execute(resolve(settings | {"train.threads": 1, "evaluate.which": ["mig", "sse"]}), progress=False)
    commands.evaluate([Path("run")], which=["default"], progress=False)
    commands.report(Path("run"), explorer=True)
    commands.export(Path("run"), to="hub-folder")
    os.chdir(here)


def _drop_rights() -> None:
    """Take all capabilities of Linux from this process, without which permissions hold for root as well."""
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    require(ctypes.CDLL(None).capset(header, sets) == 0, "the capabilities of this process cannot be changed")


def _reduce_work(command: str) -> None:
    """Replace reports, which take most of the time of a run this short, and shrink a published set, in this process."""
    if command != "report":
        report.write = lambda run: write_text(run.path / "report.html", "drawn")  # type: ignore[assignment]
    if command == "data":
        toy = DATASETS["mpi3d-toy"]
        DATASETS["mpi3d-toy"] = replace(toy, factor_sizes=SIZES, images=int(np.prod(SIZES)))  # type: ignore[index]
        store._MARK = 1 << 20


def wait(pid: int) -> int:
    """The exit code of a process, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finish(words: Sequence[str], folder: Path) -> float:
    """Run a command to its end, which must be a success, and return its seconds."""
    began = time.monotonic()
    code = wait(start(words, folder))
    if code != 0:
        raise Fault(f"{folder}: {' '.join(words)} ended with {code}: {output(folder)[-1000:]}")
    return time.monotonic() - began


def output(folder: Path, name: str = OUTPUT) -> str:
    """What the last command in this folder printed."""
    return (folder / name).read_text(errors="replace")


def check_refusal(folder: Path, code: int, *parts: str, name: str = OUTPUT) -> None:
    """Require that the last command ended with one sentence that has these parts."""
    text = output(folder, name)
    last = text.rstrip().rpartition("\n")[2]
    is_refusal = code in (1, 2) and last.startswith("equipoise: ") and "Traceback" not in text
    require(is_refusal and all(part in last for part in parts), f"{folder}: exit code {code}, {text[-1000:]}")


def descendants(folder: Path) -> list[int]:
    """The processes that the command in this folder has started and that live."""
    mark = f"{MARK}={folder}\0".encode()
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and int(each.name) != os.getpid():
            try:
                if mark in (each / "environ").read_bytes() + b"\0":
                    found.append(int(each.name))
            except OSError:
                continue
    return sorted(found)


def kill(pid: int, folder: Path, rng: random.Random, workers: bool) -> None:
    """Send a random signal to a command or, if `workers`, in half the cases to one of its working processes."""
    target = pid
    if workers and rng.random() < 0.5:
        jobs = [job for job in descendants(folder) if is_worker(job)]
        target = rng.choice(jobs) if jobs else pid
    try:
        os.kill(target, rng.choice(_SIGNALS))
    except ProcessLookupError:
        return


def is_worker(pid: int) -> bool:
    """Whether a process works on a run: a process of the local engine, or a task of Ray."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        of_parent = Path(f"/proc/{parent}/cmdline").read_bytes()
    except OSError:
        return False
    return b"forkserver" in of_parent or words.startswith(b"ray::")


def settle(folder: Path, seconds: float) -> None:
    """Wait until the processes that a killed command started have ended."""
    end = time.monotonic() + seconds
    while descendants(folder):
        require(time.monotonic() < end, f"{folder}: processes {descendants(folder)} outlive their command")
        time.sleep(0.05)


def prepare(folder: Path) -> Path:
    """Make a folder with images, and return it."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = (rng.random((60, 8, 8)) > 0.5).astype(np.uint8) * 255
    np.savez(folder / "data.npz", images=images, factors=images[:, :2, 0] // 255)
    return folder


def copy(source: Path, target: Path) -> Path:
    """A copy of a folder of commands without their output."""
    return Path(shutil.copytree(source, target))


def is_equal(left: Any, right: Any) -> bool:
    """Whether nested values are the same, arrays and tensors bit for bit."""
    if isinstance(left, torch.Tensor | np.ndarray):
        one, other = np.asarray(left), np.asarray(right)
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(is_equal(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(is_equal, left, right))
    return bool(left == right) or (left != left and right != right)


def contents(run: Path) -> dict[str, Any]:
    """What a finished run has: settings, state, log, codes and scores, without the times that these took."""
    stored = scoring.read(run / "scores.json")
    return {
        "settings": (run / "config.toml").read_text(),
        "state": _without(checkpoint.load(run / "checkpoint.pt"), NOT_RUNS),
        "log": [_without(row, NOT_RUNS) for row in checkpoint.read_log(run / "log.jsonl")],
        "codes": _without(coding.load(run / "codes.npz"), ("checkpoint",)),
        "scores": {name: _without(score.to_dict(), NOT_RUNS) for name, score in sorted(stored["scores"].items())},
        "faults": audit.audit(run).faults,
    }


def _without(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in names}


def compare_runs(expected: Path, found: Path) -> None:
    """Require that two folders have the same runs, and no unfinished file."""
    left, right = ({run.relative_to(folder): run for run in audit.find_runs(folder)} for folder in (expected, found))
    require(left and left.keys() == right.keys(), f"{found} has the runs {list(right)}, not {list(left)}")
    for name, run in left.items():
        one, other = contents(run), contents(right[name])
        differing = [key for key in one if not is_equal(one[key], other[key])]
        require(not differing, f"{right[name]} differs from {run}: {', '.join(differing)}")
    _check_no_part(found)


def compare_files(expected: Path, found: Path, *without: str) -> None:
    """Require that two files or folders are the same byte for byte, except for parts of paths in `without`."""
    left, right = ({path.relative_to(top): path for path in _files(top, without)} for top in (expected, found))
    require(left and left.keys() == right.keys(), f"{found}: {sorted(map(str, left.keys() ^ right.keys()))} differ")
    for name, path in left.items():
        require(path.read_bytes() == right[name].read_bytes(), f"{right[name]} differs from {path}")
    _check_no_part(found)


def _files(top: Path, without: Sequence[str]) -> list[Path]:
    if top.is_file():
        return [top]
    return [path for path in top.rglob("*") if path.is_file() and not set(without) & set(path.parts)]


def _check_no_part(folder: Path) -> None:
    parts = [path for path in folder.rglob("*.part") if "claims" not in path.parts]
    require(not parts, f"{parts} were left")


def machine() -> str:
    """The name of this machine, which a refusal gives."""
    return socket.gethostname()
