"""The result of a command."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """The result of a command: `values` for programs (`--json`), `text` for people.

    When the command could not do all of its work, `is_complete` is False and the command line exits with 1.
    """

    values: Mapping[str, Any]
    text: str
    is_complete: bool = True
