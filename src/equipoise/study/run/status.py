"""The state of each run of a study, read from the study's folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equipoise import runs
from equipoise.claim import Claims
from equipoise.study.plan import Plan
from equipoise.study.run.work import failures, is_given_up
from equipoise.training import checkpoint

Stage = Literal["done", "running", "waiting", "failed"]


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
    """Reads the states of all runs of a plan, again at each call. Runs that are done are read once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._claims = Claims()
        self._done: dict[str, State] = {}

    def __call__(self) -> list[State]:
        """Return the state of each run."""
        states = [self._done.get(run) or _state(self.plan, self._claims, run) for run in self.plan.runs]
        self._done |= {state.run: state for state in states if state.stage == "done"}
        return states


def _state(plan: Plan, claims: Claims, run: str) -> State:
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
