"""The errors a user can mend: each message says what was wrong, what was expected and what to do."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input or settings that cannot be used; the command line prints the message alone and exits with 2."""


class RunError(RuntimeError):
    """Work that was begun and could not be finished; the command line prints the message alone and exits with 1."""


def choose(what: str, name: object, known: Iterable[str]) -> str:
    """`name`, if it is among the known ones; otherwise an `InputError` with the nearest of them."""
    known = list(known)
    if name in known:
        return str(name)
    raise InputError(f"{name}: no such {what}; {nearest(str(name), known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say about a name that is not known: the nearest one that is, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    if near:
        return f"did you mean {near[0]}?"
    return f"choose one of {', '.join(known)}" if known else "there is none"
