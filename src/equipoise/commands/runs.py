"""The commands of a run: train, evaluate, encode, report."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from equipoise import codes as coding
from equipoise import config as configuration
from equipoise import report, runs, scoring
from equipoise.data import load_data
from equipoise.errors import InputError
from equipoise.files import replacing, write_text
from equipoise.metrics import Score, table
from equipoise.outcome import Outcome
from equipoise.report import explorer
from equipoise.training import checkpoint


def train(config: Path | None, overrides: Sequence[str], progress: bool = True) -> Outcome:
    """Train, encode, score and report; go on where an earlier call with these settings stopped."""
    settings = (configuration.read(config) if config else {}) | configuration.parse(overrides)
    run = runs.execute(configuration.resolve(settings), progress=progress)
    last = run.logs[-1] if run.logs else {"step": run.config.train.steps, "seconds": math.nan}
    said = [
        f"{run.config.method.name} on {run.config.data.name}: {last['step']:,} steps in {last['seconds']:,.0f} s",
        *([_table(run.scores)] if run.scores else []),
        *(f"note: {note}" for note in report.notes(run)),
        f"wrote {run.path}; open {run.path / 'report.html'}",
    ]
    values = {"run": str(run.path), "report": str(run.path / "report.html"), "scores": _plain(run.scores)}
    return Outcome(values, "\n".join(said))


def evaluate(
    folders: Sequence[Path],
    codes: Path | None,
    which: Sequence[str],
    convention: str | None,
    to: Path | None = None,
    progress: bool = True,
) -> Outcome:
    """Score runs, or any codes: an `.npz` of `codes` or `mean` [N, D], and, where known, `factors` [N, K], `logvar`.

    to: a .csv or .parquet for all scores as one tidy table, a row for each run and metric.
    """
    if bool(folders) == bool(codes):
        raise InputError("evaluate takes the folders of runs, or --codes FILE.npz; give one of the two")
    if to is not None:
        table.check(to)
    names = None if not which else which[0] if len(which) == 1 else tuple(which)
    if codes is not None:
        arrays = _arrays(codes)
        scores = scoring.score_codes(arrays, names or "default", convention or "default")
        target = codes.with_suffix(".scores.json")
        write_text(target, json.dumps({name: score.to_dict() for name, score in scores.items()}, indent=1))
        wrote = _write_table(to, table.rows(scores, str(codes), convention or "default"))
        said = [_table(scores), f"wrote {target}", *wrote]
        return Outcome({"scores": _plain(scores), "wrote": str(target)}, "\n".join(said))
    values, said = {}, []
    rows: list[dict[str, Any]] = []
    for folder in folders:
        run = runs.open_run(folder)
        scores = scoring.evaluate(
            run, which=names, convention=convention, console=Console(stderr=True, quiet=not progress)
        )
        values[str(folder)] = _plain(scores)
        rows += table.rows(scores, str(folder), convention or run.config.evaluate.convention)
        said += [f"{folder}", _table(scores), f"wrote {folder / 'scores.json'}"]
    return Outcome(values, "\n".join([*said, *_write_table(to, rows)]))


def encode(folder: Path, images: str, out: Path | None) -> Outcome:
    """Encode images with a trained run into an `.npz`: index, mean, logvar, z [N, D], and the error of each picture."""
    run = runs.open_run(folder)
    data = run.config.data
    channels, side, _ = run.model.shape
    # A folder is prepared as the run's own images were; anything else has to have their shape.
    folder_of_images = Path(images).is_dir()
    found = load_data(images, size=side, crop=data.crop, grey=channels == 1) if folder_of_images else load_data(images)
    if found.shape != run.model.shape:
        raise InputError(
            f"{images} has images of shape {found.shape}, the run was trained on {run.model.shape}; give images of "
            f"that shape"
        )
    target = out or Path(f"{Path(images).stem}.codes.npz")
    codes = coding.encode(run.model, found, np.arange(len(found)))
    coding.save(target, codes, checkpoint.digest(folder / "checkpoint.pt"))
    text = f"encoded {len(found):,} images into {run.model.latent} latents\nwrote {target}"
    return Outcome({"wrote": str(target), "images": len(found), "latents": run.model.latent}, text)


def write_report(folder: Path, with_explorer: bool = False) -> Outcome:
    """Draw the report of a run again, or those that runs in a folder lack; with their explorers if asked for."""
    if (folder / "config.toml").is_file():
        found, wanted = [folder], "report.html"
    else:
        wanted = "explorer.html" if with_explorer else "report.html"
        scored = sorted(path.parent for path in folder.rglob("codes.npz") if (path.parent / "config.toml").is_file())
        if not scored:
            raise InputError(f"{folder} is no run and has no scored run in it; give the folder of a run or a study")
        found = [run for run in scored if not (run / wanted).exists()]
    pages = []
    for run in map(runs.open_run, found):
        pages += [report.write(run), *([explorer.write(run)] if with_explorer else [])]
    said = [f"wrote {page}" for page in pages] or [f"every run in {folder} has its {wanted}; nothing was done"]
    return Outcome({"wrote": [str(page) for page in pages]}, "\n".join(said))


def explore(folder: Path, then: explorer.Then = "open", port: int = explorer.PORT) -> Outcome:
    """Write the page with sliders of a run, and open it, serve it until Ctrl-C, or neither."""
    return explorer.explore(runs.open_run(folder), then, port)


def _arrays(path: Path) -> coding.Codes:
    arrays = coding.load(path)
    if "mean" not in arrays:
        if "codes" not in arrays:
            raise InputError(f"{path} holds {', '.join(arrays) or 'nothing'}; expected codes (or mean) [N, D]")
        arrays["mean"] = arrays.pop("codes")
    return arrays


def _plain(scores: Mapping[str, Score]) -> dict[str, Any]:
    return {name: score.to_dict() for name, score in scores.items()}


def _write_table(to: Path | None, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Writes the rows to the file, if one was asked for; what to say of it."""
    if to is None:
        return []
    with replacing(to) as file:
        file.write(table.contents(to, rows))
    return [f"wrote {to}"]


def _table(scores: Mapping[str, Score]) -> str:
    """The scores for the terminal: the name on the left, figures on the right, a dash where there is none."""
    cells = [["metric", "value", "95 % interval", "baseline", "attainable"]]
    for name, score in scores.items():
        interval = "–" if score.low is None else f"[{score.low:.4f}, {score.high:.4f}]"
        cells.append([name, f"{score.value:.4f}", interval, _figure(score.baseline), _figure(score.attainable)])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *figures in cells:
        right = (f"{cell:>{width}}" for cell, width in zip(figures, widths[1:], strict=True))
        lines.append("  ".join([f"  {name:<{widths[0]}}", *right]))
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
