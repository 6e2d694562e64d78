"""Errors of pydantic become one sentence."""

from dataclasses import dataclass

import pytest
from pydantic import TypeAdapter, ValidationError

from equipoise.errors import sentence


@dataclass
class Part:
    """Fields of several types."""

    steps: int
    names: tuple[str, ...] | str
    table: dict[str, int]


def problem(values: dict[str, object]) -> ValidationError:
    """The error that pydantic raises for these values of a part."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Part).validate_python(values)
    return caught.value


def test_each_invalid_setting_is_named_once_with_its_value_and_what_was_expected() -> None:
    values: dict[str, object] = {"steps": "many", "names": 3, "table": {"a": 1, "b": "two"}}
    first, second, third = sentence(problem(values), values, "train.{}").split("; train")
    assert first == "train.steps is 'many'; input should be a valid integer, unable to parse string as an integer"
    assert second.startswith(".names is 3; input should be")
    assert third.startswith(".table.b is 'two'; input should be a valid integer")


def test_a_missing_setting_is_named() -> None:
    values: dict[str, object] = {"steps": 1, "names": "a"}
    assert sentence(problem(values), values, "{} of a part") == "table of a part is missing"
