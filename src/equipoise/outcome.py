"""What every command gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a command found or made: `values` for programs (`--json`), `text` for people."""

    values: Mapping[str, Any]
    text: str
