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
    images_per_second: float | None  # speed of training; None unless it is running
    steps_per_second: float | None
    holder: str  # host and process that work on it; empty if none does
    tries: int  # number of failed tries
    reason: str  # why the last try failed; empty if none did, or if the run is done


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
        folders = {os.path.dirname(config.out) for config in self.plan.runs.values()}
        begun = {f"{folder}/{name}" if folder else name for folder in folders for name in _names(folder)}
        failed = _names(self.plan.folder / "failures")
        return [self._state(run, config, begun, failed) for run, config in self.plan.runs.items()]

    def _state(self, run: str, config: Config, begun: Set[str], failed: Set[str]) -> State:
        earlier, mark, state = self._states.get(run, (None, None, None))
        if state is not None and earlier is config and state.stage == "done":
            return state
        now = None
        if config.out in begun or f"{run}.json" in failed:
            # A claim is a new file, and so is each of its beats. Only its holder changes what the state depends on.
            changing = (config.out, f"{config.out}/{FOLDER}", str(failures_file(self.plan.folder, run)))
            now = tuple(map(_changed, changing))
        if state is None or earlier is not config or mark != now or state.holder:
            state = _state(self.plan, self._claims, run)
            self._states[run] = config, now, state
        return state


def _names(folder: str | Path) -> set[str]:
    """Return the names in a folder; none if it does not exist."""
    try:
        return set(os.listdir(folder or "."))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _changed(path: str) -> int | None:
    """Return when a file, or the list of files in a folder, last changed; None where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def _state(plan: Plan, claims: Claims, run: str) -> State:
    """Read the state of a run. One with a damaged file has failed, and the others go on."""
    try:
        return _read_state(plan, claims, run)
    except (InputError, RunError) as error:
        return State(run, "failed", 0, plan.runs[run].train.steps, None, None, "", 0, str(error))


def _read_state(plan: Plan, claims: Claims, run: str) -> State:
    config = plan.runs[run]
    path = Path(config.out)
    last = checkpoint.last_row(path / "log.jsonl")
    claimed = claims.is_claimed(path)
    tries = failures(plan.folder, run)
    stage: Stage = "waiting"
    if runs.is_finished(config):
        stage = "done"
    elif claimed:
        stage = "running"
    elif is_given_up(plan.folder, run, plan.study.retries):
        stage = "failed"
    rate = last.get("images_per_second") if stage == "running" else None
    return State(
        run=run,
        stage=stage,
        step=min(int(last.get("step", 0)), config.train.steps),
        steps=config.train.steps,
        images_per_second=rate,
        steps_per_second=rate / config.train.batch if rate else None,
        holder=claims.holder(path) if claimed else "",
        tries=len(tries),
        reason=tries[-1].reason if tries and stage != "done" else "",
    )
