"""The result of a command, and tables in its text."""

from collections.abc import Mapping, Sequence
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


def align(rows: Sequence[Sequence[str]], right: slice) -> list[str]:
    """Return the rows of a table as lines, with the cells of the columns `right` aligned on the right."""
    columns = []
    for number, cells in enumerate(zip(*rows, strict=True)):
        width = max(map(len, cells))
        side = ">" if number in range(len(rows[0]))[right] else "<"
        columns.append([f"{cell:{side}{width}}" for cell in cells])
    return ["  ".join(line).rstrip() for line in zip(*columns, strict=True)]
