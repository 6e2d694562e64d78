"""`equipoise search`: Optuna proposes settings, runs try them, and the folder alone remembers both."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from equipoise import runs, scoring, study
from equipoise.codes import load
from equipoise.config import Config
from equipoise.data import load_data, variants
from equipoise.errors import InputError
from equipoise.files import replacing
from equipoise.metrics import METRICS
from equipoise.metrics.ranking import udr
from equipoise.outcome import Outcome
from equipoise.study import search_found, search_space
from equipoise.study.board import shown
from equipoise.study.drive import drive
from equipoise.study.local import Local
from equipoise.study.plan import Distribution, Plan, contents, keep
from equipoise.study.search_found import Found, Judged
from equipoise.study.search_space import METHOD, Pruned, Space, Trial
from equipoise.study.status import Watch
from equipoise.study.work import failures, forget, given_up
from equipoise.training import checkpoint, watch

FINISHED = 5  # trials, before any is pruned


def command(file: Path, workers: int | None = None, again: bool = False, progress: bool = True) -> Outcome:
    """Search the settings that a file leaves open, or go on; with a table, `search.csv` and a picture."""
    found = search(file, workers=workers, again=again, progress=progress)
    written = search_found.files(found)
    for path, content in written.items():
        with replacing(path) as into:
            into.write(content)
    wrote = [str(path) for path in written]
    text = f"{search_found.text(found)}\nwrote {', '.join(wrote) or found.space.folder}"
    return Outcome({**search_found.values(found), "wrote": wrote}, text)


def search(file: str | Path, *, workers: int | None = None, again: bool = False, progress: bool = True) -> Found:
    """Search the settings that `file` leaves open, or go on with it; what its trials came to.

    workers: runs at once; by default as many as there are cores for their threads. again: try failed runs once more.
    Raises `InputError` before any work for a search that cannot run.

    Runs are processes that load this program anew: a script calls `search` under `if __name__ == "__main__":`.
    """
    said = contents(file)
    if "search" not in said:
        raise InputError(
            f'{file} has no table [search]; add one with what is looked for, metric = "mig" and trials = 20'
        )
    space = search_space.space(said)
    optuna = _optuna()
    ends = Plan(space.study, {str(i): config for i, config in enumerate(search_space.corners(space))}, ())
    _expect_scores(space, ends)
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more, such as the number of cores")
    place = Local(workers or study.default_workers(ends))
    before = search_space.trials(space)
    keep(Path(file), space.folder / study.FILE, space.study.out)
    if again:
        for run in {run for trial in before for run in trial.runs}:
            forget(space.folder, run)
    console = Console(stderr=True, quiet=not progress)
    trials = Trials(space, optuna, console)
    states = Watch(trials.plan)
    with watch.signals() as stop, shown(console, states) as show:

        def look() -> None:
            trials.look()
            show()

        drive(trials.plan, place, stop.is_set, look, trials.more)
        look()
    return Found(space, tuple(trials.judged))


class Trials:
    """The trials of a search as its folder has them, looked at again and again; what is over is judged once."""

    def __init__(self, space: Space, optuna: Any, console: Console) -> None:
        self.space, self.judged = space, list[Judged]()
        self._runs: dict[str, Config] = {}
        self.plan = Plan(space.study, self._runs, ())
        """The runs that are to be worked on."""
        self._optuna, self._console = optuna, Console(quiet=True)
        self._curves: dict[int, dict[int, float]] = {}  # of finished trials
        self.look()
        self._console = console  # what was over before needs no telling

    def look(self) -> None:
        """Read the folder: trials that other processes made, runs that ended; prune what stays behind."""
        over = {each.trial.number: each for each in self.judged if each.stage != "open"}
        known = {each.trial.number: each.trial for each in self.judged}
        found = search_space.trials(self.space, known)
        self.judged = [over.get(trial.number) or self._judge(trial) for trial in found]
        for each in self.judged:
            if each.stage != "open" and each.trial.number not in over:
                self._console.print(search_found.line(self.space, each), markup=False, highlight=False, soft_wrap=True)
        # The driver works on this very table.
        self._runs.clear()
        for each in self.judged:
            self._runs.update(search_space.counted(self.space, each.trial))

    def more(self) -> bool:
        """Propose another trial, and write it down before its runs begin; whether one was still to be made."""
        number = len(self.judged)
        if number >= self.space.search.trials:
            return False
        search_space.add(self.space, number, ask(self._optuna, self.space, self.judged, number))
        self.look()
        return True

    def _judge(self, trial: Trial) -> Judged:
        judged = judge(self.space, trial)
        if judged.stage != "open" or not self.space.search.prune:
            return judged
        finished = [each.trial for each in self.judged if each.stage == "finished"]
        for each in finished:
            self._curves.setdefault(each.number, curve(each, self.space.search.metric))
        others = [self._curves[each.number] for each in finished]
        why = behind(curve(trial, self.space.search.metric), others, METRICS[self.space.search.metric].better)
        if why is None or why.step >= next(iter(trial.runs.values())).train.steps:
            return judged
        search_space.prune(self.space, trial, why)
        return judge(self.space, dataclasses.replace(trial, pruned=why))


def judge(space: Space, trial: Trial) -> Judged:
    """How far a trial is, and what it scored if all of its seeds are finished."""
    if trial.pruned:
        return Judged(trial, "pruned", reason=search_found.pruned(space, trial.pruned))
    if trial.refused:
        return Judged(trial, "failed", reason=trial.refused)
    for run in trial.runs:
        if given_up(space.folder, run, space.study.retries):
            return Judged(trial, "failed", reason=f"{run}: {failures(space.folder, run)[-1].reason}")
    if not all(runs.finished(config) for config in trial.runs.values()):
        return Judged(trial, "open")
    scores = _scores(list(trial.runs.values()), space.search.metric)
    if not all(map(math.isfinite, scores)):
        return Judged(trial, "failed", reason=f"{space.search.metric} is {', '.join(map(str, scores))} for its seeds")
    return Judged(trial, "finished", tuple(scores))


def curve(trial: Trial, metric: str) -> dict[int, float]:
    """The mean score of a trial by step, at the steps that all of its runs with any score on the way have one at."""
    seeds = []
    for config in trial.runs.values():
        rows = checkpoint.read_log(Path(config.out) / "scores_history.jsonl")
        seeds.append({int(row["step"]): float(row[metric]) for row in rows if row.get(metric) is not None})
    begun = [each for each in seeds if each]
    common = set.intersection(*map(set, begun)) if begun else set()
    means = {step: float(np.mean([each[step] for each in begun])) for step in sorted(common)}
    return {step: mean for step, mean in means.items() if math.isfinite(mean)}


def behind(mine: Mapping[int, float], finished: Sequence[Mapping[int, float]], way: int) -> Pruned | None:
    """Why a trial with these scores by step is to be pruned; None if it is not, or fewer than five are finished.

    The median stopping rule: its best score so far is worse than the median, over the finished trials, of the mean of
    their scores up to the same step. way: 1 if more is better, else -1. Source: Golovin et al. 2017, Google Vizier,
    section 3.2.2, https://doi.org/10.1145/3097983.3098043
    """
    if not mine:
        return None
    step = max(mine)
    before = [[score for at, score in other.items() if at <= step] for other in finished]
    averages = [float(np.mean(scores)) for scores in before if scores]
    if len(averages) < FINISHED:
        return None
    best, median = max(mine.values(), key=lambda score: way * score), float(np.median(averages))
    return Pruned(step, best, median, len(averages)) if way * best < way * median else None


def ask(optuna: Any, space: Space, judged: Sequence[Judged], number: int) -> dict[str, Any]:
    """The settings of trial `number`, by dotted key: a function of the file, the number and what the others came to.

    Optuna is told all that is known each time, so that nothing is lost with a process, nor depends on its memory.
    """
    search = space.search
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        if search.sampler == "tpe":
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        else:
            sampler = optuna.samplers.RandomSampler(seed=seed)
        direction = "maximize" if METRICS[search.metric].better > 0 else "minimize"
        proposals = optuna.create_study(sampler=sampler, direction=direction)
        proposals.add_trials([told(optuna, space, each) for each in judged])
        trial = proposals.ask()
        settings = {}
        if space.methods:
            settings[METHOD] = _suggested(trial, METHOD, Distribution("choice", space.methods))
        for key, of in space.drawn(settings.get(METHOD)).items():
            settings[key] = _suggested(trial, space.name(key, settings), of)
        return settings
    finally:
        optuna.logging.set_verbosity(loud)


def told(optuna: Any, space: Space, judged: Judged) -> Any:
    """A trial as Optuna keeps it: the mean score of a finished one, of a pruned one its last."""
    settings, pruned = judged.trial.settings, judged.trial.pruned
    drawn = space.drawn(settings.get(METHOD))
    if space.methods:
        drawn[METHOD] = Distribution("choice", space.methods)
    state = {"finished": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "open": "RUNNING"}[judged.stage]
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState[state],
        value=judged.mean if judged.stage == "finished" else None,
        intermediate_values={pruned.step: pruned.score} if pruned else None,
        # Optuna's categories are plain values; here they are places in a list, whose values may be lists.
        params={
            space.name(key, settings): of.of.index(settings[key]) if of.kind == "choice" else settings[key]
            for key, of in drawn.items()
        },
        distributions={space.name(key, settings): _distribution(optuna.distributions, of) for key, of in drawn.items()},
    )


def _distribution(kinds: Any, of: Distribution) -> Any:
    if of.kind == "choice":
        return kinds.CategoricalDistribution(range(len(of.of)))
    if of.kind == "integer":
        return kinds.IntDistribution(*of.of)
    return kinds.FloatDistribution(*of.of, log=of.kind == "log_uniform")


def _suggested(trial: Any, name: str, of: Distribution) -> Any:
    if of.kind == "choice":
        return of.of[trial.suggest_categorical(name, range(len(of.of)))]
    if of.kind == "integer":
        return trial.suggest_int(name, *of.of)
    return trial.suggest_float(name, *of.of, log=of.kind == "log_uniform")


def _scores(configs: Sequence[Config], metric: str) -> list[float]:
    """The score of each seed of a trial; NaN for one that lacks it."""
    if metric != "udr":
        found = [runs.open_run(config.out).scores.get(metric) for config in configs]
        return [math.nan if score is None else float(score.value) for score in found]
    codes = [load(Path(config.out) / "codes.npz") for config in configs]
    pairs = [(each["mean"], each["logvar"]) for each in codes]
    return [udr(mean, [*pairs[:i], *pairs[i + 1 :]], logvar).value for i, (mean, logvar) in enumerate(pairs)]


def _expect_scores(space: Space, ends: Plan) -> None:
    """Raises `InputError` if the data is not here, or does not allow the metric."""
    study.expect_data(ends)
    if space.search.metric != "udr":
        config = next(iter(ends.runs.values()))
        images = variants.prepare(load_data(config.data.name, **config.data.reading), config.data)[-1]
        asked = dataclasses.replace(config.evaluate, which=(space.search.metric,))
        scoring.check(dataclasses.replace(config, evaluate=asked), images)


def _optuna() -> Any:
    try:
        return import_module("optuna")
    except ImportError:
        raise InputError("equipoise search needs Optuna; pip install equipoise[search]") from None
