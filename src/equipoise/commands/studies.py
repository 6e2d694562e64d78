"""The commands of studies: sweep, status, compare, select, search and reproduce."""

import dataclasses
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from equipoise.commands.arguments import Engine, Progress, StudyFolder
from equipoise.errors import InputError, choose
from equipoise.outcome import Outcome

if TYPE_CHECKING:
    from equipoise.study import Plan, State
    from equipoise.study.evidence.table import Evidence, Size


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The file of the study.", show_default=False)],
    workers: Annotated[
        int | None, typer.Option(help="Simultaneous runs; default: one for each core, here or in the cluster.")
    ] = None,
    engine: Engine = "local",
    gpus: Annotated[float, typer.Option(help="GPUs of a run, with ray or slurm; with ray also a fraction.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Retry failed runs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs, time a few steps, and stop.")] = False,
    progress: Progress = True,
) -> Outcome:
    """Train all runs of a study: every value of a list, every draw from a distribution, every seed.

    A study is a file of settings whose values may be lists:

      seeds = 3

      data.name = "dsprites"

      method.name = "beta-vae"

      method.beta = [1.0, 2.0, 4.0]

      train.steps = 20000

    The same command resumes the study after a kill, a crash or Ctrl-C, without repeating finished runs. Exits with 1
    unless all runs are done.

    Examples:

      equipoise sweep examples/study.toml --dry-run

      equipoise sweep examples/study.toml --workers 2

      equipoise sweep examples/study.toml --engine ray --gpus 0.25
    """
    from equipoise import study
    from equipoise.study.run.sweep import ENGINES

    name = choose("engine", engine, ENGINES)
    if dry_run:
        return _dry_run(study.read(file), workers, progress)
    with redirect_stdout(sys.stderr):  # Ray prints messages about its nodes
        states = study.sweep(file, workers=workers, engine=name, gpus=gpus, again=again, progress=progress)
    plan = study.read(file)
    outcome = _state(plan, states)
    lines = [outcome.text, f"wrote {plan.folder}"]
    if any(state.stage == "failed" for state in states):
        lines.append(f"errors are in {plan.folder / 'failures'}; the same command with --again repeats failed runs")
    if not all(state.is_over for state in states):
        lines.append("stopped; the same command resumes")
    return Outcome({**outcome.values, "wrote": str(plan.folder)}, "\n".join(lines), outcome.is_complete)


def status(
    folder: Annotated[
        Path, typer.Argument(metavar="STUDY|RUN", help="The folder of a study, or of a run.", show_default=False)
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Update until all runs have ended.")] = False,
    progress: Progress = True,
) -> Outcome:
    """Print the state of a study or run: runs done, running, waiting and failed with their errors, rate, time left.

    A run that is being trained is listed with machine and process. The command only reads the folder, so it works
    during a sweep, from any machine with access to the folder, and after a crash. Exits with 1 unless all runs are
    done.

    Examples:

      equipoise status studies/first

      equipoise status studies/first --watch

      equipoise status runs/first
    """
    from rich.console import Console

    from equipoise import study
    from equipoise.study.run import display
    from equipoise.study.run.status import Watch
    from equipoise.training.watch import signals

    is_run = (folder / "config.toml").is_file()
    plan = study.one_run(folder) if is_run else study.open_study(folder)
    states = Watch(plan)
    console = Console(stderr=True, quiet=not progress)
    with signals() as stop, display.live(console, states) as update:
        while watch and not stop.is_set() and not all(state.is_over for state in states()):
            update()
            time.sleep(1)
    return _state(plan, states())


def compare(
    folder: StudyFolder,
    metric: Annotated[
        list[str] | None, typer.Option(help="Metrics to show, or all; may be repeated. Default: the main six.")
    ] = None,
    to: Annotated[Path | None, typer.Option(help="A .csv, .parquet or .tex for the table.")] = None,
) -> Outcome:
    """Compare the finished runs of a study over seeds: means with intervals, pairwise differences, trade-offs.

    Writes compare.html, compare.csv and pictures/ to the study's folder. For runs that are not of one study,
    `equipoise evaluate RUN RUN --to scores.csv` writes their scores to one table.

    Examples:

      equipoise compare studies/first

      equipoise compare studies/first --metric mig --metric sap --to table.tex
    """
    from equipoise.files import write_bytes
    from equipoise.study.compare import page, tables
    from equipoise.study.compare.comparison import compare_results
    from equipoise.study.compare.results import read_results, rows
    from equipoise.study.folder import open_study

    if to is not None:
        tables.check(to)
    results, unfinished = read_results(open_study(folder))
    comparison = compare_results(folder, results, unfinished, metric or [])
    files = {folder / "compare.csv": tables.csv_of(rows(results)), **page.files(comparison)}
    if to is not None:
        files[to] = tables.contents(to, comparison)
    for path, content in files.items():
        write_bytes(path, content)
    others = [str(path) for path in files if path != folder / "compare.html"]
    text = f"{tables.text(comparison)}\nwrote {', '.join(others)} and the page; open {folder / 'compare.html'}"
    return Outcome({**tables.values(comparison), "wrote": [str(path) for path in files]}, text)


def select(folder: StudyFolder, progress: Progress = True) -> Outcome:
    """Rank the models of a study without labels, by UDR over seeds, and compare with the choice by labels, if any.

    UDR (unsupervised disentanglement ranking) measures how well the latents of a model match those of other seeds of
    the same setting. Three finished seeds are needed. Writes select.csv to the study's folder.

    Examples:

      equipoise select studies/first
    """
    from equipoise.study.compare.select import select

    return select(folder, progress)


def search(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The file of the search.", show_default=False)],
    workers: Annotated[int | None, typer.Option(help="Simultaneous runs; default: one for each core.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Retry failed runs.")] = False,
    progress: Progress = True,
) -> Outcome:
    """Search the settings that a file leaves open, with Optuna.

    The table [search] of a study file gives the metric to optimise. Its distributions and lists are the search space:

      [search]

      metric = "mig"

      trials = 20

    The same command resumes the search after a kill, or with more trials in the file. Exits with 1 unless every trial
    is finished or pruned.

    Examples:

      equipoise search examples/search.toml
    """
    from equipoise.files import write_bytes
    from equipoise.report.figures.saving import png, svg_file
    from equipoise.study.search import summary
    from equipoise.study.search.picture import draw
    from equipoise.study.search.search import search as search_file

    result = search_file(file, workers=workers, again=again, progress=progress)
    folder = result.space.folder
    files = {}
    if result.trials:
        files[folder / "search.csv"] = summary.csv(result)
    if result.best:
        picture = draw(result)
        files[folder / "pictures" / "search.svg"] = svg_file(picture, "search")
        files[folder / "pictures" / "search.png"] = png(picture)
    for path, content in files.items():
        write_bytes(path, content)
    paths = [str(path) for path in files]
    text = f"{summary.text(result)}\nwrote {', '.join(paths) or folder}"
    values = summary.values(result)
    return Outcome({**values, "wrote": paths}, text, is_complete=values["done"])


def reproduce(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="lvae-table2, lvae-table3, lvae-figure2, isa-figure5, progressive-robustness, dynamic-vs-beta, "
            "control-setpoint, board, claims, picking, tuning-regret, no-collapse, or all.",
            show_default=False,
        ),
    ],
    dataset: Annotated[str | None, typer.Option(help="The data set; default: the first of the table.")] = None,
    run: Annotated[bool, typer.Option("--run", help="Train its protocol, or the unfinished part of it.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="With --run: a fraction of its budget.")] = False,
    steps: Annotated[int | None, typer.Option(help="With --run: training steps.")] = None,
    seeds: Annotated[int | None, typer.Option(help="With --run: seeds of each setting.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="With --run: simultaneous runs; default: one for each core.")
    ] = None,
    add: Annotated[list[Path] | None, typer.Option(help="A run trained elsewhere; may be repeated.")] = None,
    results: Annotated[Path, typer.Option(help="The folder with scores and curves of runs.")] = Path("results"),
    to: Annotated[Path | None, typer.Option(help="A .md for the tables as a page, with figures beside it.")] = None,
    progress: Progress = True,
) -> Outcome:
    """Print a published table beside our results, or train its protocol first.

    Without --run the command only reads the results folder. With --run it trains the protocol as the study
    studies/<table>-<dataset>: the same command resumes it after a kill, and a longer run extends a shorter one.

    Examples:

      equipoise reproduce lvae-table2 --dataset dsprites

      equipoise reproduce lvae-table2 --run --quick --seeds 2

      equipoise reproduce all --to docs/results.md

      equipoise reproduce no-collapse --run --quick

      equipoise reproduce board --to docs/board.md
    """
    from equipoise.study.evidence import EVIDENCE
    from equipoise.study.evidence.table import Size
    from equipoise.study.published import formats, reproduce
    from equipoise.study.published.record import read_all

    tables = reproduce.TABLES
    choose("table", table, [*tables, *EVIDENCE, reproduce.ALL])
    size = quick or steps is not None or seeds is not None
    if (workers is not None or (table not in EVIDENCE and size)) and not run:
        raise InputError("--quick, --steps, --seeds and --workers change the training; add --run, or remove them")
    if to is not None and to.suffix != ".md":
        raise InputError(f"--to is {to}; give a file that ends in .md")
    if table == reproduce.ALL and (run or add or dataset):
        raise InputError("all only prints stored runs; name one table to train it, to add runs or to choose its data")
    if table in EVIDENCE:
        if dataset or add:
            raise InputError(f"{table} has its own data sets and runs; leave --dataset and --add out")
        return _evidence(EVIDENCE[table], Size(quick, steps, seeds), run, workers, results, to, progress)
    files: list[Path] = []
    unfinished = 0
    if table == reproduce.ALL:
        pairs = [(each, data) for each in tables.values() for data in each.rows]
    else:
        one = tables[table]
        data = choose("data set of this table", dataset or next(iter(one.rows)), one.rows)
        pairs = [(one, data)]
        files += reproduce.add_runs(one, data, add or [], results)
        if run:
            contents = reproduce.protocol(one, data, quick, steps, seeds)
            unfinished = reproduce.train(contents, workers, results, progress)
            files.append(results)
    records = read_all(results)
    if table == reproduce.ALL:
        pairs = [(each, data) for each, data in pairs if any(each.runs(data, records).values())]
    text = "\n\n".join(formats.text(*pair, records) for pair in pairs) or f"{results} has no runs of these tables"
    text += _where(results)
    if to is not None:
        files += reproduce.write_page(to, pairs, records)
    paths = [str(path) for path in files]
    if unfinished:
        text += f"\n{unfinished} runs are not finished; the same command resumes them"
    if paths:
        text += f"\nwrote {', '.join(paths)}"
    values = {"tables": [formats.values(*pair, records) for pair in pairs], "wrote": paths, "done": not unfinished}
    return Outcome(values, text, is_complete=not unfinished)


def _evidence(
    table: "Evidence", size: "Size", run: bool, workers: int | None, results: Path, to: Path | None, progress: bool
) -> Outcome:
    """The page of a table of evidence, after the training of its runs; the same command resumes them."""
    from equipoise.study.evidence.table import count_missing, folder, train, write

    paths = []
    if run:
        train(table, size, results, workers, progress)
        first, *_ = table.studies(size)
        paths += [Path(first["out"]), folder(first, results)]
    page = table.page(results, size)
    lines = [page.text + _where(results)]
    if to is not None:
        paths += write(page, to)
    if not page.is_complete:
        missing = count_missing(table, size, results)
        below = "all runs are finished, and some are below what the table requires"
        lines.append(f"missing runs: {missing}; --run trains them" if missing else below)
    if paths:
        lines.append(f"wrote {', '.join(map(str, paths))}")
    values = {**page.values, "wrote": [str(path) for path in paths], "done": page.is_complete}
    return Outcome(values, "\n".join(lines), is_complete=page.is_complete)


def _where(results: Path) -> str:
    """A note that the folder of results does not exist, so that its tables lack our runs; or nothing."""
    note = f"\nnote: There is no folder {results}. Our runs are in the folder results of the repository."
    return "" if results.is_dir() else note


def _dry_run(plan: "Plan", workers: int | None, progress: bool) -> Outcome:
    """What a sweep of this plan would do: its runs, the settings that vary, and how long it takes here."""
    from equipoise.study.run import display, estimate
    from equipoise.study.run.status import Watch
    from equipoise.study.run.sweep import check_plan, check_workers, default_workers

    check_workers(workers)
    check_plan(plan)
    states = Watch(plan)()
    remaining = [(plan.runs[each.run], each.steps - each.step) for each in states if not each.is_over]
    slots = workers or default_workers(plan)
    seconds = estimate.seconds(remaining, slots, progress)
    steps = sum(left for _, left in remaining)
    lines = [
        *display.listing(plan, states),
        f"{display.summary(states)}; {steps:,} steps of training left",
        f"about {display.duration(seconds)} of training, {slots} at once",
        f"nothing was done; without --dry-run the runs are written to {plan.folder}",
    ]
    runs = [{"run": run, **config.flat()} for run, config in plan.runs.items()]
    values = {"study": str(plan.folder), "varied": plan.varied, "seconds": seconds, "steps": steps, "runs": runs}
    return Outcome(values, "\n".join(lines))


def _state(plan: "Plan", states: Sequence["State"]) -> Outcome:
    """The stage of each run of a study, as an outcome that is complete when all are done."""
    from equipoise.study.run import display

    is_done = all(state.stage == "done" for state in states)
    runs = [dataclasses.asdict(state) for state in states]
    text = "\n".join([f"{plan.folder}: {display.summary(states)}", *display.lines(states)])
    return Outcome({"study": str(plan.folder), "done": is_done, "runs": runs}, text, is_done)
