"""The commands of a run."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.cli.words import Folder, Json, say
from equipoise.errors import InputError

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG.toml] [KEY=VALUE]...",
        help="Settings: a TOML file first, if any, then single ones, which win.",
        show_default=False,
    ),
]

app = typer.Typer()


@app.command()
def train(words: Words = None, as_json: Json = False) -> None:
    """Train a method on images, score it and write a report.

    The same command goes on where it stopped. Settings are section.key: `equipoise show train` lists those of training,
    `equipoise show l-vae` those of a method.

    Examples:

      equipoise train data=dsprites method=l-vae train.steps=2000 train.seed=0 out=runs/first

      equipoise train data=path/to/images data.size=64 method=beta-vae method.beta=2

      equipoise train data=dsprites method=l-vae method.preset=paper_lvae
    """
    from equipoise import commands

    words = words or []
    config = Path(words.pop(0)) if words and "=" not in words[0] else None
    say(commands.train(config, words), as_json)


@app.command()
def evaluate(
    folders: Annotated[list[Path] | None, typer.Argument(metavar="[RUN]...", help="Folders of runs.")] = None,
    codes: Annotated[Path | None, typer.Option(help="An .npz with codes [N, D] and factors [N, K].")] = None,
    which: Annotated[list[str] | None, typer.Option(help="Metrics: default, all or a name; may be repeated.")] = None,
    convention: Annotated[str | None, typer.Option(help="default, carbonneau or locatello.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet: all scores as one table, a row a run and metric.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Score runs, or the codes in a file of any origin.

    The table has each score with its 95 % interval, its baseline, which is the score of shuffled codes where that is
    not zero, and the attainable score where binning keeps a perfect code below 1.

    Examples:

      equipoise evaluate runs/first --which all

      equipoise evaluate runs/first runs/second --to scores.csv

      equipoise evaluate --codes codes.npz --convention carbonneau
    """
    from equipoise import commands

    say(commands.evaluate(folders or [], codes, which or [], convention, to), as_json)


@app.command()
def encode(
    folder: Folder,
    images: Annotated[str, typer.Argument(help="A data set, a folder of images, an .npy or an .npz.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: <images>.codes.npz here.")] = None,
    as_json: Json = False,
) -> None:
    """Encode images with a trained run."""
    from equipoise import commands

    say(commands.encode(folder, images, out), as_json)


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN|STUDY", help="The folder of a run, or of a study.", show_default=False)
    ],
    explorer: Annotated[bool, typer.Option("--explorer", help="Also write the page with sliders.")] = False,
    as_json: Json = False,
) -> None:
    """Draw the report of a run again, or of a study's runs those that are missing: report.html and pictures."""
    from equipoise import commands

    say(commands.write_report(folder, explorer), as_json)


@app.command()
def explore(
    folder: Folder,
    serve: Annotated[bool, typer.Option("--serve", help="Serve it on this machine alone until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(help="With --serve: the port.")] = 8642,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
    as_json: Json = False,
) -> None:
    """Write a page with a slider for each latent, and open it.

    One file, explorer.html in the run's folder, which needs neither network nor server and can be sent to anyone: the
    trained nets are inside. It encodes pictures, moves and swaps latents, plays them, and saves PNG and GIF.

    Examples:

      equipoise explore runs/first

      equipoise explore runs/first --serve --port 8642
    """
    from equipoise import commands

    say(commands.explore(folder, "serve" if serve else "open" if browser else "nothing", port), as_json)


@app.command()
def export(
    folder: Folder,
    to: Annotated[str, typer.Option(help="safetensors, onnx or hub-folder.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="The new folder; default: RUN/export/<kind>.")] = None,
    as_json: Json = False,
) -> None:
    """Write the model of a run for others: a folder that `equipoise.load_model` reads, or ONNX graphs.

    A hub-folder also has the card of the model, with its scores, and pictures; nothing is uploaded.

    Examples:

      equipoise export runs/first

      equipoise export runs/first --to onnx --out graphs
    """
    from equipoise import commands

    say(commands.export(folder, to, out), as_json)


@app.command()
def toys(
    out: Annotated[Path, typer.Option(help="The folder for toys.json and the figures.")] = Path("runs/toys"),
    seeds: Annotated[int, typer.Option(help="Data sets of the ICA example; some eight seconds each.")] = 6,
    iterations: Annotated[int, typer.Option(help="Iterations of EM on each, 100 or more.")] = 700,
    as_json: Json = False,
) -> None:
    """Show on linear models how inference turns and prunes components, and what beta adds.

    With factorised posteriors, components that explain the data equally well are made orthogonal (1) and superfluous
    ones are pruned (2). In factor analysis beta changes how much this matters, not what is best; but weights that are
    fitted shrink with beta, and directions of little variance vanish (3). In over-complete ICA a true component is
    lost: at beta = 5 after fewer iterations than at beta = 1 (4). After Stühmer et al. (2020), appendix B.

    Examples:

      equipoise toys

      equipoise toys --seeds 1 --iterations 300 --out runs/toys-quick
    """
    try:
        from equipoise_toys.command import toys as run
    except ImportError:
        raise InputError("equipoise toys needs the package equipoise_toys; install equipoise again") from None

    say(run(out, seeds, iterations), as_json)
