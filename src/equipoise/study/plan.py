"""Reading a study file: the settings of each of its runs."""

import dataclasses
import itertools
import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from markupsafe import escape
from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass

from equipoise import config as configuration
from equipoise.config import SECTIONS, Config
from equipoise.errors import InputError, check_value, nearest, sentence
from equipoise.files import read_toml, user_path, write_text
from equipoise.methods import METHODS
from equipoise.methods.method import STRICT
from equipoise.metrics import html

Table = Mapping[str, Any]
_First = tuple[Config, Table, bool]  # a run, its settings by dotted key, and whether more steps extend it

FIRST = 30  # runs in a notebook


class Distribution(NamedTuple):
    """A distribution of a setting: one of `DISTRIBUTIONS` with its two ends, or with its values for "choice"."""

    kind: str
    values: list[Any]


@dataclass(frozen=True, config=STRICT)
class Study:
    """The keys of a study file outside the sections of settings."""

    out: Annotated[str, Field(min_length=1, description="folder of the study; default: studies/<name of the file>")]
    seeds: Annotated[int | None, Field(ge=1, description="number of seeds: train.seed = 0 .. seeds - 1")] = None
    trials: Annotated[
        int | None,
        Field(ge=1, description="number of draws from the distributions, with every value of the lists"),
    ] = None
    draw_seed: Annotated[int, Field(ge=0, description="seed of the draws; more trials keep the earlier draws")] = 0
    retries: Annotated[int, Field(ge=0, description="number of times a failed run is started again")] = 2


@dataclasses.dataclass(frozen=True)
class Plan:
    """The folder of a study and the complete settings of each of its runs by name, in the order they are started."""

    study: Study
    runs: Mapping[str, Config]
    repeats: int = 0
    """Number of combinations of settings that are the run of an earlier one."""

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """The settings, by dotted key, whose values differ between runs that have them."""
        values: dict[str, set[str]] = {}
        for config in self.runs.values():
            for key, value in config.flat().items():
                values.setdefault(key, set()).add(repr(value))
        return tuple(key for key, texts in values.items() if len(texts) > 1)

    @property
    def folder(self) -> Path:
        """The folder of the study."""
        return Path(self.study.out)

    def _repr_html_(self) -> str:
        """The folder and the first runs with the settings that vary and whether each is scored, for notebooks."""
        rows = []
        for name, config in itertools.islice(self.runs.items(), FIRST):
            settings = config.flat()
            is_scored = (Path(config.out) / "scores.json").exists()
            rows.append([name, *(settings.get(key) for key in self.varied), "yes" if is_scored else "no"])
        more = f"<p>and {len(self.runs) - len(rows):,} more runs</p>" if len(self.runs) > len(rows) else ""
        title = f"<p>{len(self.runs):,} runs in {escape(self.folder)}</p>"
        return title + html.table(["run", *self.varied, "scored"], rows) + more


def read_file(file: str | Path, out: str | Path | None = None) -> dict[str, Any]:
    """Return the contents of a study file with `out`. Raises `InputError` where it cannot be read."""
    path = Path(file)
    contents = read_toml(path, "a study")
    contents.setdefault("out", f"studies/{path.stem}")
    if out is not None:
        contents["out"] = str(out)
    folder = contents["out"]
    if isinstance(folder, str) and folder.startswith("~"):
        contents["out"] = str(user_path(folder))
    return contents


def copy_file(file: Path, to: Path, out: str) -> None:
    """Copy a study file to `to` and add `out` where the file has none."""
    text = file.read_text(encoding="utf-8")
    if "out" not in tomllib.loads(text):
        text = f"out = {json.dumps(out)}\n{text}"
    write_text(to, text)


def plan(contents: Table) -> Plan:
    """Return the plan of a study file's contents. Raises `InputError` for runs that are not possible.

    A setting may be a list, all of whose values are run, or a table with the name of a distribution, from which
    `trials` values are drawn: {uniform = [a, b]}, {log_uniform = [a, b]}, {integer = [a, b]}, {choice = [...]}. Values
    of a setting that is itself a list are given as a list of lists. A section may be an array of tables ([[method]]):
    alternatives, each with its own settings. All of these multiply. `seeds` vary slowest, so a study that is half
    finished has every setting; then alternatives, draws and lists, the last of the file fastest.
    """
    study, settings = study_keys(contents), alternatives(contents)
    random = {key for table in settings for key, value in table.items() if read_distribution(key, value)}
    if random and study.trials is None:
        raise InputError(
            f"{', '.join(sorted(random))} is drawn from a distribution; add the number of draws, trials = n"
        )
    if study.trials is not None and not random:
        raise InputError(
            "trials is the number of draws, but no setting is a distribution such as {uniform = [1, 6]}; remove it"
        )

    runs: dict[str, Config] = {}
    first: dict[str, _First] = {}  # by seed, and by the other settings
    repeats = 0
    combinations = [combination for table in settings for combination in _combinations(table, study)]
    for seed, combination in itertools.product(seeds(study), combinations):
        others = combination | seed
        key_of_seed, key_of_others = repr(others.pop("train.seed", None)), repr(others)
        if key_of_others in first and key_of_seed in first:
            config = _with_seed(*first[key_of_others], first[key_of_seed][0].train.seed)
        else:
            config = run_settings(combination | seed, study.out)
            first[key_of_others] = config, config.flat(), configuration.is_extendable(config)
            first.setdefault(key_of_seed, first[key_of_others])
        name = Path(config.out).name
        repeats += name in runs
        if runs.setdefault(name, config) != config:  # runs that extend each other have the same name
            if runs[name].train.steps == config.train.steps:
                old, new = (configuration.flatten(each.to_dict()) for each in (runs[name], config))
                keys = (key for key in old | new if old.get(key) != new.get(key))
                raise InputError(
                    f"{next(keys)} does not change the result of a run, so its values would be one run; give it "
                    "one value"
                )
            raise InputError(
                f"train.steps = {sorted({runs[name].train.steps, config.train.steps})} would be one run, trained "
                f"further; give the largest alone and score during training with evaluate.every"
            )
    if not runs:
        raise InputError("the study has no runs; give each list at least one value")
    return Plan(study, runs, repeats)


def _with_seed(config: Config, flat: Table, is_extendable: bool, seed: int) -> Config:
    """Return the settings with another seed, and the folder that they name, without validating all again."""
    digits = configuration.digits({**flat, "train.seed": seed}, is_extendable)
    train = dataclasses.replace(config.train, seed=seed)
    return dataclasses.replace(config, train=train, out=f"{config.out.rpartition('-')[0]}-{digits}")


def study_keys(contents: Table) -> Study:
    """Return the keys outside the sections of settings. Raises `InputError` for an unknown key or a wrong value."""
    keys = [field.name for field in dataclasses.fields(Study)]
    choices = [*keys, *SECTIONS, "method"]
    for key in contents:
        if key not in choices:
            raise InputError(f"{key}: a study has no such key or section; {nearest(key, choices)}")
    values = {key: contents[key] for key in keys if key in contents}
    try:
        return Study(**values)
    except ValidationError as error:
        raise InputError(sentence(error, values)) from None


def seeds(study: Study) -> list[dict[str, int]]:
    """Return the setting of each seed."""
    return [{}] if study.seeds is None else [{"train.seed": seed} for seed in range(study.seeds)]


def alternatives(contents: Table) -> list[dict[str, Any]]:
    """Return the settings by dotted key for each combination of the tables of the sections."""
    sections = [_tables(name, table) for name, table in contents.items() if name in (*SECTIONS, "method")]
    settings = [
        {key: value for table in tables for key, value in table.items()} for tables in itertools.product(*sections)
    ]
    if "seeds" in contents and any("train.seed" in table for table in settings):
        raise InputError("seeds and train.seed both set the seeds; remove one of them")
    return settings


def _tables(section: str, value: object) -> list[dict[str, Any]]:
    """Return the tables of a section, one or several, with dotted keys."""
    tables = []
    for table in value if isinstance(value, list) and value else [value]:
        if not isinstance(table, dict):
            raise InputError(
                f"[{section}] is {value!r}; expected a table of settings, or an array of tables [[{section}]]"
            )
        tables.append({f"{section}.{key}": value for key, value in table.items()})
    return tables


def _combinations(settings: Table, study: Study) -> Iterator[dict[str, Any]]:
    """Yield the settings for each draw and each combination of the lists' values."""
    distributions = {key: read_distribution(key, value) for key, value in settings.items()}
    random = {key: distribution for key, distribution in distributions.items() if distribution}
    lists = {key: [value] if key in random else values(key, value, settings) for key, value in settings.items()}
    for trial in range(study.trials or 1) if random else [0]:
        draws = {}
        for key, distribution in random.items():
            # A generator of its own, so that draws of other trials, settings and alternatives do not change this one.
            rng = np.random.default_rng([study.draw_seed, trial, *key.encode()])
            draws[key] = DISTRIBUTIONS[distribution.kind](rng, distribution.values)
        for combination in itertools.product(*lists.values()):
            yield dict(zip(lists, combination, strict=True)) | draws


def values(key: str, value: object, settings: Table) -> Sequence[Any]:
    """Return the values of a setting: the entries of a list, unless the setting itself is a list."""
    if not isinstance(value, list):
        return [value]
    if not value:
        raise InputError(f"{key} is an empty list; give it at least one value, or remove it")
    if _is_list_setting(key, settings) and not all(isinstance(entry, list) for entry in value):
        return [value]
    return value


def _is_list_setting(key: str, settings: Table) -> bool:
    section, _, field = key.partition(".")
    name = settings.get("method.name")
    kinds = [SECTIONS[section]] if section in SECTIONS else []
    if section == "method":
        kinds = [METHODS[name]] if isinstance(name, str) and name in METHODS else list(METHODS.values())
    return any(_mentions_list(get_type_hints(kind).get(field)) for kind in kinds)


def _mentions_list(kind: object) -> bool:
    origin = get_origin(kind)
    return origin in (list, tuple) or (origin is not dict and any(_mentions_list(part) for part in get_args(kind)))


def read_distribution(key: str, value: object) -> Distribution | None:
    """Return the distribution that a table describes; None for any other value. Raises `InputError` for wrong ends."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((name, ends),) = value.items()
    if name not in DISTRIBUTIONS:
        return None
    check_value(key, ends)
    if name == "choice":
        if not isinstance(ends, list) or not ends:
            raise InputError(f"{key}: choice is {ends!r}; expected a list of values")
        return Distribution(name, ends)
    if not isinstance(ends, list) or len(ends) != 2 or not all(_is_number(end, name == "integer") for end in ends):
        raise InputError(f"{key}: {name} is {ends!r}; expected two numbers, the lowest and the highest")
    low, high = ends
    if not low < high or not math.isfinite(high - low) or (name == "log_uniform" and low <= 0):
        raise InputError(f"{key}: {name} is {ends!r}; expected the lowest first{', above 0' * (name == 'log_uniform')}")
    return Distribution(name, ends)


def _is_number(value: object, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool) and math.isfinite(value)


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, Any], object]] = {
    "uniform": lambda rng, ends: float(rng.uniform(*ends)),
    "log_uniform": lambda rng, ends: float(np.exp(rng.uniform(*np.log(ends)))),
    "integer": lambda rng, ends: int(rng.integers(ends[0], ends[1], endpoint=True)),
    "choice": lambda rng, values: values[int(rng.integers(len(values)))],
}


def run_settings(settings: Table, out: str) -> Config:
    """Return the complete settings of one run, named by data, method and hash, with one thread by default.

    Raises `InputError` for settings that are not possible.
    """
    try:
        config = configuration.resolve({"train.threads": 1, **settings})
    except InputError as error:
        names = ", ".join(f"{key}={value}" for key, value in settings.items() if key.endswith(".name"))
        which = f" ({names})" if names else ""
        raise InputError(f"a run of this study is not possible{which}: {error}") from None
    return dataclasses.replace(config, out=str(Path(out) / "runs" / Path(config.out).name))
