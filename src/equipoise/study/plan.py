"""A study file: many runs said at once, worked out into the settings of each."""

import dataclasses
import itertools
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from equipoise import config as configuration
from equipoise.config import SECTIONS, Config
from equipoise.errors import InputError, nearest
from equipoise.files import write_text
from equipoise.methods import METHODS
from equipoise.methods.method import STRICT

Draw = Callable[[np.random.Generator], object]
Table = Mapping[str, Any]


class Distribution(NamedTuple):
    """What a setting is drawn from: one of `DISTRIBUTIONS`, and its two ends, or its values."""

    kind: str
    of: list[Any]


@dataclass(frozen=True, config=STRICT)
class Study:
    """What a study file says beside the settings of its runs."""

    out: Annotated[str, Field(min_length=1, description="the folder of the study; unset: studies/<name of the file>")]
    seeds: Annotated[int | None, Field(ge=1, description="each setting with train.seed = 0 .. seeds - 1")] = None
    trials: Annotated[
        int | None, Field(ge=1, description="draws from the distributions, each with every value of the lists")
    ] = None
    draw_seed: Annotated[int, Field(ge=0, description="of these draws; more trials keep the earlier ones")] = 0
    retries: Annotated[int, Field(ge=0, description="how often a run that failed is begun again")] = 2


@dataclasses.dataclass(frozen=True)
class Plan:
    """A study: where it lies, and the complete settings of each of its runs by name, in the order they are begun."""

    study: Study
    runs: Mapping[str, Config]
    varied: tuple[str, ...]
    """The settings, by dotted key, in which runs that have them differ."""

    @property
    def folder(self) -> Path:
        return Path(self.study.out)


def contents(file: str | Path, out: str | Path | None = None) -> dict[str, Any]:
    """What a study file says, with `out`."""
    path = Path(file)
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected a study in TOML") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected a study in TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML ({error}); mend that line") from None
    said.setdefault("out", f"studies/{path.stem}")
    return said if out is None else said | {"out": str(out)}


def keep(file: Path, to: Path, out: str) -> None:
    """Copy a study file to `to`, with `out`, which it may have left to its name."""
    text = file.read_text(encoding="utf-8")
    if "out" not in tomllib.loads(text):
        text = f"out = {json.dumps(out)}\n{text}"
    write_text(to, text)


def plan(said: Table) -> Plan:
    """The plan of a study file's contents, with `out`. Raises `InputError` with one sentence for what cannot run.

    A setting may be a list, all of whose values are run, or a table with the name of a distribution, from which
    `trials` values are drawn: {uniform = [a, b]}, {log_uniform = [a, b]}, {integer = [a, b]}, {choice = [...]}. Values
    of a setting that holds a list are given as a list of lists. A section may be an array of tables ([[method]]):
    alternatives, each with settings of its own. All multiply: `seeds` vary slowest, so that a study half done has
    every setting; then alternatives, draws and lists, of each the last of the file fastest.
    """
    study, settings = own(said), alternatives(said)
    random = {key for each in settings for key, value in each.items() if distribution(key, value)}
    if random and study.trials is None:
        raise InputError(f"{', '.join(sorted(random))} is drawn from a distribution; say how often with trials = n")
    if study.trials is not None and not random:
        raise InputError(
            "trials counts draws, but no setting is a distribution such as {uniform = [1, 6]}; leave it out"
        )

    runs: dict[str, Config] = {}
    for seed, each in itertools.product(seeds(study), settings):
        for chosen in _worked_out(each, study):
            config = resolved(chosen | seed, study.out)
            name = Path(config.out).name
            if runs.setdefault(name, config) != config:  # the names of runs that extend each other are the same
                raise InputError(
                    f"train.steps = {sorted({runs[name].train.steps, config.train.steps})} would be one run, trained "
                    f"on; give the largest alone and score on the way with evaluate.every"
                )
    if not runs:
        raise InputError("the study has no runs; give each list at least one value")
    return Plan(study, runs, varied(runs.values()))


def own(said: Table) -> Study:
    """What a study file says beside the settings of its runs."""
    keys = [field.name for field in dataclasses.fields(Study)]
    known = [*keys, *SECTIONS, "method"]
    for key in said:
        if key not in known:
            raise InputError(f"{key}: a study has no such key or section; {nearest(key, known)}")
    try:
        return Study(**{key: said[key] for key in keys if key in said})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{first['loc'][0]} is {first['input']!r}; {first['msg'].lower()}") from None


def seeds(study: Study) -> list[dict[str, int]]:
    """The setting of each seed."""
    return [{}] if study.seeds is None else [{"train.seed": seed} for seed in range(study.seeds)]


def varied(configs: Iterable[Config]) -> tuple[str, ...]:
    """The settings, by dotted key, in which those that have them differ."""
    values: dict[str, set[str]] = {}
    for config in configs:
        for key, value in config.flat().items():
            values.setdefault(key, set()).add(repr(value))
    return tuple(key for key, found in values.items() if len(found) > 1)


def alternatives(said: Table) -> list[dict[str, Any]]:
    """The settings of the file by dotted key, for each combination of the tables of its sections."""
    sections = [_tables(name, table) for name, table in said.items() if name in (*SECTIONS, "method")]
    settings = [{key: of[key] for of in parts for key in of} for parts in itertools.product(*sections)]
    if "seeds" in said and any("train.seed" in each for each in settings):
        raise InputError("seeds and train.seed both say which seeds to run; leave one out")
    return settings


def _tables(section: str, said: object) -> list[dict[str, Any]]:
    """The tables of a section, one or several, with dotted keys."""
    tables = []
    for table in said if isinstance(said, list) and said else [said]:
        if not isinstance(table, dict):
            raise InputError(
                f"[{section}] is {said!r}; expected a table of settings, or an array of tables [[{section}]]"
            )
        tables.append({f"{section}.{key}": value for key, value in table.items()})
    return tables


def _worked_out(settings: Table, study: Study) -> Iterator[dict[str, Any]]:
    """One set of settings for each draw and each combination of the lists' values."""
    draws = {key: DISTRIBUTIONS[of.kind](of.of) for key, value in settings.items() if (of := distribution(key, value))}
    lists = {key: [value] if key in draws else values(key, value, settings) for key, value in settings.items()}
    for trial in range(study.trials or 1) if draws else [0]:
        drawn = {key: draw(_rng(study.draw_seed, trial, key)) for key, draw in draws.items()}
        for chosen in itertools.product(*lists.values()):
            yield dict(zip(lists, chosen, strict=True)) | drawn


def _rng(seed: int, trial: int, key: str) -> np.random.Generator:
    """A generator of each draw's own: another trial, setting or alternative leaves the other draws as they are."""
    return np.random.default_rng([seed, trial, *key.encode()])


def values(key: str, value: object, settings: Table) -> Sequence[Any]:
    """The values of a setting: those of a list, unless the setting itself holds a list."""
    if not isinstance(value, list):
        return [value]
    if not value:
        raise InputError(f"{key} is an empty list; give it at least one value, or leave it out")
    if _holds_lists(key, settings) and not all(isinstance(each, list) for each in value):
        return [value]
    return value


def _holds_lists(key: str, settings: Table) -> bool:
    section, _, field = key.partition(".")
    name = settings.get("method.name")
    kinds = [SECTIONS[section]] if section in SECTIONS else []
    if section == "method":
        kinds = [METHODS[name]] if isinstance(name, str) and name in METHODS else list(METHODS.values())
    return any(_mentions_list(get_type_hints(kind).get(field)) for kind in kinds)


def _mentions_list(kind: object) -> bool:
    of = get_origin(kind)
    return of in (list, tuple) or (of is not dict and any(_mentions_list(part) for part in get_args(kind)))


def distribution(key: str, value: object) -> Distribution | None:
    """The distribution that a table stands for; None for any other value."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    (name, of), *_ = value.items()
    if name not in DISTRIBUTIONS:
        return None
    if name == "choice":
        if not isinstance(of, list) or not of:
            raise InputError(f"{key}: choice is {of!r}; expected a list of values")
    elif not isinstance(of, list) or len(of) != 2 or not all(_number(end, name == "integer") for end in of):
        raise InputError(f"{key}: {name} is {of!r}; expected two numbers, the lowest and the highest")
    elif not of[0] < of[1] or (name == "log_uniform" and of[0] <= 0):
        raise InputError(f"{key}: {name} is {of!r}; expected the lowest first{', above 0' * (name == 'log_uniform')}")
    return Distribution(name, of)


def _number(value: object, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool) and math.isfinite(value)


DISTRIBUTIONS: dict[str, Callable[[Any], Draw]] = {
    "uniform": lambda ends: lambda rng: float(rng.uniform(*ends)),
    "log_uniform": lambda ends: lambda rng: float(np.exp(rng.uniform(*np.log(ends)))),
    "integer": lambda ends: lambda rng: int(rng.integers(ends[0], ends[1], endpoint=True)),
    "choice": lambda values: lambda rng: values[int(rng.integers(len(values)))],
}


def resolved(settings: Table, out: str) -> Config:
    """The complete settings of one run, named by its data, method and identity, with one thread unless said."""
    try:
        config = configuration.resolve({"train.threads": 1, **settings})
    except InputError as error:
        said = ", ".join(f"{key}={value}" for key, value in settings.items() if key.endswith(".name"))
        raise InputError(f"a run of this study cannot be ({said}): {error}") from None
    return dataclasses.replace(config, out=str(Path(out) / "runs" / Path(config.out).name))
