"""The file of a search: what is fixed, what is drawn, and the metric that trials are compared by."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.config import Config, read_section
from equipoise.errors import InputError, nearest
from equipoise.methods.method import STRICT
from equipoise.metrics import METRICS, words_of
from equipoise.metrics.ranking import FEWEST
from equipoise.study.plan import Distribution, Study, alternatives, read_distribution, run_settings, study_keys, values

METHOD = "method.name"
# Scores are comparable only if they are computed in the same way, on the same images, after the same number of steps.
SEARCHED = ("method", "net", "train")
FIXED = ("train.steps", "train.schedule_steps", "train.seed")


@dataclass(frozen=True, config=STRICT)
class Search:
    """[search]: the metric and the number of trials."""

    metric: Annotated[str, Field(description="trials are compared by its mean over the seeds; udr compares the seeds")]
    trials: Annotated[int, Field(ge=1, description="number of trials in all; it can be raised later")]
    sampler: Annotated[Literal["tpe", "random"], Field(description="tpe learns from earlier trials")] = "tpe"
    seed: Annotated[int, Field(ge=0, description="seed of the sampler")] = 0
    prune: Annotated[bool, Field(description="stop trials whose scores during training are below the median")] = False


@dataclasses.dataclass(frozen=True)
class Space:
    """A search file: its study keys, [search], and a table of settings by dotted key for each [[method]].

    A setting that is drawn is a `Distribution`. Tables are distinguished by the name of the method.
    """

    study: Study
    search: Search
    tables: tuple[Mapping[str, Any], ...]

    @property
    def folder(self) -> Path:
        """The folder of the search."""
        return Path(self.study.out)

    @property
    def methods(self) -> list[str]:
        """The names of several tables [[method]]; empty where there is one."""
        return [table[METHOD] for table in self.tables] if len(self.tables) > 1 else []

    def fixed(self, method: object) -> dict[str, Any]:
        """Return the settings that all trials of a method share."""
        return {key: value for key, value in self._table(method).items() if not isinstance(value, Distribution)}

    def distributions(self, method: object) -> dict[str, Distribution]:
        """Return the distributions of a method, that of the method itself first where there are several."""
        choice = {METHOD: Distribution("choice", self.methods)} if self.methods else {}
        return choice | {key: value for key, value in self._table(method).items() if isinstance(value, Distribution)}

    def _table(self, method: object) -> Mapping[str, Any]:
        return next((table for table in self.tables if table.get(METHOD) == method), self.tables[0])

    def name(self, key: str, method: object) -> str:
        """Return Optuna's name of a setting. Those of different methods may have different distributions."""
        is_of_method = bool(self.methods) and key.startswith("method.") and key != METHOD
        return f"{method} {key}" if is_of_method else key

    @property
    def keys(self) -> tuple[str, ...]:
        """All settings that are drawn, for any method."""
        keys = [key for table in self.tables for key, value in table.items() if isinstance(value, Distribution)]
        return tuple(dict.fromkeys([METHOD] * bool(self.methods) + keys))


def parse(contents: Mapping[str, Any]) -> Space:
    """Return the space of a search file's contents. Raises `InputError` for a search that is not possible."""
    for key in ("trials", "draw_seed"):
        if key in contents:
            raise InputError(f"{key} has no effect in a search; set trials and seed in its table [search]")
    search = _search(contents["search"])
    rest = {key: value for key, value in contents.items() if key != "search"}
    for section, table in rest.items():
        if isinstance(table, list) and section != "method":
            raise InputError(f"[[{section}]]: a search has alternatives of [[method]] only; write [{section}] once")
    study, tables = study_keys(rest), alternatives(rest)
    names = [table.get(METHOD) for table in tables]
    if len(tables) > 1 and (not all(isinstance(name, str) for name in names) or len(set(names)) < len(names)):
        raise InputError(f"[[method]] has the names {names}; give each table another name, which distinguishes it")
    space = Space(
        study, search, tuple({key: _setting(key, value, table) for key, value in table.items()} for table in tables)
    )
    if not space.keys:
        raise InputError("no setting has several values to search; give one a distribution such as {uniform = [1, 6]}")
    for key in space.keys:
        if key.partition(".")[0] not in SEARCHED or key in FIXED:
            raise InputError(
                f"{key} has several values, but trials must have the same data, scores and steps; give it one value"
            )
    for config in corners(space):
        _check_metric(search, study, config)
    return space


def corners(space: Space) -> Iterator[Config]:
    """Yield complete settings with each value or end of each distribution once. Raises `InputError` for wrong ones."""
    for table in space.tables:
        distributions = {key: value for key, value in table.items() if isinstance(value, Distribution)}
        corner = {**table, **{key: distribution.values[0] for key, distribution in distributions.items()}}
        yield run_settings(corner, space.study.out)
        for key, distribution in distributions.items():
            for value in distribution.values[1:]:
                yield run_settings(corner | {key: value}, space.study.out)


def check_settings(space: Space, number: int, settings: Mapping[str, Any]) -> None:
    """Raise `InputError` if the settings of a trial are outside the distributions of the file."""
    distributions = space.distributions(settings.get(METHOD))
    for key in [*distributions, *settings]:
        if key not in settings or key not in distributions or not _contains(distributions[key], settings[key]):
            raise InputError(
                f"trial {number} in {space.folder} has {key} = {settings.get(key)}, which is outside the "
                f"distributions of the file; restore its distribution, or choose another out"
            )


def _contains(distribution: Distribution, value: Any) -> bool:
    if distribution.kind == "choice":
        return value in distribution.values
    lowest, highest = distribution.values
    return isinstance(value, int | float) and bool(lowest <= value <= highest)


def _search(table: object) -> Search:
    if not isinstance(table, dict) or not {"metric", "trials"} <= table.keys():
        raise InputError('[search] lacks the metric or the number of trials; add metric = "mig" and trials = 20')
    search = read_section("search", Search, table, "a search")
    if search.metric not in METRICS:
        raise InputError(f"search.metric is {search.metric}; {nearest(search.metric, METRICS)}")
    if not METRICS[search.metric].better:
        raise InputError(f"search.metric is {search.metric}, for which neither more nor less is better; choose another")
    return search


def _setting(key: str, value: object, table: Mapping[str, Any]) -> object:
    """Return the distribution of a setting, or its value where there is one only."""
    distribution = read_distribution(key, value) or Distribution("choice", list(values(key, value, table)))
    is_single = distribution.kind == "choice" and len(distribution.values) == 1
    return distribution.values[0] if is_single else distribution


def _check_metric(search: Search, study: Study, config: Config) -> None:
    """Raise `InputError` where runs with these settings will not have the score of the search."""
    which, interval, steps = config.evaluate.which, config.evaluate.every, config.train.steps
    names = words_of(which)
    if search.metric == "udr":
        if (study.seeds or 1) < FEWEST:
            raise InputError(f"search.metric udr compares the seeds of a trial; set seeds = {FEWEST} or more")
        if search.prune:
            raise InputError("search.prune needs scores during training, and udr has none before the end; remove prune")
    elif not {search.metric, "all"} & {*names} and not ("default" in names and METRICS[search.metric].is_cheap):
        raise InputError(f"search.metric is {search.metric}, which evaluate.which leaves out; add it there")
    if search.prune and (interval is None or interval >= steps):
        raise InputError(f"search.prune needs scores during training; set evaluate.every, well below {steps} steps")
