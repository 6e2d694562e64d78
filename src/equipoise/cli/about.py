"""The commands that say what there is."""

from typing import Annotated

import typer

from equipoise.cli.words import Json, say
from equipoise.errors import choose

app = typer.Typer()


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(metavar="methods|metrics|data|nets", help="What to list.")],
    as_json: Json = False,
) -> None:
    """List what there is, a line each."""
    from equipoise import commands

    kinds: dict[str, commands.Kind] = {"methods": "methods", "metrics": "metrics", "data": "data", "nets": "nets"}
    say(commands.listing(kinds[choose("list", kind, kinds)]), as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A method, metric, data set, net or section of settings.")],
    as_json: Json = False,
) -> None:
    """Explain one thing: what is minimised or measured, its settings with reasons, its source."""
    from equipoise import commands

    say(commands.show(name), as_json)
