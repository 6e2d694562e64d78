"""The commands of studies."""

from pathlib import Path
from typing import Annotated

import typer

from equipoise.cli.words import Json, Study, say
from equipoise.errors import choose

app = typer.Typer()


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
        say(commands.describe(file, workers), as_json)
        return
    say(commands.sweep(file, workers, chosen, gpus, again), as_json, "done")


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

    say(commands.status(folder, watch), as_json, "done")


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

    say(commands.compare(folder, metric or [], to), as_json)


@app.command()
def select(folder: Study, as_json: Json = False) -> None:
    """Rank the models of a study without labels, by UDR over seeds, beside what labels would have chosen.

    Example:  equipoise select studies/first
    """
    from equipoise import commands

    say(commands.select(folder), as_json)


@app.command()
def search(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The search.", show_default=False)],
    workers: Annotated[int | None, typer.Option(help="Runs at once; by default one a core.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Try failed runs once more.")] = False,
    as_json: Json = False,
) -> None:
    """Search the settings a file leaves open: Optuna proposes, runs try, the folder remembers.

    A study file whose table [search] says what is looked for, and whose distributions and lists say where:

      [search]

      metric = "mig"

      trials = 20

    The same command goes on after a kill, or with more trials in the file. Exit 1 unless every trial is finished or
    pruned.

    Example:  equipoise search examples/search.toml
    """
    from equipoise import commands

    say(commands.search(file, workers, again), as_json, "done")


@app.command()
def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="lvae-table2, lvae-table3, lvae-figure2, isa-figure5, progressive-robustness, dynamic-vs-beta, "
            "control-setpoint, or all.",
            show_default=False,
        ),
    ],
    dataset: Annotated[str | None, typer.Option(help="The data set; by default the first of the table.")] = None,
    run: Annotated[bool, typer.Option("--run", help="Train its protocol, or what is still to do.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="With --run: a fraction of its budget.")] = False,
    steps: Annotated[int | None, typer.Option(help="With --run: so many training steps.")] = None,
    seeds: Annotated[int | None, typer.Option(help="With --run: so many seeds of each setting.")] = None,
    workers: Annotated[int | None, typer.Option(help="With --run: runs at once; by default one a core.")] = None,
    add: Annotated[list[Path] | None, typer.Option(help="A run made elsewhere; may be repeated.")] = None,
    results: Annotated[Path, typer.Option(help="Where scores and curves of runs are kept.")] = Path("results"),
    to: Annotated[Path | None, typer.Option(help="A .md for the tables as a page, with figures beside it.")] = None,
    as_json: Json = False,
) -> None:
    """Show a published table beside what we get, or train its protocol first.

    Without --run it only reads what is kept in results/. With it the protocol is a study in studies/<table>-<dataset>:
    the same command goes on after a kill, and a longer run goes on from a shorter one.

    Examples:

      equipoise reproduce lvae-table2 --dataset dsprites

      equipoise reproduce lvae-table2 --run --quick --seeds 2

      equipoise reproduce all --to docs/results.md
    """
    from equipoise import commands

    found = commands.reproduce(
        table,
        dataset,
        run=run,
        quick=quick,
        steps=steps,
        seeds=seeds,
        workers=workers,
        add=add or [],
        results=results,
        to=to,
    )
    say(found, as_json, "done")
