"""How far a study is, read from its folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equipoise import runs
from equipoise.study.claim import Claims
from equipoise.study.plan import Plan
from equipoise.study.work import failures, given_up
from equipoise.training import checkpoint

Stage = Literal["done", "running", "waiting", "failed"]


@dataclass(frozen=True)
class State:
    """A run of a study: how far it is, how fast, who has it, and why it failed the last time, if it did."""

    run: str
    stage: Stage
    step: int
    steps: int
    images_per_second: float | None
    steps_per_second: float | None
    holder: str
    tries: int
    reason: str


def look(plan: Plan, claims: Claims, run: str) -> State:
    """The state of one run."""
    config = plan.runs[run]
    last = checkpoint.last_row(Path(config.out) / "log.jsonl")
    held = claims.held(run)
    tried = failures(plan.folder, run)
    stage: Stage = "waiting"
    if runs.finished(config):
        stage = "done"
    elif held:
        stage = "running"
    elif given_up(plan.folder, run, plan.study.retries):
        stage = "failed"
    step = min(int(last.get("step", 0)), config.train.steps)
    rate = last.get("images_per_second")
    return State(
        run=run,
        stage=stage,
        step=step,
        steps=config.train.steps,
        images_per_second=rate if stage == "running" else None,
        steps_per_second=rate / config.train.batch if rate and stage == "running" else None,
        holder=claims.holder(run) if held else "",
        tries=len(tried),
        reason=tried[-1].reason if tried and stage != "done" else "",
    )


class Watch:
    """The states of all runs of a plan, looked at again and again; what is done is looked at once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._claims = Claims(plan.folder / "claims")
        self._done: dict[str, State] = {}

    def __call__(self) -> list[State]:
        states = [self._done.get(run) or look(self.plan, self._claims, run) for run in self.plan.runs]
        self._done |= {state.run: state for state in states if state.stage == "done"}
        return states
