"""The contract that likelihoods, priors, balances and adversaries share, and how a part is built from settings."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError, create_model
from torch import Tensor, nn

from equipoise.errors import InputError, choose, nearest, sentence

Flag = Literal["collapsed", "not settled", "saturated", "at chance"]
"""Why a run is not fit to be compared: no latent is active, weights still move, a weight or a discriminator is at its
limit, a discriminator has learned nothing."""

Rows = Sequence[Mapping[str, Any]]
"""Rows of the log. The report adds to each row `progress`, the fraction of the schedule that is over, and `unit`, the
likelihood's weight of one squared error if it is constant; to the last row `mse`, the mean squared error of a pixel
over the encoded images."""

Aims = dict[str, dict[str, NDArray[np.float64]]]
"""Dashed lines of the training curves: by the key of the logged value that they belong to, then by name, [rows]."""

Spec = str | dict[str, Any]
"""A part in settings: its name, or a table of its name and its options."""

PartType = TypeVar("PartType", bound="Part")


class Remark(NamedTuple):
    """A sentence for the reader of a run, and the flag that makes the run unfit to be compared, if it has one."""

    sentence: str
    flag: Flag | None = None


class Part(nn.Module):
    """A part of an objective, such as a likelihood, prior, balance or adversary.

    A part has a `name`, and keeps each argument of its constructor as an attribute of the same name. The first line of
    its docstring is a sentence. Learned values are parameters, and state is in buffers.
    """

    name: ClassVar[str]

    def settings(self) -> dict[str, Any]:
        """Arguments that rebuild the part, `type(self)(**settings)`, as JSON writes them and reads them back."""
        return {argument: _as_json(getattr(self, argument)) for argument in options_of(type(self))}

    def check_new(self) -> None:
        """Raise `InputError` for options that a new run may not have. Earlier runs with them can be opened."""

    def describe(self) -> str:
        """One sentence about the part: the first line of its docstring, and its settings."""
        sentence = (type(self).__doc__ or self.name).strip().partition("\n")[0].removesuffix(".")
        settings = ", ".join(f"{key} = {value}" for key, value in self.settings().items() if value is not None)
        return f"{sentence} ({settings})." if settings else f"{sentence}."

    def logs(self) -> dict[str, Tensor]:
        """Learned values and state of the part, [] or [D] by name, for a row of the log."""
        return {}

    def aims(self, rows: Rows) -> Aims:  # noqa: ARG002
        """Target values of what is logged, drawn as dashed lines in the training curves. `rows` has at least one."""
        return {}

    def remarks(self, rows: Rows) -> list[Remark]:  # noqa: ARG002
        """Sentences on what went wrong or has not settled in a run. `rows` has at least one row."""
        return []


def merged_aims(parts: Iterable[Part], rows: Rows) -> Aims:
    """The target values of several parts. If two parts have a line of the same name, that of the last one counts."""
    merged: Aims = {}
    for part in parts:
        for key, lines in part.aims(rows).items():
            merged[key] = merged.get(key, {}) | lines
    return merged


def column(rows: Rows, key: str) -> NDArray[np.float64]:
    """The values [rows] of one key of the log; NaN where a row does not have it."""
    return np.array([np.nan if row.get(key) is None else row[key] for row in rows], dtype=float)


def late(rows: Rows) -> Rows:
    """The last fifth of the rows, at least one."""
    return rows[-max(1, len(rows) // 5) :]


def options_of(part: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments of a part's constructor; of a function, such as a term, all but the first."""
    options = list(inspect.signature(part).parameters.items())[1 if inspect.isfunction(part) else 0 :]
    return {name: option for name, option in options if option.kind not in (option.VAR_POSITIONAL, option.VAR_KEYWORD)}


def check_options(
    owner: str, part: Callable[..., Any], options: Mapping[str, Any], reserved: Sequence[str] = ()
) -> dict[str, Any]:
    """`options` converted to the types that the constructor of `part` declares.

    `reserved` arguments are set by the program, not by settings. Raises `InputError` with one sentence, in which the
    part is called `owner`.
    """
    accepted = {name: option for name, option in options_of(part).items() if name not in reserved}
    for key in options:
        if key not in accepted:
            raise InputError(f"{key}: no such option of {owner}; {nearest(key, list(accepted))}")
    for key, option in accepted.items():
        if option.default is option.empty and key not in options:
            raise InputError(f"{owner} needs its option {key}; write a table of its name and {key}")
    if not options:
        return {}
    fields: dict[str, Any] = {key: (_readable(accepted[key].annotation), ...) for key in options}
    try:
        values = create_model("Options", **fields).model_validate(options)
    except ValidationError as error:
        raise InputError(sentence(error, options, f"{{}} of {owner}")) from None
    return {key: getattr(values, key) for key in options}


def name_in(kind: str, spec: Spec, names: Sequence[str]) -> str:
    """The name in a spec. Raises `InputError` if it has none, or one that is not among `names`."""
    name = spec if isinstance(spec, str) else spec.get("name")
    if not isinstance(name, str):
        raise InputError(f"{kind} {spec} has no name; choose one of {', '.join(names)}")
    return choose(kind, name, names)


def options_in(spec: Spec) -> dict[str, Any]:
    """The options in a spec: all but its name."""
    return {} if isinstance(spec, str) else {key: value for key, value in spec.items() if key != "name"}


def build(kind: str, table: Mapping[str, type[PartType]], spec: Spec, program: Mapping[str, Any]) -> PartType:
    """The part that a spec of the settings names, from the table of its kind.

    `program` holds arguments by name that the program sets where the constructor has them, such as `latent`. Raises
    `InputError` for a name or an option that the table or the part does not have.
    """
    name = name_in(kind, spec, list(table))
    part = table[name]
    set_here = {key: value for key, value in program.items() if key in options_of(part)}
    options = check_options(f"{kind} {name}", part, options_in(spec), list(set_here))
    return part(**options, **set_here)


def rebuild(table: Mapping[str, type[PartType]], spec: Mapping[str, Any]) -> PartType:
    """The part of which `spec` has the name and the settings, as `spec_of` gives them. Nothing is checked first."""
    return table[spec["name"]](**options_in(dict(spec)))


def spec_of(part: Part) -> dict[str, Any]:
    """Name and settings of a part, for a file from which `rebuild` makes it again."""
    return {"name": part.name, **part.settings()}


def _readable(annotation: Any) -> Any:
    """The annotation, or Any where pydantic cannot read it (a recursive type); the part then checks the value."""
    return annotation if TypeAdapter(annotation).pydantic_complete else Any


def _as_json(value: Any) -> Any:
    """A value with lists for tuples and plain tables for dataclasses and mappings, at every depth."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _as_json(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {key: _as_json(entry) for key, entry in value.items()}
    return [_as_json(entry) for entry in value] if isinstance(value, list | tuple) else value
