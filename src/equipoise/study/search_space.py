"""What a search draws from, read from its file; and its trials: settings that were drawn, a small file for each."""

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from equipoise.config import Config
from equipoise.errors import InputError, nearest
from equipoise.files import read_json, write_text
from equipoise.methods.method import STRICT
from equipoise.metrics import METRICS
from equipoise.metrics.ranking import FEWEST
from equipoise.study.plan import (
    Distribution,
    Plan,
    Study,
    alternatives,
    distribution,
    own,
    resolved,
    seeds,
    values,
    varied,
)
from equipoise.study.work import given_up

METHOD = "method.name"
# Scores are comparable only if they are measured alike, on the same images, after as many steps.
SEARCHED = ("method", "net", "train")
ALIKE = ("train.steps", "train.schedule_steps", "train.seed")


@dataclass(frozen=True, config=STRICT)
class Search:
    """[search] what is looked for, and how often."""

    metric: Annotated[str, Field(description="trials are judged by its mean over the seeds; udr compares the seeds")]
    trials: Annotated[int, Field(ge=1, description="how many are made in all; more can be asked for later")]
    sampler: Annotated[Literal["tpe", "random"], Field(description="tpe learns from the trials before")] = "tpe"
    seed: Annotated[int, Field(ge=0, description="of the sampler")] = 0
    prune: Annotated[bool, Field(description="stop trials whose scores on the way are below the median")] = False


@dataclasses.dataclass(frozen=True)
class Space:
    """A search file: the settings of each method in it, some of them distributions."""

    study: Study
    search: Search
    tables: tuple[Mapping[str, Any], ...]
    """By dotted key; one for each [[method]], told from each other by its name."""

    @property
    def folder(self) -> Path:
        return Path(self.study.out)

    @property
    def methods(self) -> list[str]:
        """The names of several tables [[method]]; none where there is one."""
        return [table[METHOD] for table in self.tables] if len(self.tables) > 1 else []

    def fixed(self, method: object) -> dict[str, Any]:
        """The settings that all trials of a method share."""
        return {key: value for key, value in self._table(method).items() if not isinstance(value, Distribution)}

    def drawn(self, method: object) -> dict[str, Distribution]:
        """What is drawn for a trial of a method, once the method itself is."""
        return {key: value for key, value in self._table(method).items() if isinstance(value, Distribution)}

    def _table(self, method: object) -> Mapping[str, Any]:
        return next((table for table in self.tables if table.get(METHOD) == method), self.tables[0])

    def name(self, key: str, settings: Mapping[str, Any]) -> str:
        """What a drawn setting is called apart from those of other methods, which may be of another kind."""
        of_method = bool(self.methods) and key.startswith("method.") and key != METHOD
        return f"{settings[METHOD]} {key}" if of_method else key

    @property
    def keys(self) -> tuple[str, ...]:
        """All settings that are drawn, for any method."""
        drawn = [key for table in self.tables for key, value in table.items() if isinstance(value, Distribution)]
        return tuple(dict.fromkeys([METHOD] * bool(self.methods) + drawn))


@dataclasses.dataclass(frozen=True)
class Pruned:
    """Why a trial was stopped: its score at a step, and the median of other trials that it stayed behind."""

    step: int
    score: float
    median: float
    trials: int


@dataclasses.dataclass(frozen=True)
class Trial:
    """Settings that were drawn, and the runs they are tried with, one a seed."""

    number: int
    settings: Mapping[str, Any]
    """Those that were drawn, by dotted key."""
    runs: Mapping[str, Config]
    refused: str = ""
    """Why they cannot be together, if they cannot; then there are no runs."""
    pruned: Pruned | None = None


def space(said: Mapping[str, Any]) -> Space:
    """What the contents of a search file say. Raises `InputError` with one sentence for whatever cannot be searched."""
    for key in ("trials", "draw_seed"):
        if key in said:
            raise InputError(f"{key}: draws of a search are counted in its table; say trials and seed under [search]")
    search = _search(said["search"])
    rest = {key: value for key, value in said.items() if key != "search"}
    for section, table in rest.items():
        if isinstance(table, list) and section != "method":
            raise InputError(f"[[{section}]]: a search has alternatives of [[method]] alone; say [{section}] once")
    study, tables = own(rest), alternatives(rest)
    names = [table.get(METHOD) for table in tables]
    if len(tables) > 1 and (not all(isinstance(name, str) for name in names) or len(set(names)) < len(names)):
        raise InputError(f"[[method]] is called {names}; a search tells its tables by their names: give each its own")
    asked = tuple({key: _asked(key, value, table) for key, value in table.items()} for table in tables)
    found = Space(study, search, asked)
    if not found.keys:
        raise InputError("no setting has several values to search; give one a distribution such as {uniform = [1, 6]}")
    for key in found.keys:
        if key.partition(".")[0] not in SEARCHED or key in ALIKE:
            raise InputError(
                f"{key} has several values, but trials are compared on the same data after as long; say one"
            )
    for config in corners(found):
        _judged(search, study, config)
    return found


def corners(space: Space) -> Iterator[Config]:
    """Complete settings with each value or end of each distribution once. Raises `InputError` where they cannot be."""
    for table in space.tables:
        drawn = {key: value for key, value in table.items() if isinstance(value, Distribution)}
        first = {**table, **{key: of.of[0] for key, of in drawn.items()}}
        yield resolved(first, space.study.out)
        for key, of in drawn.items():
            for value in of.of[1:]:
                yield resolved(first | {key: value}, space.study.out)


def trials(space: Space, known: Mapping[int, Trial] | None = None) -> list[Trial]:
    """The trials in the folder, in their order; of those that are `known` only what can change is read.

    Raises `InputError` for one that the file would no longer draw.
    """
    found: list[Trial] = []
    for path in sorted((space.folder / "trials").glob("*.json")):
        held = read_json(path)
        number, settings, pruned = int(held["number"]), held["settings"], held.get("pruned")
        # Settings that were drawn again are the same runs, and end alike.
        same = next((trial for trial in found if trial.settings == settings), None) or (known or {}).get(number)
        if same is None or same.settings != settings:
            _fits(space, path, settings)
            same = _trial(space, number, settings)
        elif same.number != number:
            pruned = None if same.pruned is None else dataclasses.asdict(same.pruned)
        found.append(dataclasses.replace(same, number=number, pruned=Pruned(**pruned) if pruned else None))
    return found


def add(space: Space, number: int, settings: Mapping[str, Any]) -> None:
    """Write a trial down, before any of its runs; nothing if another process wrote one of this number."""
    path = _file(space, number)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write_text(beside, json.dumps({"number": number, "settings": settings}, indent=1))
        os.link(beside, path)  # unlike a renaming it never replaces
    except FileExistsError:
        pass
    finally:
        beside.unlink(missing_ok=True)


def prune(space: Space, trial: Trial, why: Pruned) -> None:
    """Write down that a trial is not to go on."""
    held = {"number": trial.number, "settings": trial.settings, "pruned": dataclasses.asdict(why)}
    write_text(_file(space, trial.number), json.dumps(held, indent=1))


def counted(space: Space, trial: Trial) -> dict[str, Config]:
    """The runs of a trial that are in its study: none if it was pruned, of one that failed those that did."""
    if trial.pruned:
        return {}
    failed = {run: config for run, config in trial.runs.items() if given_up(space.folder, run, space.study.retries)}
    return failed or dict(trial.runs)


def proposed(space: Space) -> Plan:
    """The runs of a search until now, as a study for all that reads one."""
    runs = {run: config for trial in trials(space) for run, config in counted(space, trial).items()}
    if not runs:
        raise InputError(f"{space.folder} is a search that has proposed no runs yet; equipoise search goes on with it")
    return Plan(space.study, runs, varied(runs.values()))


def _file(space: Space, number: int) -> Path:
    return space.folder / "trials" / f"{number:04}.json"


def _search(said: object) -> Search:
    fields = [field.name for field in dataclasses.fields(Search)]
    if not isinstance(said, dict) or not {"metric", "trials"} <= said.keys():
        raise InputError('[search] says what trials are judged by and how many; give it metric = "mig" and trials = 20')
    for key in said:
        if key not in fields:
            raise InputError(f"search.{key}: no such setting; {nearest(key, fields)}")
    try:
        search = Search(**said)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"search.{first['loc'][0]} is {first['input']!r}; {first['msg'].lower()}") from None
    if search.metric not in METRICS:
        raise InputError(f"search.metric is {search.metric}; {nearest(search.metric, METRICS)}")
    if not METRICS[search.metric].better:
        raise InputError(f"search.metric is {search.metric}, of which neither more nor less is better; choose another")
    return search


def _asked(key: str, value: object, table: Mapping[str, Any]) -> object:
    """What is drawn from, or the value that is fixed."""
    found = distribution(key, value)
    if found is None:
        listed = values(key, value, table)
        found = Distribution("choice", list(listed))
    single = found.kind == "choice" and len(found.of) == 1
    return found.of[0] if single else found


def _judged(search: Search, study: Study, config: Config) -> None:
    """Raises `InputError` if runs with these settings will not have the score that the search asks for."""
    which, every, steps = config.evaluate.which, config.evaluate.every, config.train.steps
    names = (which,) if isinstance(which, str) else which
    if search.metric == "udr":
        if (study.seeds or 1) < FEWEST:
            raise InputError(f"search.metric udr compares the seeds of a trial; set seeds = {FEWEST}, or more")
        if search.prune:
            raise InputError("search.prune needs scores on the way, and udr has none before the end; leave prune out")
    elif not {search.metric, "all"} & {*names} and not ("default" in names and METRICS[search.metric].is_cheap):
        raise InputError(f"search.metric is {search.metric}, which evaluate.which leaves out; add it there")
    if search.prune and (every is None or every >= steps):
        raise InputError(f"search.prune needs scores on the way; set evaluate.every, well below the {steps} steps")


def _trial(space: Space, number: int, settings: Mapping[str, Any]) -> Trial:
    said = {**space.fixed(settings.get(METHOD)), **settings}
    try:
        configs = [resolved(said | seed, space.study.out) for seed in seeds(space.study)]
    except InputError as error:  # of a combination that no single end of a distribution showed
        return Trial(number, settings, {}, refused=str(error))
    return Trial(number, settings, {Path(config.out).name: config for config in configs})


def _fits(space: Space, path: Path, settings: Mapping[str, Any]) -> None:
    """Raises `InputError` if the file of the search does not draw such settings."""
    chosen = {METHOD: Distribution("choice", space.methods)} if space.methods else {}
    drawn = chosen | space.drawn(settings.get(METHOD))
    for key in [*drawn, *settings]:
        if key not in settings or key not in drawn or not _contains(drawn[key], settings[key]):
            raise InputError(
                f"{path} has {key} = {settings.get(key)}, which the search no longer draws; put its distribution back, "
                f"or choose another out"
            )


def _contains(of: Distribution, value: Any) -> bool:
    if of.kind == "choice":
        return value in of.of
    return isinstance(value, int | float) and bool(of.of[0] <= value <= of.of[1])
