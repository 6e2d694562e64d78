"""Settings of a run: typed, frozen, validated before any work, and written to the run's folder in full.

Later sources override earlier ones: library default, the method's default, preset, file, command line. A setting is
`section.key`; `SHORT` has the short forms.
"""

import dataclasses
import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tomli_w
import torch
from pydantic import ValidationError

from equipoise.data.readers import vectors
from equipoise.data.settings import Data, LabelSettings, check
from equipoise.errors import InputError, check_finite, check_value, choose, cut, nearest, sentence, short
from equipoise.files import parse_value, read_toml, user_path
from equipoise.methods import DEFAULT, METHODS, Method, Shape
from equipoise.methods.method import ChecksSettings, of_vectors
from equipoise.nets import NETS
from equipoise.objective import Objective, with_labels
from equipoise.part import Part
from equipoise.sections import Evaluate, Net, Train

Section = TypeVar("Section")
Settings = Mapping[str, object]
"""Settings by dotted key, such as `{"train.steps": 2000}`."""


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run, as `resolve` returns them.

    Args:
        data: The section [data].
        method: The method with its settings.
        preset: The preset of the method, or None.
        net: The section [net].
        train: The section [train].
        evaluate: The section [evaluate].
        out: The run's folder.

    Example:
        >>> from equipoise.config import resolve
        >>> config = resolve({"data": "dsprites", "method": "beta-vae", "method.beta": 2.0, "train.steps": 2000})
        >>> config.method.beta, config.train.steps, config.net.name
        (2.0, 2000, 'locatello')
    """

    data: Data
    method: Method
    preset: str | None
    net: Net
    train: Train
    evaluate: Evaluate
    out: str

    def to_dict(self) -> dict[str, dict[str, object] | str]:
        """Return the sections with plain values, without unset settings, as in `config.toml`."""
        sections = {section: _values(getattr(self, section)) for section in SECTIONS}
        method: dict[str, object] = {"name": self.method.name}
        if self.preset is not None:
            method["preset"] = self.preset
        return {"out": self.out, **sections, "method": method | _values(self.method)}

    def to_toml(self) -> str:
        """Return the settings as TOML."""
        return tomli_w.dumps(self.to_dict())

    def flat(self) -> dict[str, object]:
        """Return the settings that identify a run by dotted key: all but `out` and those of `ELSEWHERE`."""
        return {key: value for key, value in flatten(self.to_dict()).items() if key not in ("out", *ELSEWHERE)}


SHORT = {"data": "data.name", "method": "method.name", "net": "net.name", "init": "train.init"}
FORMS = SHORT | {"train.labels": "train.labels.source"}  # which are tables in the settings of a run
TEXT = ("out", *SHORT, *SHORT.values(), "data.factors", "data.key", "data.range", "method.preset")
TEXT += ("train.device", "train.track")  # settings that are text, even if the text looks like a number or a date

ELSEWHERE = ("train.devices", "train.nodes", "train.track", "train.keep")  # a run can be resumed with others

ADDED: Settings = {
    "train.weight_decay": 0.0,
    "train.start_at_mean": False,
    "train.optimizer": "adam",
    "evaluate.interval": True,
    "method.law": "published",
}
"""Settings that earlier runs did not have, with the value that these runs used."""

SECTIONS: dict[str, type] = {"data": Data, "net": Net, "train": Train, "evaluate": Evaluate}


def resolve(settings: Settings, complete: bool = False) -> Config:
    """Complete and validate the settings of a run.

    Args:
        settings: Settings by dotted key.
        complete: Whether these are the written settings of a run. Then neither defaults nor a preset are applied.

    Returns:
        The settings of the run.

    Raises:
        InputError: If a setting is unknown, invalid, missing or does not fit another.

    Example:
        >>> from equipoise.config import resolve
        >>> resolve({"data": "dsprites", "train.seed": 3}).method.name
        'aligned-vae'
    """
    overrides = _tables_first(expand(settings))
    name = overrides.pop("method.name", DEFAULT)
    method = METHODS[choose("method", name, METHODS)]
    preset = overrides.pop("method.preset", None)
    layers = {"method.law": ADDED["method.law"]} if complete and "law" in _names(method) else {}
    if not complete:
        layers |= method.defaults
        if preset is not None:
            layers |= method.presets[choose(f"preset of {method.name}", preset, method.presets)].settings
        if "data.scaling" in overrides or vectors.are_in(overrides.get("data.name"), overrides.get("data.key")):
            layers |= of_vectors(method)
    layers |= overrides

    out = layers.pop("out", None)
    fields: dict[str, dict[str, object]] = {section: {} for section in (*SECTIONS, "method")}
    for key, value in layers.items():
        check_value(key, value)
        if not complete:
            check_finite(key, value)
        section, _, rest = key.partition(".")
        field, _, entry = rest.partition(".")  # of a table, such as data.keep.shape
        if section not in fields or not field:
            known = ["out", *(f"{s}.{f}" for s, kind in {**SECTIONS, "method": method}.items() for f in _names(kind))]
            same = [name for name in known if name.endswith(f".{key}")]  # without its section, such as steps
            meant = same or difflib.get_close_matches(key, SHORT, 1, 0.7)
            hint = f"did you mean {' or '.join(meant)}?" if meant else nearest(key, known)
            raise InputError(f"{key}: no such setting; {hint}")
        value = tuple(value) if isinstance(value, list) else value
        table = fields[section].get(field)
        fields[section][field] = {**(table if isinstance(table, dict) else {}), entry: value} if entry else value
    labels = fields["train"].get("labels")
    if isinstance(labels, dict) and labels and "source" not in labels:
        raise InputError(
            f"train.labels.source is missing, and train.labels.{next(iter(labels))} needs it; set it to the number or "
            "share of labelled images or to a table, such as train.labels.source=TABLE"
        )
    if "name" not in fields["data"]:
        raise InputError("data is missing; set it, such as data=dsprites or data=path/to/images")
    choose("net", fields["net"].get("name", Net.name), NETS)
    selection = read_section("method", method, fields["method"], method.name)
    implied = getattr(selection, "latent", None)
    if implied is not None:
        fields["net"].setdefault("latent", implied)
    sections: dict[str, Any] = {name: read_section(name, kind, fields[name], name) for name, kind in SECTIONS.items()}
    config = Config(method=selection, preset=None if preset is None else str(preset), out="", **sections)
    objective = _check_combination(config)
    if not complete:
        _check_new(config, objective)
    if out is None:
        data = Path(config.data.name).stem or "data"
        out = f"runs/{data}-{method.name}-{digits(config.flat(), is_extendable(config, objective))}"
    check_value("out", out)
    if not isinstance(out, str) or not out:
        raise InputError(f"out is {short(out)}; expected the path of a folder")
    return dataclasses.replace(config, out=str(user_path(out)) if out.startswith("~") else out)


def of_caller(settings: Settings | None) -> dict[str, object]:
    """Return the settings that a program passes. Raises `InputError` for anything but a mapping by dotted key."""
    if settings is None:
        return {}
    if not isinstance(settings, Mapping) or not all(isinstance(key, str) for key in settings):
        raise InputError(
            f"settings are {short(settings)}; expected a dictionary by dotted key, such as {{'train.batch': 256}}"
        )
    return dict(settings)


def expand(settings: Settings) -> dict[str, object]:
    """The settings with `data.name`, `train.labels.source` and so on for their short forms.

    Numbers of NumPy, such as those of a grid of scikit-learn, become numbers of Python.
    """
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in settings.items()}
    return {key if isinstance(value, dict) else FORMS.get(key, key): value for key, value in plain.items()}


def _tables_first(settings: Settings) -> dict[str, object]:
    """The settings with tables such as `train.labels` before single settings of these, which complete them.

    Raises `InputError` for a single setting that a table after it sets to another value.
    """
    before: dict[str, object] = {}
    for key, value in settings.items():
        for entry, second in value.items() if isinstance(value, dict) else ():
            if (name := f"{key}.{entry}") in before and before[name] != second:
                raise set_twice(name, before[name], second)
        before[key] = value
    return dict(sorted(before.items(), key=lambda item: not isinstance(item[1], dict)))


def set_twice(name: str, first: object, second: object) -> InputError:
    """The error that a setting has two values."""
    return InputError(f"{name} is set twice, to {cut(str(first))} and to {cut(str(second))}; leave one of them out")


def identity(config: Config) -> str:
    """Ten digits that identify the settings in `flat`, without `train.steps` if more steps extend the run."""
    return digits(config.flat(), is_extendable(config))


def digits(settings: Settings, extendable: bool) -> str:
    """The digits of `identity` for the settings in `flat` of a run that is extendable, or not."""
    settings = distinguishing(settings)
    if extendable:
        del settings["train.steps"]
    return ten_digits(settings)


def ten_digits(values: object) -> str:
    """Ten hexadecimal digits that distinguish values, for the name of a folder or a record."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:10]


def distinguishing(settings: Settings) -> dict[str, object]:
    """The settings without those of `ADDED` that have the value of earlier runs, so that these keep their identity."""
    return {key: value for key, value in settings.items() if key not in ADDED or value != ADDED[key]}


def is_extendable(config: Config, objective: Objective | None = None) -> bool:
    """Whether a run with more steps extends this one, because no schedule depends on the number of steps.

    `objective` is the outline, if the caller has it.
    """
    objective = outline(config) if objective is None else objective
    is_scheduled = config.train.schedule != "constant" or objective.balance.is_scheduled
    is_scheduled |= config.train.labels is not None and config.train.labels.until > 0
    return config.train.schedule_steps is not None or not is_scheduled


def objective_of(config: Config, image: tuple[int, int, int], images: int) -> Objective:
    """The objective of a run on N `images` of shape `image`."""
    shape = Shape(image, config.net.latent, images, None if config.data.scaling is None else "identity")
    return with_labels(config.method.build(shape), config.train.labels)


def outline(config: Config) -> Objective:
    """The objective on torch's meta device, without values. Raises `InputError` if its parts do not fit."""
    try:
        with torch.device("meta"):
            return objective_of(config, (1, 64, 64), config.train.batch)
    except (RuntimeError, OverflowError, MemoryError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{config.method.name} cannot be built with these settings ({reason}); lower them") from None


def read(path: Path) -> dict[str, object]:
    """Read the settings of a TOML file by dotted key. Raises `InputError` when it cannot be read."""
    return flatten(read_toml(path, "settings"))


def flatten(sections: Mapping[str, object]) -> dict[str, object]:
    """The settings of several sections by dotted key, and those outside of a section by their name."""
    flat: dict[str, object] = {}
    for section, values in sections.items():
        if isinstance(values, dict):
            flat |= {f"{section}.{key}": value for key, value in values.items()}
        else:
            flat[section] = values
    return flat


def load(path: Path) -> Config:
    """The settings in the config.toml of a run. Raises `InputError` that names the file when it is damaged."""
    settings = read(path)
    try:
        config = resolve(settings, complete=True)
    except InputError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if missing := sorted(config.flat().keys() - ADDED.keys() - settings.keys() - {"method.preset"}):
        raise InputError(f"{path} is damaged: {missing[0]} is missing; restore the file, or delete it and train again")
    return config


def read_section(section: str, kind: type[Section], values: Mapping[str, object], owner: str) -> Section:
    """A section with these settings. Raises `InputError` for an unknown or invalid setting."""
    for key in values:
        if key not in _names(kind):
            raise InputError(f"{section}.{key}: no such setting of {owner}; {nearest(key, _names(kind))}")
    try:
        return kind(**values)
    except ValidationError as error:
        raise InputError(sentence(error, values, f"{section}.{{}}")) from None


def parse(overrides: Iterable[str]) -> dict[str, object]:
    """Settings from words `key=value`; a value is TOML, or else text. Raises `InputError` for another word."""
    settings: dict[str, object] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{word}: expected key=value, such as train.steps=2000")
        settings[key] = value if key in TEXT else _list_of_words(parse_value(value))
    return settings


def _list_of_words(value: object) -> object:
    """The list of a text such as `[mig,sap]`, which lacks the quotes of TOML; any other value as it is."""
    is_list = isinstance(value, str) and value.startswith("[") and value.endswith("]")
    if not is_list or set("[]{}'\"=") & set(str(value)[1:-1]):
        return value
    return [parse_value(word.strip()) for word in str(value)[1:-1].split(",") if word.strip()]


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _values(section: object) -> dict[str, object]:
    """The settings of a section that are not None."""
    return {key: _plain(value) for key in _names(type(section)) if (value := getattr(section, key)) is not None}


def _plain(value: object) -> object:
    """The value as TOML returns it: tuples become lists, also in tables."""
    if isinstance(value, LabelSettings):
        return _values(value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, tuple | list) else value


def _check_new(config: Config, objective: Objective) -> None:
    """Raise `InputError` for settings that a new run may not have, because they have no effect or no minimum."""
    if isinstance(config.method, ChecksSettings):
        config.method.check_new(objective, config.train.optimizer)
    for part in objective.parts:
        for each in part.modules():  # a part may consist of several
            if isinstance(each, Part):
                each.check_new()


def _check_combination(config: Config) -> Objective:
    """The outline. Raises `InputError` for settings that are valid alone but not together."""
    objective = outline(config)
    train = config.train
    if train.schedule != "constant" and train.steps > train.schedule_length:
        raise InputError(
            f"train.steps is {train.steps}, but the {train.schedule} schedule ends after {train.schedule_length} "
            f"steps; raise train.schedule_steps"
        )
    if train.batch % train.processes:
        lower = train.batch // train.processes * train.processes
        near = f"{lower} or {lower + train.processes}" if lower else str(train.processes)
        raise InputError(
            f"train.batch is {train.batch}, which {train.processes} processes (train.devices times train.nodes) "
            f"cannot share equally; set train.batch to {near}"
        )
    check(config.data)
    if not all(0 <= beta < 1 for beta in train.betas):
        raise InputError(f"train.betas is {list(train.betas)}; expected two numbers in [0, 1)")
    return objective
