"""The commands of a run: train, evaluate, encode, report, explore, export and check."""

import functools
import json
import math
import os
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from equipoise.commands.arguments import Beta, Progress, RunFolder, keep_input, open_run, settings_of
from equipoise.errors import InputError
from equipoise.files import write_bytes, write_text
from equipoise.outcome import Outcome, align

if TYPE_CHECKING:
    from equipoise.metrics import Score


def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG.toml] [KEY=VALUE]...",
            help="Settings: a TOML file, if any, then single settings, which override it.",
            show_default=False,
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="Time for training, such as 10m, 90s or 1h: sets the steps from the measured speed."),
    ] = None,
    progress: Progress = True,
) -> Outcome:
    """Train a method on images, score it and write a report.

    Without a method, the settings are chosen from the images and the machine, for about ten minutes of training. The
    same command resumes an interrupted run. Settings are section.key: `equipoise show train` lists those of
    training, `equipoise show l-vae` those of a method.

    Examples:

      equipoise train data=path/to/images

      equipoise train data=dsprites method=l-vae train.steps=2000 train.seed=0 out=runs/first

      equipoise train data=path/to/images data.size=64 method=beta-vae method.beta=2 --budget 30m

      equipoise train data=dsprites method=l-vae method.preset=paper_lvae

      equipoise train data=table.csv data.factors=[kind] --budget 5m
    """
    from rich.console import Console

    from equipoise import automatic, config, runs
    from equipoise.methods import METHODS
    from equipoise.report import notes

    words = words or []
    file = words[:1] if words and "=" not in words[0] else []
    if file and Path(file[0]).suffix.lower() != ".toml" and not Path(file[0]).is_file():
        kind = "the method as method" if file[0] in METHODS else "images as data"
        raise InputError(f"{file[0]} is not a file of settings in TOML; give {kind}={file[0]}")
    settings = (config.read(Path(file[0])) if file else {}) | settings_of(words[len(file) :])
    console = Console(stderr=True, quiet=not progress)
    show = functools.partial(console.print, markup=False, highlight=False, soft_wrap=True)
    start = automatic.complete(settings, budget=budget, show=show)
    run = runs.execute(start.config, start=start, progress=progress)
    last = run.logs[-1] if run.logs else {"step": run.config.train.steps, "seconds": math.nan}
    lines = [
        f"{run.config.method.name} on {run.config.data.name}: {last['step']:,} steps in {last['seconds']:,.0f} s",
        *([_table(run.scores)] if run.scores else []),
        *(f"note: {note}" for note in notes(run)),
        f"wrote {run.path}; open {run.path / 'report.html'}",
    ]
    values = {"run": str(run.path), "report": str(run.path / "report.html"), "scores": _values(run.scores)}
    return Outcome(values, "\n".join(lines))


def evaluate(
    folders: Annotated[list[Path] | None, typer.Argument(metavar="[RUN]...", help="Folders of runs.")] = None,
    codes: Annotated[
        Path | None,
        typer.Option(
            help="Codes of any model: an .npz with codes or mean [N, D] and, if known, factors [N, K]; a .csv or "
            ".parquet with the columns z0, z1 and so on, and a column for each factor; or an .npy without factors."
        ),
    ] = None,
    which: Annotated[
        list[str] | None, typer.Option(help="Metrics: default, all or a name; repeated: their union.")
    ] = None,
    convention: Annotated[
        str | None,
        typer.Option(
            help="Parameters of the metrics: default (the published definitions), carbonneau or locatello. Unset: "
            "those of the run, and default with --codes."
        ),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet for all scores, with a row for each run and metric.")
    ] = None,
    beta: Beta = None,
    progress: Progress = True,
) -> Outcome:
    """Score runs, or codes from any program.

    The table gives each score with its 95 % interval and the score of half the rows; the difference of the two is about
    the bias. The baseline is the score of shuffled codes (mean and standard deviation), where it is not zero. The
    attainable score is that of a perfect code, where binning keeps it below 1. Compare only scores of the same
    convention.

    Examples:

      equipoise evaluate runs/first --which all

      equipoise evaluate runs/first runs/second --to scores.csv

      equipoise evaluate --codes codes.npz --convention carbonneau

      equipoise evaluate runs/rates --beta 2
    """
    from rich.console import Console

    from equipoise import codes as coding
    from equipoise import scoring
    from equipoise.claim import hold
    from equipoise.metrics import table

    if bool(folders) == bool(codes):
        raise InputError("evaluate takes the folders of runs, or --codes FILE; give one of the two")
    if codes is not None and beta is not None:
        raise InputError("--beta is for runs of mr-vae, and --codes are those of one beta; leave one of the two out")
    if to is not None:
        table.check(to)
    names = tuple(which) if which else None
    values: dict[str, Any] = {}
    lines: list[str] = []
    rows: list[dict[str, Any]] = []
    if codes is not None:
        scores = scoring.score_codes(coding.read_to_score(codes), names or "default", convention or "default")
        target = codes.with_suffix(".scores.json")
        write_text(target, json.dumps(_values(scores), indent=1))
        values = {"scores": _values(scores), "wrote": str(target)}
        rows = table.rows(scores, str(codes), convention or "default")
        lines = [f"{codes}, convention {convention or 'default'}", _table(scores), f"wrote {target}"]
    console = Console(stderr=True, quiet=not progress)
    for folder in folders or []:
        run = open_run(folder).at(beta)
        with hold(folder):
            scores = scoring.evaluate(run, which=names, convention=convention, console=console)
        values[str(folder)] = _values(scores)
        applied = convention or run.config.evaluate.convention
        rows += table.rows(scores, str(folder), applied)
        lines += [f"{folder}, convention {applied}", _table(scores), f"wrote {run.results / 'scores.json'}"]
    if to is not None:
        write_bytes(to, table.contents(to, rows))
        lines.append(f"wrote {to}")
    return Outcome(values, "\n".join(lines))


def encode(
    folder: RunFolder,
    images: Annotated[
        str, typer.Argument(help="A data set, a folder of images, an image, an .npy, an .npz or a table.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="An .npz, .npy, .csv or .parquet; default: <images>.codes.npz here.")
    ] = None,
    beta: Beta = None,
) -> Outcome:
    """Encode images with a trained run.

    An .npz gets index, mean, logvar and z [N, D], and the reconstruction error of each image; an .npy the means. A .csv
    or .parquet is a table of the means with a row for each image. Names of image files and known factors are written
    beside the codes, except to an .npy. The values of a factor that is not continuous are numbered from 0, in their
    order. Images are preprocessed like those of the run, and columns of a table are matched by name.

    Examples:

      equipoise encode runs/first path/to/images --out codes.csv

      equipoise encode runs/first photo.png
    """
    from equipoise import codes as coding
    from equipoise.training import checkpoint

    target = out or Path(f"{Path(images).stem}.codes.npz")
    coding.check_kind(target)
    keep_input(target, images)
    run = open_run(folder)
    codes = run.encode(images, beta)
    coding.write(target, codes, checkpoint.digest(folder / "checkpoint.pt"))
    count = len(codes["index"])
    what = "image" if run.scaling is None else "vector"
    text = f"encoded {count:,} {what}{'' if count == 1 else 's'} into {run.model.latent} latents\nwrote {target}"
    return Outcome({"wrote": str(target), "images": count, "latents": run.model.latent}, text)


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN|STUDY", help="The folder of a run, or of a study.", show_default=False)
    ],
    explorer: Annotated[bool, typer.Option("--explorer", help="Also write the page with sliders.")] = False,
    beta: Beta = None,
) -> Outcome:
    """Write the report of a run again, or the missing reports of the runs of a study: report.html and pictures.

    Examples:

      equipoise report runs/first

      equipoise report studies/first --explorer
    """
    from equipoise import runs
    from equipoise.claim import Claimed, hold
    from equipoise.report import explorer as sliders
    from equipoise.report import write

    is_run = (folder / "config.toml").is_file()
    if is_run:
        folders, page = [folder], "report.html"
    else:
        page = "explorer.html" if explorer else "report.html"
        scored = sorted(path.parent for path in folder.rglob("codes.npz") if (path.parent / "config.toml").is_file())
        if not scored:
            raise InputError(f"{folder} is not a run and contains no scored run; give the folder of a run or a study")
        results = [path if beta is None else runs.open_run(path).at(beta).results for path in scored]
        folders = [path for path, pages in zip(scored, results, strict=True) if not (pages / page).exists()]
    pages, busy = [], []
    for run in (open_run(path).at(beta) for path in folders):
        try:
            with hold(run.path):
                pages += [write(run), *([sliders.write(run)] if explorer else [])]
        except Claimed as error:
            if is_run:
                raise
            busy.append(str(error))
    lines = [*busy, *(f"wrote {path}" for path in pages)]
    lines = lines or [f"every run in {folder} has its {page}; nothing was done"]
    return Outcome({"wrote": [str(path) for path in pages], "in_use": busy}, "\n".join(lines), is_complete=not busy)


def explore(
    folder: RunFolder,
    serve: Annotated[bool, typer.Option("--serve", help="Serve it to this machine only, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(help="With --serve: the port.")] = 8642,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
) -> Outcome:
    """Write a page with a slider for each latent, and open it.

    The page is one file, explorer.html in the run's folder. It contains the trained nets and needs neither network nor
    server. It encodes images, changes, swaps and animates latents, and saves PNG. On a machine without a display the
    page is not opened.

    Examples:

      equipoise explore runs/first

      equipoise explore runs/first --serve --port 8642
    """
    from rich.console import Console

    from equipoise.claim import hold
    from equipoise.report import explorer

    run = open_run(folder)
    explorer.check_port(port)
    console = Console(stderr=True)
    with hold(folder), console.status("writing the explorer"):
        path = explorer.write(run)
    size = path.stat().st_size
    lines = [f"{size / 1e6:.1f} MB in one file, which needs no network"]
    is_open = False
    if serve:
        console.print(f"serving {path} at http://127.0.0.1:{port}/; stop with Ctrl-C", markup=False, soft_wrap=True)
        explorer.serve(path, port)
    elif browser:
        is_open = _has_display() and webbrowser.open(path.resolve().as_uri())
        if not is_open:
            lines.append(f"no browser could be opened; copy the file, or use --serve and a tunnel to port {port}")
    return Outcome({"wrote": str(path), "bytes": size, "opened": is_open}, "\n".join([*lines, f"wrote {path}"]))


def export(
    folder: RunFolder,
    to: Annotated[str, typer.Option(help="safetensors, onnx or hub-folder.")] = "safetensors",
    out: Annotated[Path | None, typer.Option(help="The new folder; default: RUN/export/<kind>.")] = None,
    beta: Beta = None,
) -> Outcome:
    """Export the model of a run: to a folder that `equipoise.load_model` reads, or to ONNX graphs.

    A hub-folder also has a model card with the scores, and pictures. The command does not upload anything.

    Examples:

      equipoise export runs/first

      equipoise export runs/first --to onnx --out graphs
    """
    from equipoise import export as exports

    written = exports.write(open_run(folder), to, out, beta)
    sizes = {path.relative_to(written.folder).as_posix(): path.stat().st_size for path in written.files}
    lines = [f"  {name:<28} {size:>12,} bytes" for name, size in sorted(sizes.items())]
    values: dict[str, Any] = {"run": str(folder), "to": to, "files": sizes, "wrote": str(written.folder)}
    if written.largest_difference is not None:
        values["largest_difference"] = written.largest_difference
    return Outcome(values, "\n".join([*lines, *written.remarks, f"wrote {written.folder}"]))


def check(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN|FOLDER", help="The folder of a run, or of several.", show_default=False)
    ],
) -> Outcome:
    """Check every file of a run, or of all runs in a folder. Nothing is changed.

    Compares settings, data, checkpoint, log, codes and scores with each other, and the checkpoint with its digest.
    Exits with 1 if a file is damaged, missing or belongs to another checkpoint.

    Examples:

      equipoise check runs/first

      equipoise check studies/first
    """
    from equipoise.audit import audit, find_runs

    audits = [audit(run) for run in find_runs(folder)]
    if not audits:
        raise InputError(f"{folder} has no run in it; give the folder of a run, or of several")
    lines = []
    for each in audits:
        number = f"{len(each.faults)} fault{'s' if len(each.faults) > 1 else ''}" if each.faults else "whole"
        lines += [f"{each.run}: {number}, {each.stage}", *(f"  {sentence}" for sentence in each.faults)]
    damaged = [each for each in audits if each.faults]
    if len(audits) > 1:
        lines.append(f"{len(audits)} runs, {len(damaged)} with faults")
    values = {str(each.run): {"stage": each.stage, "faults": each.faults} for each in audits}
    return Outcome({"runs": values, "whole": not damaged}, "\n".join(lines), is_complete=not damaged)


def _values(scores: Mapping[str, "Score"]) -> dict[str, Any]:
    return {name: score.to_dict() for name, score in scores.items()}


def _table(scores: Mapping[str, "Score"]) -> str:
    """The scores as a table for the terminal, with a dash for a figure that a metric does not have."""
    cells: list[Sequence[str]] = [["metric", "value", "95 % interval", "half", "baseline", "attainable"]]
    for name, score in scores.items():
        interval = "–" if score.low is None else f"[{score.low:.4f}, {score.high:.4f}]"
        baseline = _number(score.baseline) + (f" ± {score.baseline_spread:.4f}" if score.baseline_spread else "")
        figures = [_number(score.value), interval, _number(score.half), baseline, _number(score.attainable)]
        cells.append([name, *figures])
    return "\n".join(f"  {line}" for line in align(cells, slice(1, None)))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _has_display() -> bool:
    """Whether a graphical browser can be opened. A text browser would take over the terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
