"""A search: Optuna proposes settings, runs evaluate them, and the folder stores both."""

import dataclasses
from pathlib import Path

from rich.console import Console

from equipoise import scoring
from equipoise.data import load_data, variants
from equipoise.errors import InputError
from equipoise.study.folder import FILE
from equipoise.study.plan import Plan, copy_file, read_file
from equipoise.study.run.drive import drive
from equipoise.study.run.local import Local, end_if_loaded_again
from equipoise.study.run.sweep import check_data, check_folder, check_workers, default_workers
from equipoise.study.run.work import delete_failures
from equipoise.study.search import space as spaces
from equipoise.study.search import summary
from equipoise.study.search.space import Space
from equipoise.study.search.summary import SearchResult
from equipoise.study.search.trials import Trial, Trials, import_optuna, stored_trials


def search(file: str | Path, *, workers: int | None = None, again: bool = False, progress: bool = True) -> SearchResult:
    """Search the settings that `file` leaves open, or resume the search, and return its trials.

    `workers` is the number of runs at once, as many as the cores allow by default; `again` also tries runs that failed.
    Runs are processes that load this program again: a script calls `search` under `if __name__ == "__main__":`. Raises
    `InputError`, before any work, where the search cannot run.
    """
    end_if_loaded_again("search")
    contents = read_file(file)
    if "search" not in contents:
        raise InputError(f'{file} has no table [search]; add one with metric = "mig" and trials = 20')
    space = spaces.parse(contents)
    import_optuna()
    corners = Plan(space.study, {str(i): config for i, config in enumerate(spaces.corners(space))})
    _check_scores(space, corners)
    check_workers(workers)
    check_folder(space.folder)
    earlier_trials = stored_trials(space)
    copy_file(Path(file), space.folder / FILE, space.study.out)
    if again:
        for run in {run for trial in earlier_trials for run in trial.runs}:
            delete_failures(space.folder, run)
    console = Console(stderr=True, quiet=not progress)

    def report(trial: Trial) -> None:
        console.print(summary.line(space, trial), markup=False, highlight=False, soft_wrap=True)

    trials = Trials(space, report)
    drive(trials.plan, Local(workers or default_workers(corners)), console, trials.look, trials.more)
    return SearchResult(space, tuple(trials.trials))


def _check_scores(space: Space, corners: Plan) -> None:
    """Raise `InputError` where the data is not available, or does not allow the metric."""
    check_data(corners)
    if space.search.metric != "udr":
        config = next(iter(corners.runs.values()))
        images = variants.prepare(load_data(config.data.name, **config.data.reading), config.data)[-1]
        evaluate = dataclasses.replace(config.evaluate, which=(space.search.metric,))
        scoring.check(dataclasses.replace(config, evaluate=evaluate), images)
