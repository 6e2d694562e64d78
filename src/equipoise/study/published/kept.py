"""What is kept of a run for the published tables: settings, scores and curves, in one small file."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equipoise import config as configuration
from equipoise.errors import InputError
from equipoise.files import read_json, write_text
from equipoise.training import checkpoint

FORMAT = 1
ROWS = 300  # of a curve that are kept; a longer one is thinned evenly
DIGITS = 6  # of each number that count
# What a log has beside what was learned: none of it is a curve anyone would draw.
NOT_DRAWN = ("step", "seconds", "images_per_second", "lr", "error", "integral")


@dataclass(frozen=True)
class Kept:
    """A run as `results/` has it."""

    run: str
    settings: Mapping[str, Any]
    """By dotted key, without `out`."""
    scores: Mapping[int, Mapping[str, float]]
    """By step, then by metric: a model of this run for each step at which it was scored."""
    curves: Mapping[str, Sequence[float]]
    """`step`, and each number of the log at these steps."""
    made_by: Mapping[str, str]
    """Versions and platform."""

    @property
    def command(self) -> str:
        """The line that trains it."""
        return configuration.command(self.settings)

    @property
    def steps(self) -> list[int]:
        """At which it was scored."""
        return sorted(self.scores)

    @property
    def seed(self) -> int:
        return int(self.settings["train.seed"])

    def fits(self, where: Mapping[str, object]) -> bool:
        """Whether its settings are these; what it does not have counts as None."""
        return all(self.settings.get(key) == value for key, value in where.items())

    def recent(self, name: str, step: int, steps: int) -> list[float]:
        """The values of a curve in the last `steps` steps before `step`; empty where it has none."""
        rows = zip(self.curves["step"], self.curves.get(name, []), strict=False)
        return [value for at, value in rows if step - steps < at <= step]


def taken(run: Path) -> Kept | None:
    """What is kept of the run in a folder; None where it was not scored yet.

    It is called by its settings, so that a run that was trained on takes the place of its shorter self.
    """
    settings = {key: value for key, value in configuration.read(run / "config.toml").items() if key != "out"}
    scores = _scores(run, int(str(settings["train.steps"])))
    if not scores:
        return None
    same = {key: value for key, value in settings.items() if key != "train.steps"}
    digest = hashlib.sha256(json.dumps(same, sort_keys=True, default=str).encode()).hexdigest()[:10]
    name = f"{Path(str(settings['data.name'])).stem}-{settings['method.name']}-{digest}"
    meta = read_json(run / "meta.json")
    made_by = {**meta.get("versions", {}), "platform": meta.get("platform", "unknown")}
    return Kept(name, settings, scores, _curves(checkpoint.read_log(run / "log.jsonl")), made_by)


def write(kept: Kept, results: Path) -> Path:
    """The file in `results` that it is written to."""
    found = {
        "format": FORMAT,
        "command": kept.command,
        "settings": kept.settings,
        "made_by": kept.made_by,
        "scores": {str(step): kept.scores[step] for step in kept.steps},
        "curves": kept.curves,
    }
    file = results / f"{kept.run}.json"
    write_text(file, "{\n" + ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in found.items()) + "\n}\n")
    return file


def read_all(results: Path) -> list[Kept]:
    """All that `results` holds, nothing where there is no such folder; `InputError` for a file of another kind."""
    return [_read(file) for file in sorted(results.glob("*.json"))]


def _read(file: Path) -> Kept:
    found = read_json(file)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{file} is not what `equipoise reproduce` keeps of a run; move it elsewhere")
    scores = {int(step): row for step, row in found["scores"].items()}
    return Kept(file.stem, found["settings"], scores, found["curves"], found["made_by"])


def _scores(run: Path, last: int) -> dict[int, dict[str, float]]:
    """The scores of a run by step: those taken on the way, and those of its end, which have the last word."""
    history = run / "scores_history.jsonl"
    rows: Iterable[dict[str, Any]] = checkpoint.read_log(history) if history.exists() else []
    scores = {int(row["step"]): {name: value for name, value in row.items() if name != "step"} for row in rows}
    if (run / "scores.json").exists():
        found = read_json(run / "scores.json")["scores"]
        scores[last] = scores.get(last, {}) | {name: score["value"] for name, score in found.items()}
    return {step: {name: _short(value) for name, value in row.items()} for step, row in scores.items()}


def _curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Each number of the log over the steps, a list that other numbers of the same run can be drawn against."""
    kept = rows[:: max(1, math.ceil(len(rows) / ROWS))]
    names = [name for name in rows[-1] if name not in NOT_DRAWN and isinstance(rows[-1][name], int | float)]
    curves = {name: [_short(row[name]) for row in kept] for name in names if all(name in row for row in kept)}
    return {"step": [row["step"] for row in kept], **curves}


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
