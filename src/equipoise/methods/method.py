"""The contract of methods: a frozen dataclass of settings, and `build`, which returns an objective."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import ConfigDict

from equipoise.likelihoods.contract import Link
from equipoise.objective import Objective

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True)
"""Settings are checked and never converted: unknown keys, infinite numbers and text in place of a number are errors."""

Settings = Mapping[str, object]
"""Settings by `section.key`, such as {"train.lr": 1e-3}."""


@dataclass(frozen=True)
class Shape:
    """The sizes that an objective may depend on.

    Args:
        image: (C, H, W), channels, height and width of an image.
        latent: number of latent dimensions D.
        images: number of training images N.
        link: `identity` for vectors, see `likelihoods.contract`.

    Example:
        >>> Shape(image=(1, 64, 64), latent=10, images=737_280).latent
        10
    """

    image: tuple[int, int, int]
    latent: int
    images: int
    link: Link = None


@dataclass(frozen=True)
class Preset:
    """Settings that reproduce a publication or a variant.

    Args:
        why: what the settings reproduce, as one phrase.
        settings: values by `section.key`.

    Example:
        >>> Preset("a published length", {"train.steps": 150_000}).why
        'a published length'
    """

    why: str
    settings: Settings


Presets = Mapping[str, Preset]


class Method(Protocol):
    """A frozen dataclass of settings with a method `build`.

    The docstring of a method gives its loss in nats per image and its source. `defaults` are settings of other
    sections, such as `net.name`, that replace the library's defaults. `presets` are settings of publications by name. A
    method whose settings fix the number of latents has a property `latent`.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    defaults: ClassVar[Settings]
    presets: ClassVar[Presets]

    def build(self, shape: Shape) -> Objective:
        """Return the objective for images and latents of this shape. Raises `InputError` if the settings conflict."""
        ...


@runtime_checkable
class ChecksSettings(Protocol):
    """A method with settings that only some combinations use."""

    def check_new(self, objective: Objective, optimizer: str) -> None:
        """Raise `InputError` for settings that a new run may not have. Earlier runs with them can be opened."""
        ...


def of_vectors(method: type) -> Settings:
    """Return defaults for vectors, in place of those of a method and its presets, which are for images."""
    has_likelihood = "likelihood" in {field.name for field in dataclasses.fields(method)}
    return {"data.scaling": "standardize", "net.name": "mlp"} | ({"method.likelihood": "mse"} if has_likelihood else {})


def descriptions(kind: type) -> dict[str, str]:
    """Return the description of each setting of `kind`: its docstring, or the `description` of a `Field`."""
    # pydantic does not pass docstrings on to subclasses: search the class that declares the field.
    owners = [vars(owner).get("__pydantic_fields__", {}) for owner in kind.__mro__]
    result = {}
    for field in dataclasses.fields(kind):
        texts = (fields[field.name].description for fields in owners if field.name in fields)
        result[field.name] = " ".join(next((text for text in texts if text), "").split())
    return result


def presets(method: str) -> dict[str, Preset]:
    """Return the presets of `method` by name, as `presets.toml` lists them."""
    tables = _tables()
    result = {}
    for name, table in tables[method].items():
        settings = _flat(tables["shared"][table["based_on"]]) if "based_on" in table else {}
        result[name] = Preset(table["why"], settings | _flat(table))
    return result


@cache
def _tables() -> dict[str, Any]:
    """Return the contents of `presets.toml`."""
    return tomllib.loads(resources.files(__package__).joinpath("presets.toml").read_text(encoding="utf-8"))


def _flat(table: Mapping[str, Any]) -> dict[str, object]:
    """Return the settings of a table of sections by `section.key`."""
    sections = {name: values for name, values in table.items() if isinstance(values, dict)}
    return {f"{name}.{key}": value for name, values in sections.items() for key, value in values.items()}
