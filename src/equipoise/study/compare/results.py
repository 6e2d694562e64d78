"""The finished runs of a study: errors, scores and settings of each, and the groups of seeds."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from equipoise import metrics, runs
from equipoise.config import Config
from equipoise.errors import InputError, RunError
from equipoise.part import Flag
from equipoise.report import summary
from equipoise.study.compare import statistics
from equipoise.study.compare.statistics import Estimate, Floats
from equipoise.study.grouping import group_by
from equipoise.study.plan import Plan
from equipoise.study.run.status import State, Watch


@dataclass(frozen=True)
class Result:
    """A finished run: its settings, its scores, the last row of its log, and flags of its report."""

    run: str
    path: Path
    data: str
    method: str
    setting: str  # the settings that distinguish runs of this method, without data, method and seed, as text
    seed: int
    steps: int
    scores: Mapping[str, float]  # by metric; `sse` and `kl` are means over the codes
    convention: str
    digest: str  # digest of images and factors
    beta_equivalent: float | None  # weight of the KL per unit of reconstruction error; None without a KL term
    flags: tuple[Flag, ...]
    data_settings: Mapping[str, object] = field(default_factory=dict)  # those of [data] but the name
    curve: Mapping[str, Floats] = field(default_factory=dict)  # over the betas of mr-vae, by name; see report.rates

    @property
    def label(self) -> str:
        """Method and setting."""
        return f"{self.method} {self.setting}".strip()


@dataclass(frozen=True)
class Group:
    """The seeds of one method and setting, on one data set or on several."""

    label: str
    method: str
    setting: str
    results: tuple[Result, ...]
    _estimates: dict[Any, Estimate | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def scores(self, metric: str) -> dict[str, Floats]:
        """Return the defined scores of the seeds, by data set."""
        runs = [result for result in self.results if not math.isnan(result.scores.get(metric, math.nan))]
        return {data: np.array([run.scores[metric] for run in seeds]) for data, seeds in by_data(runs).items()}

    def seeds(self, metric: str) -> int:
        """Return the number of runs with a defined score."""
        return sum(map(len, self.scores(metric).values()))

    def estimate(self, metric: str, statistic: statistics.Statistic = statistics.mean) -> Estimate | None:
        """Return the statistic over seeds with its interval; None unless a seed of each data set has this score.

        Scores of fewer data sets could not be compared with those of the other groups.
        """
        key = metric, statistic
        if key not in self._estimates:
            scores = self.scores(metric)
            is_complete = scores.keys() == {result.data for result in self.results}
            self._estimates[key] = statistics.estimate(list(scores.values()), statistic) if is_complete else None
        return self._estimates[key]

    @property
    def beta_equivalent(self) -> float | None:
        """Mean over the seeds; None for a method without a KL term."""
        weights = [result.beta_equivalent for result in self.results if result.beta_equivalent is not None]
        return float(np.mean(weights)) if weights else None

    @property
    def is_collapsed(self) -> bool:
        """Whether all its runs collapsed, so that their scores are noise."""
        return all("collapsed" in result.flags for result in self.results)

    @property
    def flags(self) -> list[str]:
        """Problems of its runs, with the number of seeds where not all have them."""
        total = len(self.results)
        counts = Counter(flag for result in self.results for flag in result.flags)
        return [flag if count == total else f"{flag} {count} of {total}" for flag, count in counts.items()]


def read_results(plan: Plan) -> tuple[list[Result], list[State]]:
    """Return the finished runs of a plan and the states of the others; a run with a damaged file has failed.

    Raises `InputError` when none is finished.
    """
    states = Watch(plan)()
    configs = {state.run: plan.runs[state.run] for state in states if state.stage == "done"}
    if not configs:
        raise InputError(f"{plan.folder} has no finished run yet; equipoise sweep resumes it")
    data, settings = data_names(plan), setting_names(plan)
    results, others = [], [state for state in states if state.stage != "done"]
    for run, config in configs.items():
        try:
            results.append(_result(run, config, data[config.data.name], settings[run]))
        except (InputError, RunError, OSError) as error:
            reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            steps = config.train.steps
            others.append(State(run, "failed", steps, steps, reason=reason))
    if not results:
        raise InputError(f"no finished run in {plan.folder} can be read; the first: {others[-len(configs)].reason}")
    return results, others


def groups(results: Iterable[Result]) -> list[Group]:
    """Return the results by method and setting, in the order of the first of each."""
    seeds = group_by(results, lambda result: (result.method, result.setting))
    return [Group(members[0].label, *key, tuple(members)) for key, members in seeds.items()]


def by_data(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return the results by data set, in the order of the first of each."""
    return group_by(results, lambda result: result.data)


def scored_metrics(results: Sequence[Result]) -> list[str]:
    """Return the metrics that any of the runs has, in the order of `METRICS`."""
    return [name for name in metrics.METRICS if any(name in result.scores for result in results)]


def rows(results: Iterable[Result]) -> Iterator[dict[str, Any]]:
    """Yield a row for each run and metric."""
    for result in results:
        for metric, value in result.scores.items():
            yield {
                "data": result.data,
                "method": result.method,
                "setting": result.setting,
                "seed": result.seed,
                "steps": result.steps,
                "run": result.run,
                "beta_equivalent": result.beta_equivalent,
                "flags": ", ".join(result.flags),
                "metric": metric,
                "value": value,
            }


def _result(run: str, config: Config, data: str, setting: str) -> Result:
    path = Path(config.out)
    figures = summary.read(path) or summary.write(runs.open_run(path))
    return Result(
        run=run,
        path=path,
        data=data,
        method=config.method.name,
        setting=setting,
        seed=config.train.seed,
        steps=config.train.steps,
        scores=figures["scores"],
        convention=figures["convention"],
        digest=figures["data"],
        beta_equivalent=figures["beta_equivalent"],
        flags=tuple(figures["flags"]),
        data_settings={key: v for key, v in config.flat().items() if key.startswith("data.") and key != "data.name"},
        curve={name: np.array(values) for name, values in figures["curve"].items()},
    )


def data_names(plan: Plan) -> dict[str, str]:
    """Return a short name for each data set: the last part of a path, unless two data sets share it."""
    names = list(dict.fromkeys(config.data.name for config in plan.runs.values()))
    stems = [Path(name).stem for name in names]
    return {name: stem if stems.count(stem) == 1 else name for name, stem in zip(names, stems, strict=True)}


def setting_names(plan: Plan) -> dict[str, str]:
    """Return for each run the settings that distinguish it from others of its method on the same data and seed."""
    texts: dict[str, str] = {}
    keys_read = {"method.name", "data.name", *plan.varied}
    flat = {name: {k: v for k, v in config.flat().items() if k in keys_read} for name, config in plan.runs.items()}
    # Settings of the method come first, its preset before all. Others are added if they distinguish more runs.
    order = sorted(plan.varied, key=lambda key: (key != "method.preset", not key.startswith("method.")))
    for members in group_by(flat, lambda name: flat[name]["method.name"]).values():
        settings = {name: flat[name] for name in members}
        keys = ["data.name"]
        for key in order:
            if key != "train.seed" and _count(settings, [*keys, key]) > _count(settings, keys):
                keys.append(key)
        short = {name: _text(values, keys[1:], _short) for name, values in settings.items()}
        if len({(settings[name]["data.name"], text) for name, text in short.items()}) < _count(settings, keys):
            # They differ in the last digits.
            short = {name: _text(values, keys[1:], str) for name, values in settings.items()}
        texts |= short
    return texts


def _count(settings: Mapping[str, Mapping[str, Any]], keys: Sequence[str]) -> int:
    """Count the different combinations of values that runs have for these keys."""
    return len({tuple(repr(values.get(key)) for key in keys) for values in settings.values()})


def _text(settings: Mapping[str, Any], keys: Sequence[str], value_text: Callable[[object], str]) -> str:
    pairs = [(key.removeprefix("method."), value_text(settings[key])) for key in keys if key in settings]
    return " ".join(f"{key}={value.replace(' ', '')}" for key, value in pairs)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
