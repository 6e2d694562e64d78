"""Errors that a user can fix. Each message states what was wrong, what was expected and what to do."""

import difflib
import math
from collections.abc import Iterable, Mapping
from importlib import import_module
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import ValidationError

Name = TypeVar("Name", bound=str)

LARGEST = 3.4028234663852886e38  # of single precision
LONGEST = 120  # characters of a value in a message


class InputError(ValueError):
    """Invalid input or settings. The command line prints the message and exits with 2.

    Example:
        >>> import equipoise as eq
        >>> try:
        ...     eq.load_data("dsprits")
        ... except eq.InputError as error:
        ...     print(error)
        data: no data set and no file or folder is called 'dsprits'; did you mean dsprites?
    """


class RunError(RuntimeError):
    """Work that started and could not be finished. The command line prints the message and exits with 1.

    Example:
        >>> import equipoise as eq
        >>> issubclass(eq.RunError, RuntimeError)
        True
    """


def choose(what: str, name: object, names: Iterable[Name]) -> Name:
    """Return `name` if it is one of these names. Raises `InputError` with the nearest of them otherwise."""
    names = list(names)
    for each in names:
        if each == name:
            return each
    raise InputError(f"{cut(str(name))}: no such {what}; {nearest(str(name), names)}")


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest of these names, or all of them."""
    names = list(names)
    near = difflib.get_close_matches(name, names, 1, 0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"choose one of {', '.join(names)}" if names else "there is none"


def import_package(name: str, otherwise: str) -> Any:
    """Return the module of a package that not every user has. Raises `InputError` with this sentence without it."""
    try:
        return import_module(name)
    except ImportError:
        raise InputError(otherwise) from None


def check_value(key: str, value: object) -> None:
    """Raise `InputError` for text, or a number in a setting, that a file or a tensor cannot hold."""
    if isinstance(value, dict | list | tuple):
        for entry in value.values() if isinstance(value, dict) else value:
            check_value(key, entry)
    elif isinstance(value, int) and not -(2**63) <= value < 2 ** (64 if key.endswith("seed") else 63):
        raise InputError(f"{key} is {short(value)}; expected a number of at most 64 bits")
    elif isinstance(value, float) and LARGEST < abs(value) < math.inf:
        raise InputError(f"{key} is {value}; expected a number that single precision can hold, up to {LARGEST:.1e}")
    elif isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise InputError(f"{key} is {short(value)}; expected text in UTF-8 without a null character")


def check_whole(key: str, value: object) -> None:
    """Raise `InputError` for anything but a whole number; True and False are none."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise InputError(f"{key} is {short(value)}; expected a whole number")


def check_finite(key: str, value: object) -> None:
    """Raise `InputError` for a number that is not finite, also in a list or table."""
    if isinstance(value, dict):
        for name, entry in value.items():
            check_finite(f"{key}.{name}", entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            check_finite(key, entry)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{key} is {value}; expected a finite number")


def short(value: object) -> str:
    """The value as Python writes it, with the middle left out if it is long."""
    return cut(repr(value))


def cut(text: str) -> str:
    """The text, with the middle left out if it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}...{text[-LONGEST // 4 :]}"


def fault(error: "ValidationError") -> str:
    """The first fault that pydantic found in a file: its place, if it has one, and what was expected."""
    detail = error.errors(include_url=False)[0]
    return ": ".join(filter(None, [".".join(map(str, detail["loc"])), detail["msg"][:1].lower() + detail["msg"][1:]]))


def sentence(error: "ValidationError", values: Mapping[str, object], name: str = "{}") -> str:
    """One sentence about invalid settings: the name of each, its value, and what pydantic expected.

    values: the input by field name. name: how messages name a field, such as "train.{}" or "{} of lp-nested".
    """
    problems: dict[str, str] = {}
    for detail in error.errors():
        field, *place = map(str, detail["loc"])
        value = values.get(field)
        if place and isinstance(value, dict):  # an entry of a table
            value = value.get(place[0])
            field = f"{field}.{place[0]}"
        reason = detail["msg"][:1].lower() + detail["msg"][1:]
        problem = f"is {short(value)}; {reason}" if str(detail["loc"][0]) in values else "is missing"
        problems.setdefault(field, f"{name.format(field)} {problem}")  # a union has an error for each of its members
    return "; ".join(problems.values())
