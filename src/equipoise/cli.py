"""The command line: it only parses. What a command does is in `commands`, imported when it is asked for."""

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.errors import InputError, RunError, choose

if TYPE_CHECKING:
    from equipoise.outcome import Outcome

app = typer.Typer(
    help="Disentangled representation learning with variational autoencoders whose trade-off tunes itself.",
    epilog="First steps:  equipoise train data=dsprites method=l-vae train.steps=2000 out=runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data = typer.Typer(help="Data sets and images of your own.", no_args_is_help=True)
app.add_typer(data, name="data")

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CONFIG.toml] [KEY=VALUE]...",
        help="Settings: a TOML file first, if any, then single ones, which win.",
        show_default=False,
    ),
]
NameOrPath = Annotated[str, typer.Argument(metavar="NAME|PATH", help="A data set, or the path of images.")]
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
Study = Annotated[Path, typer.Argument(metavar="STUDY", help="The folder of a study.", show_default=False)]


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
    _say(commands.train(config, words), as_json)


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

    _say(commands.evaluate(folders or [], codes, which or [], convention, to), as_json)


@app.command()
def encode(
    folder: Folder,
    images: Annotated[str, typer.Argument(help="A data set, a folder of images, an .npy or an .npz.")],
    out: Annotated[Path | None, typer.Option(help="Where to write; default: <images>.codes.npz here.")] = None,
    as_json: Json = False,
) -> None:
    """Encode images with a trained run."""
    from equipoise import commands

    _say(commands.encode(folder, images, out), as_json)


@app.command()
def report(folder: Folder, as_json: Json = False) -> None:
    """Draw the report of a run again: pictures and report.html."""
    from equipoise import commands

    _say(commands.write_report(folder), as_json)


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
    from equipoise import commands

    _say(commands.toys(out, seeds, iterations), as_json)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The study.", show_default=False)],
    workers: Annotated[
        int | None, typer.Option(help="Runs at once; by default one a core, here or in the cluster.")
    ] = None,
    engine: Annotated[str, typer.Option(help="local, ray or slurm.")] = "local",
    gpus: Annotated[float, typer.Option(help="GPUs of a run, with ray or slurm; with ray also a part of one.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Try runs once more that were given up.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs, time a few steps, and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Train all runs of a study: every value of a list, every draw from a distribution, every seed.

    A file of settings whose values may be lists:

      seeds = 3

      data.name = "dsprites"

      method.name = "beta-vae"

      method.beta = [1.0, 2.0, 4.0]

      train.steps = 20000

    The same command goes on after a kill, a crash or Ctrl-C; no finished run is repeated. Exit 1 unless all are done.

    Examples:

      equipoise sweep examples/study.toml --dry-run

      equipoise sweep examples/study.toml --workers 2

      equipoise sweep examples/study.toml --engine ray --gpus 0.25
    """
    from equipoise import commands

    engines: dict[str, commands.EngineName] = {"local": "local", "ray": "ray", "slurm": "slurm"}
    chosen = engines[choose("engine", engine, engines)]
    if dry_run:
        _say(commands.describe(file, workers), as_json)
        return
    _say_study(commands.sweep(file, workers, chosen, gpus, again), as_json)


@app.command()
def status(
    folder: Study,
    watch: Annotated[bool, typer.Option("--watch", help="Show it live until all runs are over.")] = False,
    as_json: Json = False,
) -> None:
    """Say how far a study is: runs done, running, waiting and failed with their reasons, rate, time left.

    It reads the folder alone, so it works beside a sweep, from any machine that sees the folder, and after a crash.
    Exit 1 unless all runs are done.

    Examples:

      equipoise status studies/first

      equipoise status studies/first --watch
    """
    from equipoise import commands

    _say_study(commands.status(folder, watch), as_json)


@app.command()
def compare(
    folder: Study,
    metric: Annotated[list[str] | None, typer.Option(help="Metrics to show, or all; may be repeated.")] = None,
    to: Annotated[Path | None, typer.Option(help="A .csv, .parquet or .tex for the table.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the finished runs of a study over seeds: means with intervals, who is better how surely, trade-offs.

    It writes compare.html, compare.csv and pictures/ into the study's folder.

    Examples:

      equipoise compare studies/first

      equipoise compare studies/first --metric mig --metric sap --to table.tex
    """
    from equipoise import commands

    _say(commands.compare(folder, metric or [], to), as_json)


@app.command()
def select(folder: Study, as_json: Json = False) -> None:
    """Rank the models of a study without labels, by UDR over seeds, beside what labels would have chosen.

    Example:  equipoise select studies/first
    """
    from equipoise import commands

    _say(commands.select(folder), as_json)


@app.command("list")
def list_(
    kind: Annotated[str, typer.Argument(metavar="methods|metrics|data|nets", help="What to list.")],
    as_json: Json = False,
) -> None:
    """List what there is, a line each."""
    from equipoise import commands

    kinds: dict[str, commands.Kind] = {"methods": "methods", "metrics": "metrics", "data": "data", "nets": "nets"}
    _say(commands.listing(kinds[choose("list", kind, kinds)]), as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A method, metric, data set, net or section of settings.")],
    as_json: Json = False,
) -> None:
    """Explain one thing: what is minimised or measured, its settings with reasons, its source."""
    from equipoise import commands

    _say(commands.show(name), as_json)


@data.command("list")
def data_list(as_json: Json = False) -> None:
    """List the data sets: their images, the sizes of their factors, where they come from, whether they are here."""
    from equipoise import commands

    _say(commands.data_list(), as_json)


@data.command("info")
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

    _say(commands.data_info(name, out), as_json)


@data.command("add")
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

    _say(commands.data_add(name, given), as_json)


@data.command("render")
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

    _say(commands.data_render(name, out, n), as_json)


@data.command("check")
def data_check(name: NameOrPath, as_json: Json = False) -> None:
    """Read a data set, or a path of images, from its first image to its last, and say whether it is whole.

    A line for each check; exit 1 if one of them fails.

    Examples:

      equipoise data check shapes3d

      equipoise data check path/to/images
    """
    from equipoise import commands

    outcome = commands.data_check(name)
    _say(outcome, as_json)
    if not outcome.values["passed"]:
        raise typer.Exit(1)


def main() -> None:
    """The entry point: errors a user can mend are one sentence, and exit 2 (usage, input) or 1 (failed)."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"note: {message}", file=sys.stderr)
            app()
    except InputError as error:
        print(f"equipoise: {error}", file=sys.stderr)
        sys.exit(2)
    except RunError as error:
        print(f"equipoise: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, a folder that may not be written: what the system says is the reason
        print(f"equipoise: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _say(outcome: "Outcome", as_json: bool) -> None:
    print(json.dumps(outcome.values, indent=1, default=str) if as_json else outcome.text)


def _say_study(outcome: "Outcome", as_json: bool) -> None:
    _say(outcome, as_json)
    if not outcome.values["done"]:
        raise typer.Exit(1)
