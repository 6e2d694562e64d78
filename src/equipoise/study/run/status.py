"""The state of each run of a study, read from the study's folder."""

import os
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equipoise import runs
from equipoise.claim import FOLDER, Claims
from equipoise.config import Config
from equipoise.errors import InputError, RunError
from equipoise.study.plan import Plan
from equipoise.study.run.work import failures, failures_file, is_given_up
from equipoise.training import checkpoint

Stage = Literal["done", "running", "waiting", "failed"]
Mark = tuple[int | None, ...] | None
"""Times of the last change of the folder, the claims and the failures of a run; None for a run that has neither."""


@dataclass(frozen=True)
class State:
    """The state of a run."""

    run: str
    stage: Stage
    step: int  # training steps finished
    steps: int  # training steps in all
    images_per_second: float | None = None  # speed of training; None unless it is running
    steps_per_second: float | None = None
    holder: str = ""  # host and process that work on it; empty if none does
    tries: int = 0  # number of failed tries
    reason: str = ""  # why the last try failed; empty if none did, or if the run is done

    @property
    def is_over(self) -> bool:
        """Whether the run is done or has failed, and is neither running nor waiting."""
        return self.stage in ("done", "failed")


class Watch:
    """Reads the state of each run of a plan; a later call reads only runs whose files have changed.

    Runs that are done are read once.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._claims = Claims()
        self._states: dict[str, tuple[Config, Mark, State]] = {}

    def __call__(self) -> list[State]:
        """Return the state of each run."""
        parents = {os.path.dirname(config.out) for config in self.plan.runs.values()}
        folders = {f"{parent}/{name}" if parent else name for parent in parents for name in _names(parent)}
        failures = _names(self.plan.folder / "failures")
        return [self._state(run, config, folders, failures) for run, config in self.plan.runs.items()]

    def _state(self, run: str, config: Config, folders: Set[str], failures: Set[str]) -> State:
        """Return the state of a run; `folders` and `failures` are the paths and file names that exist."""
        old_config, old_mark, state = self._states.get(run, (None, None, None))
        if state is not None and old_config is config and state.stage == "done":
            return state
        mark = None
        if config.out in folders or f"{run}.json" in failures:
            # A claim is a new file, and so is each of its beats. Only its holder changes what the state depends on.
            paths = (config.out, f"{config.out}/{FOLDER}", str(failures_file(self.plan.folder, run)))
            mark = tuple(map(_change_time, paths))
        if state is None or old_config is not config or old_mark != mark or state.holder:
            try:
                state = _read_state(self.plan, self._claims, run)
            except (InputError, RunError, NotADirectoryError) as error:  # it has failed, and the others go on
                is_file = isinstance(error, NotADirectoryError)
                reason = f"{config.out} is a file; remove it" if is_file else str(error)
                state = State(run, "failed", 0, config.train.steps, reason=reason)
            self._states[run] = config, mark, state
        return state


def _names(folder: str | Path) -> set[str]:
    """Return the names in a folder; none if it does not exist."""
    try:
        return set(os.listdir(folder or "."))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _change_time(path: str) -> int | None:
    """Return when a file, or the list of files in a folder, last changed; None where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read_state(plan: Plan, claims: Claims, run: str) -> State:
    config = plan.runs[run]
    path = Path(config.out)
    row = checkpoint.last_row(path / "log.jsonl")
    is_claimed = claims.is_claimed(path)
    tries = failures(plan.folder, run)
    stage: Stage = "waiting"
    if runs.is_finished(config):
        stage = "done"
    elif is_claimed:
        stage = "running"
    elif is_given_up(plan.folder, run, plan.study.retries):
        stage = "failed"
    rate = row.get("images_per_second") if stage == "running" else None
    return State(
        run=run,
        stage=stage,
        step=min(int(row.get("step", 0)), config.train.steps),
        steps=config.train.steps,
        images_per_second=rate,
        steps_per_second=rate / config.train.batch if rate else None,
        holder=claims.holder(path) if is_claimed else "",
        tries=len(tries),
        reason=tries[-1].reason if tries and stage != "done" else "",
    )
