"""What the commands have in common: arguments, and how a result is said."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from equipoise.outcome import Outcome

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Study = Annotated[Path, typer.Argument(metavar="STUDY", help="The folder of a study.", show_default=False)]


def say(outcome: "Outcome", as_json: bool, key: str | None = None) -> None:
    """Print a result; exit with 1 if it is not all that was asked for, which its value `key` tells."""
    print(json.dumps(outcome.values, indent=1, default=str) if as_json else outcome.text)
    if key is not None and not outcome.values[key]:
        raise typer.Exit(1)
