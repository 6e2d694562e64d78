"""The trials of a search, in Optuna's journal in the search's folder. How a trial ends follows from its runs."""

import dataclasses
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from equipoise import runs
from equipoise.config import Config
from equipoise.errors import InputError, RunError, import_package
from equipoise.metrics import METRICS
from equipoise.study.compare import statistics, tables
from equipoise.study.compare.statistics import Estimate
from equipoise.study.compare.udr import udr_of_seeds
from equipoise.study.plan import Distribution, Plan, run_settings, seeds
from equipoise.study.run.work import failures, is_given_up
from equipoise.study.search.space import METHOD, Space, check_settings
from equipoise.training import checkpoint

JOURNAL = "trials.journal"
NAME = "search"  # of Optuna's study
FEW = 5  # finished trials before any is pruned

Stage = Literal["finished", "pruned", "failed", "open"]


@dataclasses.dataclass(frozen=True)
class Trial:
    """Settings that were drawn, their runs, one per seed, and the result."""

    number: int  # counted from 0
    settings: Mapping[str, Any]  # the settings that were drawn, by dotted key
    runs: Mapping[str, Config]  # the complete settings of each run by name; empty where they are not possible
    stage: Stage = "open"  # "open" for a trial that is not over
    scores: tuple[float, ...] = ()  # scores of a finished trial, one per seed
    last: tuple[int, float] | None = None  # step and score of a pruned trial when it was stopped
    reason: str = ""  # of a pruned or failed trial

    @property
    def mean(self) -> float:
        """The score of a finished trial; NaN for any other."""
        return float(np.mean(self.scores)) if self.scores else math.nan

    @property
    def estimate(self) -> Estimate:
        """The mean of a finished trial with its 95 % interval over seeds."""
        return statistics.estimate([np.array(self.scores)], statistics.mean)


class Trials:
    """The trials of a search. `look` reads them again, stores which have finished, and prunes.

    `report` is called once for each trial that is over, except for those that were over at the start.
    """

    def __init__(self, space: Space, report: Callable[[Trial], None] = lambda _: None) -> None:
        self.space = space
        self.trials: list[Trial] = []
        self._runs: dict[str, Config] = {}
        self.plan = Plan(space.study, self._runs)
        """The runs that are to be worked on, a table that `look` changes in place."""
        self._storage, self._study = _open(space)
        self._report: Callable[[Trial], None] = lambda _: None
        self.look()
        self._report = report

    def look(self) -> None:
        """Read the trials of other processes and the runs that ended, and prune."""
        earlier_trials = {trial.number: trial for trial in self.trials}
        self.trials = []
        for frozen in self._study.get_trials(deepcopy=False):
            earlier = earlier_trials.get(frozen.number)
            trial = earlier if earlier and earlier.stage != "open" else self._judge(frozen, earlier)
            self.trials.append(trial)
            if trial is not earlier and trial.stage != "open":
                self._report(trial)
        self._runs.clear()
        for trial in self.trials:
            self._runs.update(active_runs(self.space, trial))

    def more(self) -> bool:
        """Propose and store another trial. Returns False where all trials of the file have been proposed."""
        with _locked(self.space.folder / "propose"):  # two processes that propose at once would store the same trial
            self.look()
            number = len(self.trials)
            if number >= self.space.search.trials:
                return False
            self.add(propose(self.space, self.trials, number))
        return True

    def add(self, settings: Mapping[str, Any]) -> None:
        """Store a trial with these settings, before any of its runs starts."""
        self._study.add_trial(_as_optuna(self.space, Trial(0, settings, {})))
        self.look()

    def _judge(self, frozen: Any, earlier: Trial | None) -> Trial:
        """Return a trial of Optuna with its stage and scores, and store its end."""
        trial = earlier or _trial(self.space, frozen)
        trial = _pruned(self.space, trial, frozen) or _with_result(self.space, trial)
        if trial.stage == "finished" and not frozen.state.is_finished():
            self._store(trial.number, score_curve(trial, self.space.search.metric), "COMPLETE", trial.mean)
        if trial.stage == "open" and self.space.search.prune:
            last = self._last_score(trial)
            if last is not None:
                self._store(trial.number, dict([last]), "PRUNED")
                return _prune(self.space, trial, last)
        return trial

    def _last_score(self, trial: Trial) -> tuple[int, float] | None:
        """Return step and score of a trial that is to be pruned; None for one that continues."""
        for earlier in self.trials:
            if earlier.settings == trial.settings and earlier.last:
                return earlier.last
        curve = score_curve(trial, self.space.search.metric)
        if not curve or max(curve) >= next(iter(trial.runs.values())).train.steps:
            return None
        optuna = import_optuna()
        running = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING, intermediate_values=curve)
        is_behind = optuna.pruners.MedianPruner(n_startup_trials=FEW).prune(self._study, running)
        return (max(curve), curve[max(curve)]) if is_behind else None

    def _store(self, number: int, curve: Mapping[int, float], state: str, value: float | None = None) -> None:
        """Store the scores and the end of a trial, unless another process has stored its end."""
        optuna = import_optuna()
        study = self._storage.get_study_id_from_name(NAME)
        trial = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        with suppress(optuna.exceptions.UpdateFinishedTrialError):
            for step, score in curve.items():
                self._storage.set_trial_intermediate_value(trial, step, score)
        self._study.tell(number, value, state=optuna.trial.TrialState[state], skip_if_finished=True)


def import_optuna() -> Any:
    """Return the module of Optuna. Raises `InputError` where it is not installed."""
    return import_package("optuna", "equipoise search needs Optuna; pip install equipoise[search]")


def stored_trials(space: Space) -> list[Trial]:
    """Return the trials in the folder, open or pruned.

    Raises `InputError` if one is outside the distributions of the file, and `RunError` for a damaged journal.
    """
    if not (space.folder / JOURNAL).exists():
        return []
    _, study = _open(space)
    pairs = [(_trial(space, frozen), frozen) for frozen in study.get_trials(deepcopy=False)]
    return [_pruned(space, trial, frozen) or trial for trial, frozen in pairs]


def plan(space: Space) -> Plan:
    """Return the runs of a search so far as a study. Raises `InputError` where there are none."""
    active: dict[str, Config] = {}
    for trial in stored_trials(space):
        active |= active_runs(space, trial)
    if not active:
        raise InputError(f"{space.folder} is a search that has proposed no runs yet; equipoise search resumes it")
    return Plan(space.study, active)


def active_runs(space: Space, trial: Trial) -> dict[str, Config]:
    """Return the runs of a trial that belong to the study: none of a pruned one, of a failed one those that failed."""
    if trial.stage == "pruned":
        return {}
    given_up = {
        run: config for run, config in trial.runs.items() if is_given_up(space.folder, run, space.study.retries)
    }
    return given_up or dict(trial.runs)


def score_curve(trial: Trial, metric: str) -> dict[int, float]:
    """Return the mean score during training over runs with scores, by step, for the steps that all of them have."""
    curves = []
    for config in trial.runs.values():
        rows = checkpoint.read_log(Path(config.out) / "scores_history.jsonl")
        curve = {int(row["step"]): float(row[metric]) for row in rows if row.get(metric) is not None}
        if curve:
            curves.append(curve)
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    means = {step: float(np.mean([curve[step] for curve in curves])) for step in steps}
    return {step: mean for step, mean in means.items() if math.isfinite(mean)}


def propose(space: Space, trials: Sequence[Trial], number: int) -> dict[str, Any]:
    """Return the settings of trial `number` by dotted key: a function of the file, the number and the other trials.

    Optuna proposes them in memory, so that an interrupted proposal leaves nothing behind.
    """
    search, optuna = space.search, import_optuna()
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    if search.sampler == "tpe":
        sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    else:
        sampler = optuna.samplers.RandomSampler(seed=seed)
    with _quiet():
        study = optuna.create_study(sampler=sampler, direction=_direction(space))
    study.add_trials([_as_optuna(space, trial) for trial in trials])
    trial = study.ask()
    settings: dict[str, Any] = {}
    if space.methods:
        settings[METHOD] = _suggest(trial, METHOD, Distribution("choice", space.methods))
    method = settings.get(METHOD)
    for key, distribution in space.distributions(method).items():
        if key not in settings:
            settings[key] = _suggest(trial, space.name(key, method), distribution)
    return settings


def _suggest(trial: Any, name: str, distribution: Distribution) -> Any:
    kind, values = distribution
    if kind == "choice":
        return values[trial.suggest_categorical(name, range(len(values)))]
    if kind == "integer":
        return trial.suggest_int(name, *values)
    return trial.suggest_float(name, *values, log=kind == "log_uniform")


def _as_optuna(space: Space, trial: Trial) -> Any:
    """Return a trial as Optuna stores it, with the settings as an attribute. Its categories are indices of values."""
    optuna = import_optuna()
    method = trial.settings.get(METHOD)
    parameters, distributions = {}, {}
    for key, distribution in space.distributions(method).items():
        name, value = space.name(key, method), trial.settings[key]
        parameters[name] = distribution.values.index(value) if distribution.kind == "choice" else value
        distributions[name] = _distribution_of_optuna(distribution)
    state = {"finished": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "open": "RUNNING"}[trial.stage]
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        value=trial.mean if trial.stage == "finished" else None,
        intermediate_values=dict([trial.last]) if trial.last else None,
        params=parameters,
        distributions=distributions,
        user_attrs={"settings": dict(trial.settings)},
    )


def _distribution_of_optuna(distribution: Distribution) -> Any:
    kinds = import_optuna().distributions
    kind, values = distribution
    if kind == "choice":
        return kinds.CategoricalDistribution(range(len(values)))
    if kind == "integer":
        return kinds.IntDistribution(*values)
    return kinds.FloatDistribution(*values, log=kind == "log_uniform")


def _direction(space: Space) -> str:
    return "maximize" if METRICS[space.search.metric].better > 0 else "minimize"


def _open(space: Space) -> tuple[Any, Any]:
    """Return the journal and Optuna's study in it, both created if needed."""
    optuna = import_optuna()
    path = space.folder / JOURNAL
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished_line(path)
    _check_lines(path)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path), _lock(path)))
    with _quiet():
        try:
            study = optuna.load_study(study_name=NAME, storage=storage)
        except KeyError:
            direction = _direction(space)
            study = optuna.create_study(study_name=NAME, storage=storage, direction=direction, load_if_exists=True)
    return storage, study


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from logging that it creates a study."""
    logging = import_optuna().logging
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _lock(path: Path) -> Any:
    return import_optuna().storages.journal.JournalFileOpenLock(str(path))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which keeps other processes out of this block."""
    lock = _lock(path)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _remove_unfinished_line(path: Path) -> None:
    """Remove an incomplete last line after a power cut. Optuna cannot read a journal that continues after one."""
    if not path.exists() or path.read_bytes()[-1:] in (b"", b"\n"):
        return
    with _locked(path):
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def _check_lines(path: Path) -> None:
    """Raise `RunError` for a line that Optuna cannot read."""
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
        try:
            is_whole = "op_code" in json.loads(line)
        except (ValueError, TypeError):
            is_whole = False
        if not is_whole:
            raise RunError(f"{path} is damaged in line {number}; restore it from a copy, or choose another out")


def _trial(space: Space, frozen: Any) -> Trial:
    """Return a stored trial with its runs. Raises `InputError` for one outside the distributions of the file."""
    settings = frozen.user_attrs["settings"]
    check_settings(space, frozen.number, settings)
    table = {**space.fixed(settings.get(METHOD)), **settings}
    try:
        configs = [run_settings(table | seed, space.study.out) for seed in seeds(space.study)]
    except InputError as error:  # a combination of values that are possible one by one
        return Trial(frozen.number, settings, {}, "failed", reason=str(error))
    return Trial(frozen.number, settings, {Path(config.out).name: config for config in configs})


def _pruned(space: Space, trial: Trial, frozen: Any) -> Trial | None:
    """Return a trial that was pruned with its last score; None for any other."""
    if frozen.state.name != "PRUNED":
        return None
    return _prune(space, trial, (frozen.last_step, frozen.intermediate_values[frozen.last_step]))


def _prune(space: Space, trial: Trial, last: tuple[int, float]) -> Trial:
    """Return the trial as pruned, with step and score with which it was stopped."""
    metric, (step, score) = space.search.metric, last
    side = "below" if METRICS[metric].better > 0 else "above"
    reason = f"{metric} {tables.figure(metric, score)} at step {step:,}, {side} the median of the finished trials"
    return dataclasses.replace(trial, stage="pruned", last=last, reason=reason)


def _with_result(space: Space, trial: Trial) -> Trial:
    """Return a trial that was not pruned, with stage, scores and reason from its runs."""
    if not trial.runs:
        return trial
    for run in trial.runs:
        if is_given_up(space.folder, run, space.study.retries):
            reason = f"{run}: {failures(space.folder, run)[-1].reason}"
            return dataclasses.replace(trial, stage="failed", reason=reason)
    if not all(runs.is_finished(config) for config in trial.runs.values()):
        return dataclasses.replace(trial, stage="open", reason="")
    metric = space.search.metric
    try:
        scores = _scores(list(trial.runs.values()), metric)
    except (InputError, RunError) as error:  # a damaged file
        return dataclasses.replace(trial, stage="failed", reason=str(error))
    if not all(map(math.isfinite, scores)):
        reason = f"{metric} is {', '.join(map(str, scores))} for its seeds"
        return dataclasses.replace(trial, stage="failed", reason=reason)
    return dataclasses.replace(trial, stage="finished", scores=tuple(scores), reason="")


def _scores(configs: Sequence[Config], metric: str) -> list[float]:
    """Return the score of each seed of a trial; NaN for one that lacks it."""
    if metric == "udr":
        return udr_of_seeds([Path(config.out) for config in configs])
    scores = [runs.open_run(config.out).scores.get(metric) for config in configs]
    return [math.nan if score is None else float(score.value) for score in scores]
