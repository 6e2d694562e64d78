"""The driver of a study: what is not done is started, wherever the engine places it, until nothing is left."""

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

from equipoise import runs
from equipoise.config import Config
from equipoise.study.claim import Claims
from equipoise.study.plan import Plan
from equipoise.study.work import given_up

LOOK = 5.0  # seconds between looks at what other drivers of the same folder have done


class Job(Protocol):
    """A run that an engine is at."""

    def ended(self) -> bool:
        """Whether the engine is at it no more; whatever ended it badly is written down by then."""
        ...

    def stop(self) -> None:
        """Ask it to save and end."""
        ...

    def join(self) -> None:
        """Return when it has ended."""
        ...


J = TypeVar("J", bound=Job)


class Engine(Protocol[J]):
    """Where runs are worked on: on `slots` places at once."""

    @property
    def slots(self) -> int: ...

    def start(self, configs: Sequence[Config], study: Path) -> list[J]: ...

    def wait(self, jobs: Collection[J], seconds: float) -> None:
        """Return when a job has ended, or after so many seconds."""
        ...

    def close(self) -> None:
        """Let go of what the engine holds."""
        ...


def drive(
    plan: Plan,
    engine: Engine[J],
    stop: Callable[[], bool],
    show: Callable[[], None],
    more: Callable[[], bool] = lambda: False,
) -> None:
    """Work on the runs of a plan until each is done or given up, or `stop` says so; `show` is called every second.

    Runs that another driver holds are left to it, and taken over if it dies. The plan's runs may change meanwhile: one
    that is there no more is stopped, and `more`, asked while a place is free, adds some, or says that there are none.
    """
    claims = Claims(plan.folder / "claims")
    over: set[str] = set()
    jobs: dict[str, J] = {}
    looked = -LOOK
    try:
        while not stop():
            ended = [run for run, job in jobs.items() if job.ended()]
            for run in ended:
                del jobs[run]
            look = [run for run in ended if run in plan.runs]
            if monotonic() - looked > LOOK:
                look, looked = [run for run in plan.runs if run not in over], monotonic()
            over |= {run for run in look if run not in jobs and _over(plan, run)}
            show()
            for run, job in jobs.items():
                if run not in plan.runs:
                    job.stop()
            left = [run for run in plan.runs if run not in over]
            free = (run for run in left if run not in jobs and claims.clear(run))
            places = max(engine.slots - len(jobs), 0)
            begun = list(islice(free, places))
            if len(begun) < places and more():
                continue
            if not left and not jobs:
                return
            if begun:
                jobs |= zip(begun, engine.start([plan.runs[run] for run in begun], plan.folder), strict=True)
            engine.wait(jobs.values(), 1.0)
    finally:
        for job in jobs.values():
            job.stop()
        for job in jobs.values():
            job.join()
        engine.close()


def _over(plan: Plan, run: str) -> bool:
    return runs.finished(plan.runs[run]) or given_up(plan.folder, run, plan.study.retries)
