"""Studies: many runs from one file, on one machine or many, that any kill leaves able to go on."""

from pathlib import Path
from typing import Any, Literal

import joblib  # type: ignore[import-untyped]
from rich.console import Console

from equipoise.data import DATASETS, load_data
from equipoise.errors import InputError, choose
from equipoise.study import search_space
from equipoise.study.board import shown
from equipoise.study.drive import Engine, drive
from equipoise.study.local import Local
from equipoise.study.on_ray import OnRay
from equipoise.study.on_slurm import OnSlurm
from equipoise.study.plan import Plan, Study, contents, keep
from equipoise.study.plan import plan as planned
from equipoise.study.status import State, Watch
from equipoise.study.work import forget
from equipoise.training import watch

__all__ = ["Plan", "State", "Study", "open_study", "read", "sweep"]

FILE = "study.toml"  # the study's own copy of its file
EngineName = Literal["local", "ray", "slurm"]


def sweep(
    file: str | Path,
    *,
    workers: int | None = None,
    engine: EngineName = "local",
    gpus: float = 0,
    again: bool = False,
    progress: bool = True,
) -> list[State]:
    """Run the study that `file` describes, or what of it is still to do; the state of each of its runs at the end.

    workers: runs at once; by default as many as there are cores for their threads, here or in the cluster.
    engine: local is this machine, ray a cluster of Ray, slurm jobs of Slurm; a study can go from one to another.
    gpus: that each run takes of those that Ray or Slurm hands out; parts of one, such as 0.25, with Ray alone.
    again: try runs that were given up once more. Raises `InputError` before any work for a study that cannot run.

    Runs are processes that load this program anew: a script calls `sweep` under `if __name__ == "__main__":`.
    """
    plan = read(file)
    expect_data(plan)
    place = _engine(plan, engine, workers, gpus)
    keep(Path(file), plan.folder / FILE, plan.study.out)
    if again:
        for run in plan.runs:
            forget(plan.folder, run)
    states = Watch(plan)
    console = Console(stderr=True, quiet=not progress)
    with watch.signals() as stop, shown(console, states) as show:
        drive(plan, place, stop.is_set, show)
    return states()


def read(file: str | Path, out: str | Path | None = None) -> Plan:
    """The plan that a study file in TOML describes (`plan.plan`), or of one with a table [search] the runs that its
    search has proposed until now. Raises `InputError` with one sentence for whatever cannot run.

    out: where the study lies, if not where the file says.
    """
    said = contents(file, out)
    return search_space.proposed(search_space.space(said)) if "search" in said else planned(said)


def open_study(folder: str | Path) -> Plan:
    """The plan of the study in a folder. Raises `InputError` when there is none."""
    path = Path(folder)
    if not (path / FILE).is_file():
        raise InputError(f"{path} is not a study (it has no {FILE}); expected the folder that a sweep wrote")
    return read(path / FILE, out=path)


def default_workers(plan: Plan) -> int:
    """Runs at once on this machine: as many as there are cores, of those this process may use, for their threads."""
    threads = max(config.train.threads or 1 for config in plan.runs.values())
    return max(1, int(joblib.cpu_count()) // threads)


def expect_data(plan: Plan) -> None:
    """Raises `InputError` for data that is not here: every run would say so, one after the other."""
    for name in dict.fromkeys(config.data.name for config in plan.runs.values()):
        if name in DATASETS:
            if DATASETS[name].state == "not here":
                raise DATASETS[name].missing()
        elif not Path(name).expanduser().exists():
            load_data(name)  # which says what it knows


def _engine(plan: Plan, name: str, workers: int | None, gpus: float) -> Engine[Any]:
    choose("engine", name, ("local", "ray", "slurm"))
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more, such as the number of cores")
    if gpus < 0 or (gpus and name == "local"):
        raise InputError(f"gpus is {gpus:g}; expected 0 or more, with engine ray or slurm, which hand them out")
    if name == "local":
        return Local(workers or default_workers(plan))
    threads = max(config.train.threads or 1 for config in plan.runs.values())
    return OnRay(workers, threads, gpus) if name == "ray" else OnSlurm(workers, threads, gpus)
