"""The driver of a study: start runs on an engine until all are finished or given up."""

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

from rich.console import Console

from equipoise import runs
from equipoise.claim import Claims
from equipoise.config import Config
from equipoise.study.plan import Plan
from equipoise.study.run.display import live
from equipoise.study.run.status import State, Watch
from equipoise.study.run.work import is_given_up
from equipoise.training import watch

LOOK = 5.0  # seconds between checks of what other drivers of the same folder have finished


class Job(Protocol):
    """A run on an engine."""

    def has_ended(self) -> bool:
        """Return whether the job is over. A failure is recorded by then."""

    def stop(self) -> None:
        """Request that the job saves and ends."""

    def join(self) -> None:
        """Wait until the job has ended."""


J = TypeVar("J", bound=Job)


class Engine(Protocol[J]):
    """An engine runs up to `slots` jobs at once."""

    @property
    def slots(self) -> int:
        """Number of jobs at once."""

    def start(self, configs: Sequence[Config], study: Path) -> list[J]:
        """Start a job for each configuration."""

    def wait(self, jobs: Collection[J], seconds: float) -> None:
        """Wait until a job has ended, or for at most `seconds`."""

    def close(self) -> None:
        """Release the resources of the engine."""


def drive(
    plan: Plan,
    engine: Engine[J],
    console: Console,
    look: Callable[[], None] = lambda: None,
    more: Callable[[], bool] = lambda: False,
) -> list[State]:
    """Run the plan until each run is finished or given up, or until Ctrl-C, and return the states of the runs.

    Runs of another driver are not started here; they are resumed if that driver ends before them. The runs of the plan
    may change in the meantime: a job whose run was removed is stopped. The progress is displayed on the console every
    second. `look` is called before. `more` is called while a slot is free; it adds runs and returns True, or returns
    False if there are none.
    """
    claims, states = Claims(), Watch(plan)
    results: set[str] = set()  # runs that are finished or given up
    jobs: dict[str, J] = {}
    last_look = -LOOK
    with watch.signals() as stop, live(console, states) as show:
        try:
            while not stop.is_set():
                for run in [run for run, job in jobs.items() if job.has_ended()]:
                    del jobs[run]
                    if run in plan.runs and _is_over(plan, run):
                        results.add(run)
                if monotonic() - last_look > LOOK:
                    results |= {state.run for state in states() if state.is_over and state.run not in jobs}
                    last_look = monotonic()
                look()
                show()
                for run, job in jobs.items():
                    if run not in plan.runs:
                        job.stop()
                open_runs = [run for run in plan.runs if run not in results]
                free = (run for run in open_runs if run not in jobs and claims.clear(Path(plan.runs[run].out)))
                slots = max(engine.slots - len(jobs), 0)
                new = list(islice(free, slots))
                if len(new) < slots and more():
                    continue
                if not open_runs and not jobs:
                    break
                if new:
                    jobs |= zip(new, engine.start([plan.runs[run] for run in new], plan.folder), strict=True)
                engine.wait(jobs.values(), 1.0)
        finally:
            for job in jobs.values():
                job.stop()
            for job in jobs.values():
                job.join()
            engine.close()
        look()
        show()
    return states()


def _is_over(plan: Plan, run: str) -> bool:
    return runs.is_finished(plan.runs[run]) or is_given_up(plan.folder, run, plan.study.retries)
