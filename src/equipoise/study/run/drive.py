"""The driver of a study: start runs on an engine until all are finished or given up."""

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

from equipoise import runs
from equipoise.claim import Claims
from equipoise.config import Config
from equipoise.study.plan import Plan
from equipoise.study.run.status import Watch
from equipoise.study.run.work import is_given_up

LOOK = 5.0  # seconds between checks of what other drivers of the same folder have finished
ENDS = ("done", "failed")


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
    stop: Callable[[], bool],
    show: Callable[[], None],
    more: Callable[[], bool] = lambda: False,
) -> None:
    """Run the plan until each run is finished or given up, or `stop` returns True. `show` is called every second.

    Runs of another driver are left to it, and resumed here if that driver dies. The runs of the plan may change in the
    meantime: a job whose run was removed is stopped. `more` is called while a slot is free; it adds runs and returns
    True, or returns False if there are none.
    """
    claims, look = Claims(), Watch(plan)
    over: set[str] = set()
    jobs: dict[str, J] = {}
    last_look = -LOOK
    try:
        while not stop():
            ended = [run for run, job in jobs.items() if job.has_ended()]
            for run in ended:
                del jobs[run]
            over |= {run for run in ended if run in plan.runs and _is_over(plan, run)}
            if monotonic() - last_look > LOOK:
                over |= {state.run for state in look() if state.stage in ENDS and state.run not in jobs}
                last_look = monotonic()
            show()
            for run, job in jobs.items():
                if run not in plan.runs:
                    job.stop()
            remaining = [run for run in plan.runs if run not in over]
            free = (run for run in remaining if run not in jobs and claims.clear(Path(plan.runs[run].out)))
            slots = max(engine.slots - len(jobs), 0)
            starting = list(islice(free, slots))
            if len(starting) < slots and more():
                continue
            if not remaining and not jobs:
                return
            if starting:
                jobs |= zip(starting, engine.start([plan.runs[run] for run in starting], plan.folder), strict=True)
            engine.wait(jobs.values(), 1.0)
    finally:
        for job in jobs.values():
            job.stop()
        for job in jobs.values():
            job.join()
        engine.close()


def _is_over(plan: Plan, run: str) -> bool:
    return runs.is_finished(plan.runs[run]) or is_given_up(plan.folder, run, plan.study.retries)
