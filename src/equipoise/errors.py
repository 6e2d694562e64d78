"""Errors that a user can fix. Each message states what was wrong, what was expected and what to do."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


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


def choose(what: str, name: object, known: Iterable[str]) -> str:
    """Return `name` if it is one of the known names. Raises `InputError` with the nearest known name otherwise."""
    known = list(known)
    if name in known:
        return str(name)
    raise InputError(f"{name}: no such {what}; {nearest(str(name), known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known name, or all known names."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"choose one of {', '.join(known)}" if known else "there is none"


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
        problem = f"is {value!r}; {reason}" if str(detail["loc"][0]) in values else "is missing"
        problems.setdefault(field, f"{name.format(field)} {problem}")  # a union has an error for each of its members
    return "; ".join(problems.values())
