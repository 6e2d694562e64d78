"""One run of a study, from its claim to its report: the function that every engine calls."""

import dataclasses
import json
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from equipoise import runs
from equipoise.config import Config
from equipoise.errors import InputError, RunError
from equipoise.files import read_json, write_text
from equipoise.study.claim import Claims, Lost
from equipoise.training.loop import Stopped

End = Literal["done", "held", "stopped", "failed"]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A try at a run that ended badly, and whether no other try can end otherwise."""

    reason: str
    hopeless: bool
    where: str
    when: str
    traceback: str


def work(config: Config, study: Path, stop: Callable[[], bool] = lambda: False) -> End:
    """Train, encode, score and report a run of the study in the folder `study`, unless it is done or another has it.

    `stop` is asked before each training step; when it says so the run is saved, to go on later.
    """
    run = Path(config.out).name
    if runs.finished(config):
        return "done"
    claim = Claims(study / "claims").take(run)
    if claim is None:
        return "held"

    def asked() -> bool:
        claim.check()
        return stop()

    try:
        with _threads(config.train.threads):
            if not runs.finished(config):  # by the one who held it a moment ago
                runs.execute(config, progress=False, stop=asked, before_save=claim.check)
        if not runs.finished(config):
            raise RunError(f"{config.out} lacks rows of its log; delete that folder and sweep with --again")
    except Stopped:
        return "stopped"
    except Lost:
        return "held"
    # Whatever stops one run is written down with its reason, and the others of the study go on.
    except Exception as error:
        sentence = str(error) if isinstance(error, InputError | RunError) else f"{type(error).__name__}: {error}"
        note(study, run, sentence, hopeless=isinstance(error, InputError), trace=traceback.format_exc())
        return "failed"
    finally:
        claim.release()
    return "done"


def note(study: Path, run: str, reason: str, hopeless: bool = False, trace: str = "") -> None:
    """Write down that a try at a run failed."""
    where = f"{socket.gethostname()}, process {os.getpid()}"
    failure = Failure(reason, hopeless, where, datetime.now(UTC).isoformat(timespec="seconds"), trace)
    tries = [dataclasses.asdict(each) for each in [*failures(study, run), failure]]
    write_text(_file(study, run), json.dumps({"tries": tries}, indent=1))


def failures(study: Path, run: str) -> list[Failure]:
    """The tries at a run that failed, the latest last."""
    path = _file(study, run)
    return [Failure(**each) for each in read_json(path)["tries"]] if path.exists() else []


def given_up(study: Path, run: str, retries: int) -> bool:
    """Whether a run failed more often than it is retried, or for a reason that another try cannot change."""
    tries = failures(study, run)
    return len(tries) > retries or any(each.hopeless for each in tries)


def forget(study: Path, run: str) -> None:
    """Forget the failures of a run, so that it is tried again."""
    _file(study, run).unlink(missing_ok=True)


def _file(study: Path, run: str) -> Path:
    return study / "failures" / f"{run}.json"


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Keeps scoring to the threads of training: as many processes run beside this one as there are cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        with threadpool_limits(number):
            yield
    finally:
        torch.set_num_threads(before)
