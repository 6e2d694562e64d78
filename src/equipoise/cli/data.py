"""The commands of data sets and images."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.cli.words import Json, say

NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A data set, or the path of images.")]

app = typer.Typer(help="Data sets and images of your own.", no_args_is_help=True)


@app.command("list")
def data_list(as_json: Json = False) -> None:
    """List the data sets: their images, the sizes of their factors, where they come from, whether they are here."""
    from equipoise import commands

    say(commands.data_list(), as_json)


@app.command("info")
def data_info(
    name: NameOrPath,
    out: Annotated[Path | None, typer.Option(help="Where to write the picture; default: NAME.png here.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a data set, or a path of images, holds, and how to get it; with a picture of some of its images.

    Examples:

      equipoise data info dsprites

      equipoise data info path/to/images --out some-of-them.png
    """
    from equipoise import commands

    say(commands.data_info(name, out), as_json)


@app.command("add")
def data_add(
    name: Annotated[str, typer.Argument(help="A data set that is published as files.")],
    given: Annotated[
        Path | None, typer.Option("--from", help="The published file, or the folder of files, instead of fetching.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch a data set and convert it once for all runs.

    The same command goes on where it stopped. Every file is compared with what is published of it before it is read.
    Sets are kept in the folder that EQUIPOISE_CACHE names, by default ~/.cache/equipoise.

    Examples:

      equipoise data add shapes3d

      equipoise data add mpi3d-real --from ~/Downloads/mpi3d_real.npz
    """
    from equipoise import commands

    say(commands.data_add(name, given), as_json)


@app.command("render")
def data_render(
    name: NameOrPath,
    out: Annotated[
        Path | None, typer.Option(help="A file .npz, or a folder for pictures; default: NAME.npz here.")
    ] = None,
    n: Annotated[int | None, typer.Option(help="So many images drawn at random; default: all.")] = None,
    as_json: Json = False,
) -> None:
    """Write the images of a data set and their factors for other programs.

    A file .npz holds images [N, C, H, W], factors [N, K] and factor_names; a folder holds a .png for each image and
    factors.csv. Either can be trained on again by its path.

    Examples:

      equipoise data render dsprites --n 1000 --out sprites

      equipoise data render rooms3d --out rooms3d.npz
    """
    from equipoise import commands

    say(commands.data_render(name, out, n), as_json)


@app.command("check")
def data_check(name: NameOrPath, as_json: Json = False) -> None:
    """Read a data set, or a path of images, from its first image to its last, and say whether it is whole.

    A line for each check; exit 1 if one of them fails.

    Examples:

      equipoise data check shapes3d

      equipoise data check path/to/images
    """
    from equipoise import commands

    say(commands.data_check(name), as_json, "passed")
