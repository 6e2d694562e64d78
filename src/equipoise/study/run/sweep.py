"""Running all runs of a study."""

import dataclasses
import math
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, get_args

import joblib  # type: ignore[import-untyped]
from rich.console import Console

from equipoise.data import DATASETS, load_data
from equipoise.data.tables import list_names
from equipoise.errors import InputError, check_whole, choose
from equipoise.files import user_path
from equipoise.study.folder import FILE, read
from equipoise.study.plan import Plan, copy_file
from equipoise.study.run.drive import Engine, drive
from equipoise.study.run.local import Local, end_if_loaded_again
from equipoise.study.run.on_ray import OnRay
from equipoise.study.run.on_slurm import OnSlurm
from equipoise.study.run.status import State
from equipoise.study.run.work import delete_failures

EngineName = Literal["local", "ray", "slurm"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


def sweep(
    file: str | Path,
    *,
    workers: int | None = None,
    engine: EngineName = "local",
    gpus: float = 0,
    again: bool = False,
    without: Collection[str] = (),
    progress: bool = True,
) -> list[State]:
    """Run the study that `file` describes. Finished runs are not repeated, and unfinished ones resume.

    Runs are processes that load this program again, so a script calls `sweep` under `if __name__ == "__main__":`.

    Args:
        file: the study file, in TOML.
        workers: number of runs at once; default: as many as the cores allow, here or in the cluster.
        engine: "local" for this machine, "ray" for a Ray cluster, "slurm" for Slurm jobs. A study can change engines.
        gpus: GPUs of each run with Ray or Slurm; with Ray also a part of one, such as 0.25.
        again: also try runs that were given up.
        without: names of runs that are left out, such as those that were trained on another machine.
        progress: show the progress on standard error.

    Returns:
        The state of each run at the end.

    Raises:
        InputError: the study cannot run; raised before any work.
    """
    end_if_loaded_again("sweep")
    plan = read(file)
    check_plan(plan)
    runs = {name: config for name, config in plan.runs.items() if name not in without}
    plan = dataclasses.replace(plan, runs=runs)
    place = engine_for(plan, engine, workers, gpus)
    copy_file(Path(file), plan.folder / FILE, plan.study.out)
    if again:
        for run in plan.runs:
            delete_failures(plan.folder, run)
    return drive(plan, place, Console(stderr=True, quiet=not progress))


def default_workers(plan: Plan) -> int:
    """Return the number of runs at once on this machine: available cores over threads of a run."""
    return max(1, int(joblib.cpu_count()) // _threads(plan))


def check_plan(plan: Plan) -> None:
    """Raise `InputError` where a study cannot run here, and warn where it differs from what its file suggests."""
    check_folder(plan.folder)
    check_data(plan)
    _note_repeats(plan)
    _note_others(plan)


def check_data(plan: Plan) -> None:
    """Raise `InputError` where data of the study is not available, once and not in every run."""
    for name in dict.fromkeys(config.data.name for config in plan.runs.values()):
        if name in DATASETS:
            if DATASETS[name].state == "not here":
                raise DATASETS[name].missing()
        elif not user_path(name).exists():
            load_data(name)  # raises an error with a hint


def check_folder(folder: Path) -> None:
    """Raise `InputError` where the folder of a study is a file, or that of a run."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"out is {folder}, which is a file; choose another folder")
    if (folder / "config.toml").exists():
        raise InputError(f"out is {folder}, which is the folder of a run; choose another folder")


def _note_repeats(plan: Plan) -> None:
    """Warn of combinations of settings that are the same run: values given twice, or drawn twice."""
    if plan.repeats:
        warnings.warn(
            f"{plan.repeats} of {plan.repeats + len(plan.runs)} combinations of settings repeat an earlier one; equal "
            "settings are trained once",
            stacklevel=4,
        )


def _note_others(plan: Plan) -> None:
    """Warn of runs in the folder of a study that its file does not describe: of an earlier file, or another study."""
    others = {path.parent.name for path in plan.folder.glob("runs/*/config.toml")} - plan.runs.keys()
    if others:
        names = list_names(sorted(others), "run", 2)
        warnings.warn(
            f"{plan.folder} has {names} that the file does not describe; compare and select leave them out",
            stacklevel=4,
        )


def check_workers(workers: int | None) -> None:
    """Raise `InputError` for a number of workers below 1."""
    if workers is not None:
        check_whole("workers", workers)
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more, such as the number of cores")


def engine_for(plan: Plan, name: str, workers: int | None, gpus: float) -> Engine[Any]:
    """Return the engine of this name. Raises `InputError` for an unknown one, and for wrong workers or GPUs."""
    choose("engine", name, ENGINES)
    check_workers(workers)
    if not 0 <= gpus < math.inf or (gpus and name == "local"):
        raise InputError(f"gpus is {gpus:g}; expected 0 or more, with engine ray or slurm")
    if name == "local":
        return Local(workers or default_workers(plan))
    threads = _threads(plan)
    return OnRay(workers, threads, gpus) if name == "ray" else OnSlurm(workers, threads, gpus)


def _threads(plan: Plan) -> int:
    """Return the largest number of threads of a run; 1 without a run."""
    return max((config.train.threads or 1 for config in plan.runs.values()), default=1)
