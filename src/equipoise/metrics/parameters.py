"""Checked parameters of the metrics: a metric takes values of the types in its signature, and refuses others."""

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np

from equipoise.errors import InputError, check_whole, choose, short


def check_parameters(function: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Check the keyword arguments of a metric against the types of its signature.

    Types other than numbers, truth values, names, generators and sequences of numbers are not checked.

    Raises:
        InputError: for the first argument of another type, with its name and value and what was expected.
    """
    parameters = inspect.signature(function).parameters
    for name, value in values.items():
        if name in parameters:
            _check(name, value, parameters[name].annotation)


def _check(name: str, value: Any, kind: Any) -> None:
    """Raise `InputError` if a value is not of a type, such as int, float | None or Literal["unit", "range"]."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        kinds = typing.get_args(kind)
        if (value is None and type(None) in kinds) or (
            np.random.Generator in kinds and isinstance(value, np.random.Generator)
        ):
            return
        for each in kinds:
            if each not in (type(None), np.random.Generator):
                _check(name, value, each)
    elif origin is Literal:
        choose(name, value, typing.get_args(kind))
    elif kind is int:
        check_whole(name, value)
        if name == "seed" and value < 0:
            raise InputError(f"seed = {value}: expected 0 or more")
    elif kind is float:
        if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
            raise InputError(f"{name} is {short(value)}; expected a finite number")
    elif kind is bool:
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{name} is {short(value)}; expected True or False")
    elif origin is Sequence:
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str | bytes):
            raise InputError(f"{name} is {short(value)}; expected a list of numbers")
        for each in value:
            _check(name, each, typing.get_args(kind)[0])
