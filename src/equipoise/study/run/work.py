"""Work on one run of a study, from its claim to its report. Every engine calls this function."""

import dataclasses
import json
import os
import socket
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from typing_extensions import TypedDict

from equipoise import runs
from equipoise.claim import Claimed, Claims
from equipoise.config import Config
from equipoise.errors import InputError, RunError
from equipoise.files import read_json, write_text
from equipoise.torch_defaults import torch_threads
from equipoise.training.loop import Diverged, Stopped

End = Literal["done", "claimed", "stopped", "failed"]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A failed try at a run, and whether another try can only fail in the same way."""

    reason: str
    hopeless: bool
    where: str
    when: str
    traceback: str


class Failures(TypedDict):
    """The content of the file of a run in `failures/`."""

    tries: list[Failure]


def work(config: Config, study: Path, stop: Callable[[], bool] = lambda: False) -> End:
    """Train, encode, score and report a run of the study in the folder `study`.

    Returns "done", also where the run was done before; "claimed" where another process has it; "stopped"; or "failed".
    `stop` is called before each training step. When it returns True the run is saved, to be resumed later.
    """
    run = Path(config.out).name
    try:
        if runs.is_finished(config):
            return "done"
    except InputError as error:  # a damaged file, which another try would find again
        record_failure(study, run, str(error), hopeless=True)
        return "failed"
    claim = Claims().take(Path(config.out))
    if claim is None:
        return "claimed"
    try:
        # Scoring has the threads of training: as many runs are processed at once as there are cores.
        with torch_threads(config.train.threads), threadpool_limits(config.train.threads):
            if not runs.is_finished(config):  # by the previous owner, a moment ago
                runs.execute(config, progress=False, stop=stop, claim=claim)
        if not runs.is_finished(config):
            raise RunError(f"{config.out} lacks rows of its log; delete that folder and sweep with --again")
    except Stopped:
        return "stopped"
    except Claimed:
        return "claimed"
    # Any error of one run is recorded with its reason, and the other runs of the study continue.
    except Exception as error:
        reason = str(error) if isinstance(error, InputError | RunError) else f"{type(error).__name__}: {error}"
        record_failure(study, run, reason, isinstance(error, InputError | Diverged), trace=traceback.format_exc())
        return "failed"
    finally:
        claim.release()
    return "done"


def record_failure(study: Path, run: str, reason: str, hopeless: bool = False, trace: str = "") -> None:
    """Add a failed try to the file of the run in `failures/`."""
    process = f"{socket.gethostname()}, process {os.getpid()}"
    failure = Failure(reason, hopeless, process, datetime.now(UTC).isoformat(timespec="seconds"), trace)
    tries = [dataclasses.asdict(attempt) for attempt in [*failures(study, run), failure]]
    write_text(failures_file(study, run), json.dumps({"tries": tries}, indent=1))


def failures(study: Path, run: str) -> list[Failure]:
    """Return the failed tries at a run, the latest last."""
    path = failures_file(study, run)
    return read_json(path, Failures)["tries"] if path.exists() else []


def is_given_up(study: Path, run: str, retries: int) -> bool:
    """Return whether a run failed more often than it is retried, or for a reason that another try cannot change."""
    tries = failures(study, run)
    return len(tries) > retries or any(failure.hopeless for failure in tries)


def delete_failures(study: Path, run: str) -> None:
    """Delete the record of failed tries at a run, so that it is tried again."""
    failures_file(study, run).unlink(missing_ok=True)


def failures_file(study: Path, run: str) -> Path:
    """Return the file of the failed tries at a run."""
    return study / "failures" / f"{run}.json"
