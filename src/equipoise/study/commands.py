"""The commands of studies."""

import dataclasses
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from time import sleep

from rich.console import Console

from equipoise import study
from equipoise.outcome import Outcome
from equipoise.study import EngineName, Plan, State, board, estimate
from equipoise.study.status import Watch
from equipoise.training import watch as watching


def sweep(
    file: Path,
    workers: int | None = None,
    engine: EngineName = "local",
    gpus: float = 0,
    again: bool = False,
    progress: bool = True,
) -> Outcome:
    """Run the study that a file describes, or what of it is still to do."""
    with redirect_stdout(sys.stderr):  # Ray prints what it has to say of its nodes
        states = study.sweep(file, workers=workers, engine=engine, gpus=gpus, again=again, progress=progress)
    plan = study.read(file)
    outcome = _outcome(plan, states)
    said = [outcome.text, f"wrote {plan.folder}"]
    if any(state.stage == "failed" for state in states):
        said.append(f"what failed is in {plan.folder / 'failures'}; the same command with --again tries it once more")
    if any(state.stage in ("running", "waiting") for state in states):
        said.append("stopped; the same command goes on")
    return Outcome({**outcome.values, "wrote": str(plan.folder)}, "\n".join(said))


def describe(file: Path, workers: int | None = None, progress: bool = True) -> Outcome:
    """What a sweep of this file would do: its runs, the settings in which they differ, how long it takes here."""
    plan = study.read(file)
    study.expect_data(plan)
    states = Watch(plan)()
    left = {state.run: plan.runs[state.run] for state in states if state.stage in ("running", "waiting")}
    slots = workers or study.default_workers(plan)
    seconds = estimate.seconds(left.values(), slots, progress)
    steps = sum(state.steps - state.step for state in states)
    said = [
        *board.listing(plan, states),
        f"{board.summary(states)}; {steps:,} steps of training left",
        "too short to be timed" if seconds is None else f"about {board.duration(seconds)} of training, {slots} at once",
        f"nothing was done; without --dry-run it goes to {plan.folder}",
    ]
    runs = [{"run": run, **config.flat()} for run, config in plan.runs.items()]
    values = {"study": str(plan.folder), "varied": plan.varied, "seconds": seconds, "steps": steps, "runs": runs}
    return Outcome(values, "\n".join(said))


def status(folder: Path, watch: bool = False, progress: bool = True) -> Outcome:
    """How far the study in a folder is; with `watch`, shown until all its runs are over, or someone stops it."""
    plan = study.open_study(folder)
    states = Watch(plan)
    console = Console(stderr=True, quiet=not progress)
    with watching.signals() as stop, board.shown(console, states) as show:
        while watch and not stop.is_set() and any(state.stage in ("running", "waiting") for state in states()):
            show()
            sleep(1)
    return _outcome(plan, states())


def _outcome(plan: Plan, states: Sequence[State]) -> Outcome:
    values = {
        "study": str(plan.folder),
        "done": all(state.stage == "done" for state in states),
        "runs": [dataclasses.asdict(state) for state in states],
    }
    return Outcome(values, "\n".join([f"{plan.folder}: {board.summary(states)}", *board.lines(states)[1:]]))
