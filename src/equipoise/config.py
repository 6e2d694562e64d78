"""Settings: typed, frozen, written out in full beside every result.

Order, later wins: library default, the method's default, preset, file, command line. A setting is `section.key`;
`data=X`, `method=X` and `net=X` mean `.name`. Whatever is wrong is said at once, before any work.
"""

import dataclasses
import datetime
import hashlib
import json
import shlex
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tomli_w
import torch
from pydantic import BeforeValidator, Field, ValidationError
from pydantic.dataclasses import dataclass

from equipoise.data.settings import Data, check
from equipoise.errors import InputError, choose, nearest, sentence
from equipoise.methods import METHODS, Method, Shape
from equipoise.methods.method import STRICT
from equipoise.nets import NETS
from equipoise.objective import Objective
from equipoise.trackers import TrackerName, listed

Section = TypeVar("Section")
Settings = Mapping[str, object]
"""Settings by dotted key, such as {"train.steps": 2000}."""


@dataclass(frozen=True, config=STRICT)
class Net:
    """[net] encoder and decoder."""

    name: Annotated[str, Field(description="architecture (`equipoise list nets`)")] = "locatello"
    latent: Annotated[int, Field(ge=1, description="latent dimensions; 10 is the field's habit")] = 10


@dataclass(frozen=True, config=STRICT)
class Train:
    """[train] how long, how fast, on what."""

    steps: Annotated[
        int, Field(ge=1, description="training steps; 50,000 take half an hour to an hour on two cores")
    ] = 50_000
    schedule_steps: Annotated[
        int | None, Field(ge=1, description="length of every schedule in steps; unset: `steps`")
    ] = None
    batch: Annotated[int, Field(ge=2, description="images a step; 64 is the field's common protocol")] = 64
    lr: Annotated[float, Field(gt=0, description="learning rate of Adam; 1e-4 is the field's common protocol")] = 1e-4
    betas: Annotated[tuple[float, float], Field(description="Adam's decay rates")] = (0.9, 0.999)
    schedule: Annotated[
        Literal["constant", "one-cycle"],
        Field(description="of the learning rate; one-cycle: from lr/10 up to lr at half the schedule, down to lr/100"),
    ] = "constant"
    clip: Annotated[float | None, Field(gt=0, description="largest norm of the networks' gradient; unset: none")] = None
    seed: Annotated[int, Field(ge=0, description="of weights, batches and noise")] = 0
    device: Annotated[str, Field(description="auto, cpu, cuda or cuda:N; auto takes CUDA where there is one")] = "auto"
    devices: Annotated[
        int | None,
        Field(
            ge=1,
            description="processes a node, each on a GPU or on cores of its own; they share each batch; unset: one",
        ),
    ] = None
    nodes: Annotated[int | None, Field(ge=1, description="machines, joined by torchrun or Slurm; unset: one")] = None
    threads: Annotated[
        int | None, Field(ge=1, description="threads of torch in each process; unset: as many as cores in all")
    ] = None
    precision: Annotated[
        Literal["fp32", "bf16"], Field(description="bf16 runs encoder and decoder, nothing else, in bfloat16")
    ] = "fp32"
    fast: Annotated[bool, Field(description="the guarded fast parts: oneDNN, allocator, channels_last")] = True
    log_every: Annotated[int, Field(ge=1, description="steps between rows of log.jsonl, each a mean over them")] = 100
    checkpoint_every: Annotated[int, Field(ge=1, description="steps between checkpoints")] = 2_000
    track: Annotated[
        tuple[TrackerName, ...] | None,
        BeforeValidator(listed),
        Field(description="told of rows and scores too: tensorboard, wandb, mlflow, or several; unset: none"),
    ] = None

    @property
    def processes(self) -> int:
        return (self.devices or 1) * (self.nodes or 1)

    @property
    def schedule_length(self) -> int:
        return self.steps if self.schedule_steps is None else self.schedule_steps


@dataclass(frozen=True, config=STRICT)
class Evaluate:
    """[evaluate] codes and scores."""

    every: Annotated[int | None, Field(ge=1, description="also score every so many steps; unset: at the end")] = None
    which: Annotated[str | tuple[str, ...], Field(description="metrics: default, all, or names")] = "default"
    convention: Annotated[
        Literal["default", "carbonneau", "locatello"],
        Field(description="whose parameters; carbonneau is what the L-VAE paper reports"),
    ] = "carbonneau"
    n: Annotated[
        int, Field(ge=2, description="images encoded and scored, the same ones for all runs on a data set")
    ] = 10_000


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run."""

    data: Data
    method: Method
    preset: str | None
    net: Net
    train: Train
    evaluate: Evaluate
    out: str

    def to_dict(self) -> dict[str, dict[str, object] | str]:
        """Sections as plain values, without what is unset, as `config.toml` holds them."""
        sections: dict[str, dict[str, object] | str] = {"out": self.out}
        for section in SECTIONS:
            sections[section] = _values(getattr(self, section))
        method: dict[str, object] = {"name": self.method.name}
        if self.preset is not None:
            method["preset"] = self.preset
        sections["method"] = method | _values(self.method)
        return sections

    def to_toml(self) -> str:
        return tomli_w.dumps(self.to_dict())

    def flat(self) -> dict[str, object]:
        """Settings by dotted key, but `out`, on how many devices and who is told: what makes a run the run it is."""
        return {
            f"{section}.{key}": value
            for section, values in self.to_dict().items()
            if isinstance(values, dict)
            for key, value in values.items()
            if f"{section}.{key}" not in ("train.devices", "train.nodes", "train.track")
        }


TEXT = (
    *("out", "data", "method", "net", "data.name", "data.factors"),
    *("method.name", "method.preset", "net.name", "train.device", "train.track"),
)
"""Settings whose words are taken as they are, though they may look like a number or a date."""

SECTIONS: dict[str, type] = {"data": Data, "net": Net, "train": Train, "evaluate": Evaluate}


def resolve(settings: Settings, complete: bool = False) -> Config:
    """The settings of a run, complete and valid, from what the user said. Raises `InputError` with one sentence.

    `complete` settings are a run's own: what they leave out is unset, and neither defaults nor preset fill it.
    """
    said = {f"{key}.name" if key in ("data", "method", "net") else key: value for key, value in settings.items()}
    name = said.pop("method.name", "l-vae")
    method = METHODS[choose("method", name, METHODS)]
    preset = said.pop("method.preset", None)
    layers: dict[str, object] = {}
    if not complete:
        layers |= method.defaults
        if preset is not None:
            layers |= method.presets[choose(f"preset of {method.name}", preset, method.presets)].settings
    layers |= said

    out = layers.pop("out", None)
    fields: dict[str, dict[str, object]] = {section: {} for section in (*SECTIONS, "method")}
    for key, value in layers.items():
        section, _, rest = key.partition(".")
        field, _, entry = rest.partition(".")  # of a table, such as data.keep.shape
        if section not in fields or not field:
            known = [*(f"{s}.{f.name}" for s, c in SECTIONS.items() for f in dataclasses.fields(c)), "out"]
            raise InputError(
                f"{key}: no such setting; {nearest(key, [*known, *(f'method.{f}' for f in _names(method))])}"
            )
        value = tuple(value) if isinstance(value, list) else value
        table = fields[section].get(field)
        fields[section][field] = {**(table if isinstance(table, dict) else {}), entry: value} if entry else value
    if "name" not in fields["data"]:
        raise InputError("data is missing; say what to learn from, such as data=dsprites or data=path/to/images")
    choose("net", fields["net"].get("name", Net.name), NETS)
    chosen = _validated("method", method, fields["method"], method.name)
    implied = getattr(chosen, "latent", None)
    if implied is not None:
        fields["net"].setdefault("latent", implied)
    config = Config(
        data=_validated("data", Data, fields["data"], "data"),
        method=chosen,
        preset=None if preset is None else str(preset),
        net=_validated("net", Net, fields["net"], "net"),
        train=_validated("train", Train, fields["train"], "train"),
        evaluate=_validated("evaluate", Evaluate, fields["evaluate"], "evaluate"),
        out="",
    )
    _combination(config)
    if out is None:
        data = Path(config.data.name).stem or "data"
        out = f"runs/{data}-{method.name}-{identity(config)}"
    if not isinstance(out, str) or not out:
        raise InputError(f"out is {out!r}; expected the path of a folder")
    return dataclasses.replace(config, out=out)


def identity(config: Config) -> str:
    """Ten hexadecimal digits that two runs share when one is the other, or goes on where it ended.

    They depend on all settings but those that `flat` leaves out, and but `train.steps` where more steps only extend a
    run.
    """
    settings = config.flat()
    if extendable(config):
        del settings["train.steps"]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]


def extendable(config: Config) -> bool:
    """Whether a run with more steps begins as this one: no schedule is as long as the run."""
    scheduled = config.train.schedule != "constant" or outline(config).balance.is_scheduled
    return config.train.schedule_steps is not None or not scheduled


def outline(config: Config) -> Objective:
    """The objective without its numbers, for questions about how it is composed. Raises `InputError` where it cannot
    be.
    """
    with torch.device("meta"):
        return config.method.build(Shape((1, 64, 64), config.net.latent, config.train.batch))


def read(path: Path) -> dict[str, object]:
    """The settings of a TOML file by dotted key."""
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected settings in TOML") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected a file of settings in TOML") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid TOML ({error}); mend that line") from None
    flat: dict[str, object] = {}
    for section, values in sections.items():
        flat |= (
            {f"{section}.{key}": value for key, value in values.items()}
            if isinstance(values, dict)
            else {section: values}
        )
    return flat


def parse(overrides: Iterable[str]) -> dict[str, object]:
    """Settings from `key=value` words; a value is read as TOML, and as text where it is none."""
    settings: dict[str, object] = {}
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{word}: expected key=value, such as train.steps=2000")
        settings[key] = value
        if key not in TEXT:
            with suppress(tomllib.TOMLDecodeError):
                read = tomllib.loads(f"x = {value}")["x"]
                # No setting is a date or a time: 10:40:10 is a slice.
                settings[key] = value if isinstance(read, datetime.date | datetime.time) else read
    return settings


def command(settings: Settings) -> str:
    """The shortest line in a shell that trains a run of these settings, a run's own by dotted key."""
    named = {key: settings[key] for key in ("data.name", "method.name", "method.preset") if key in settings}
    given = resolve(named).flat()
    words = [word(key.removesuffix(".name"), value) for key, value in named.items()]
    words += [word(key, value) for key, value in settings.items() if key not in named and given.get(key) != value]
    return shlex.join(["equipoise", "train", *words])


def word(key: str, value: object) -> str:
    """A setting as it is typed, which `parse` reads: text as it is, unless it would be read as something else."""
    if isinstance(value, str) and parse([f"{key}={value}"])[key] == value:
        return f"{key}={value}"
    return f"{key}={_toml(value)}"


def _toml(value: object) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(of)}" for key, of in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(of) for of in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _values(section: object) -> dict[str, object]:
    values = {name: getattr(section, name) for name in _names(type(section))}
    return {key: _listed(value) for key, value in values.items() if value is not None}


def _listed(value: object) -> object:
    """The value as TOML gives it back: lists for tuples, in tables too."""
    if isinstance(value, dict):
        return {key: _listed(entry) for key, entry in value.items()}
    return [_listed(entry) for entry in value] if isinstance(value, tuple | list) else value


def _validated(section: str, kind: type[Section], values: Mapping[str, object], owner: str) -> Section:
    for key in values:
        if key not in _names(kind):
            raise InputError(f"{section}.{key}: no such setting of {owner}; {nearest(key, _names(kind))}")
    try:
        return kind(**values)
    except ValidationError as error:
        raise InputError(sentence(error, values, f"{section}.{{}}")) from None


def _combination(config: Config) -> None:
    outline(config)
    train = config.train
    if train.schedule == "one-cycle" and train.steps > train.schedule_length:
        raise InputError(
            f"train.steps is {train.steps}, but the one-cycle schedule ends after {train.schedule_length} steps; "
            f"raise train.schedule_steps"
        )
    if train.batch % train.processes:
        lower = train.batch // train.processes * train.processes
        near = f"{lower} or {lower + train.processes}" if lower else str(train.processes)
        raise InputError(
            f"train.batch is {train.batch}, of which {train.processes} processes (train.devices times train.nodes) "
            f"cannot have equal parts; set train.batch to {near}"
        )
    check(config.data)
    if not all(0 <= beta < 1 for beta in train.betas):
        raise InputError(f"train.betas is {list(train.betas)}; expected two numbers in [0, 1)")
