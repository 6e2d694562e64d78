"""The record of a run in `results/`: settings, scores and curves in one small file."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from equipoise import config as configuration
from equipoise import scoring, shell
from equipoise.config import Config
from equipoise.errors import InputError, fault
from equipoise.files import read_json, write_text
from equipoise.part import Flag
from equipoise.report import summary
from equipoise.run_folder import Meta
from equipoise.training import checkpoint

FORMAT = 1
ROWS = 300  # of a curve; a longer one is thinned evenly
DIGITS = 6  # significant digits of each number
NO_CURVES = ("step", "seconds", "images_per_second", "lr", "error", "integral")  # not drawn


class Contents(TypedDict):
    """The content of a record's file."""

    format: Literal[1]
    settings: dict[str, Any]
    scores: dict[int, dict[str, float]]
    curves: dict[str, list[float]]
    made_by: dict[str, str]
    flags: NotRequired[list[Flag]]
    seconds: NotRequired[float]
    latents: NotRequired[dict[str, list[float]]]


@dataclass(frozen=True)
class Record:
    """A run as stored in `results/`."""

    run: str  # name of the file
    settings: Mapping[str, Any]  # by dotted key, without `out`
    scores: Mapping[int, Mapping[str, float]]  # by step, then by metric; each step is a model
    curves: Mapping[str, Sequence[float]]  # `step`, and the numbers of the log at these steps
    made_by: Mapping[str, str]  # versions and platform
    flags: Sequence[Flag] = ()  # of its summary; older files have none
    seconds: float = math.nan  # of the training; older files have none
    latents: Mapping[str, Sequence[float]] = field(default_factory=dict)  # [D], of the log's last row; older: none

    @property
    def command(self) -> str:
        """The command that trains the run."""
        return shell.command(self.settings)

    @property
    def steps(self) -> list[int]:
        """The steps at which the run was scored."""
        return sorted(self.scores)

    @property
    def seed(self) -> int:
        """The seed of the training."""
        return int(self.settings["train.seed"])

    def fits(self, where: Mapping[str, object]) -> bool:
        """Return whether the run has these settings. One that is missing has the value of earlier runs, or None."""
        earlier = configuration.ADDED
        return all(self.settings.get(key, earlier.get(key)) == value for key, value in where.items())

    def recent(self, name: str, step: int, steps: int) -> list[float]:
        """Return the values of a curve in the last `steps` steps up to `step`; empty for a missing curve."""
        rows = zip(self.curves["step"], self.curves.get(name, []), strict=False)
        return [value for row_step, value in rows if step - steps < row_step <= step]


def record(run: Path) -> Record | None:
    """Return the record of the run in a folder; None where it was not scored yet.

    Its name depends on the settings without `train.steps`, so a longer run replaces the shorter one.
    """
    settings = {key: value for key, value in configuration.read(run / "config.toml").items() if key != "out"}
    config = configuration.resolve(settings, complete=True)
    scores = _scores(run, config.train.steps)
    if not scores:
        return None
    meta = read_json(run / "meta.json", Meta)
    made_by = {**meta["versions"], "platform": meta["platform"]}
    rows = checkpoint.read_log(run / "log.jsonl")
    if not rows:
        return None
    figures = summary.read(run)
    end = rows[-1]
    return Record(
        run=_name(config, settings),
        settings=settings,
        scores=scores,
        curves=_curves(rows),
        made_by=made_by,
        flags=[] if figures is None else figures["flags"],
        seconds=end.get("seconds", math.nan),
        latents={name: [_round(value) for value in end[name]] for name in end if name.endswith("_dims")},
    )


def record_name(config: Config) -> str:
    """Return the name of the record of a run with these settings; runs that differ in their steps alone share it."""
    return _name(config, configuration.flatten(config.to_dict()))


def _name(config: Config, settings: Mapping[str, object]) -> str:
    """Return the name for settings by dotted key, as the run's file has them; an earlier version wrote fewer."""
    distinguishing = configuration.distinguishing(settings)
    values = {key: value for key, value in distinguishing.items() if key not in ("out", "train.steps")}
    return f"{Path(config.data.name).stem}-{config.method.name}-{configuration.ten_digits(values)}"


def write(record: Record, results: Path) -> Path:
    """Write a record to `results` and return its file. A record of more steps under the same name stays as it is."""
    file = results / f"{record.run}.json"
    if file.exists() and _read(file).steps[-1] > record.steps[-1]:
        return file
    contents: dict[str, object] = {
        "format": FORMAT,
        "command": record.command,
        "settings": record.settings,
        "made_by": record.made_by,
        "scores": {str(step): record.scores[step] for step in record.steps},
        "curves": record.curves,
        "flags": list(record.flags),
        "latents": record.latents,
    }
    if not math.isnan(record.seconds):
        contents["seconds"] = record.seconds
    write_text(file, "{\n" + ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in contents.items()) + "\n}\n")
    return file


def read_all(results: Path) -> list[Record]:
    """Return all records in `results`; none without the folder. Raises `InputError` for a file of another kind."""
    return [_read(file) for file in sorted(results.glob("*.json"))]


def _read(file: Path) -> Record:
    try:
        contents = TypeAdapter(Contents).validate_json(file.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{file} is not a record of `equipoise reproduce` ({fault(error)}); move it to another folder"
        ) from None
    fields: dict[str, Any] = {key: value for key, value in contents.items() if key != "format"}
    return Record(file.stem, **fields)


def _scores(run: Path, steps: int) -> dict[int, dict[str, float]]:
    """Return the scores of a run by step: those during training, and those of its end, which replace earlier ones."""
    rows = checkpoint.read_log(run / "scores_history.jsonl")
    scores = {int(row["step"]): {name: value for name, value in row.items() if name != "step"} for row in rows}
    if (run / "scores.json").exists():
        final = scoring.read(run / "scores.json")["scores"]
        scores[steps] = scores.get(steps, {}) | {name: score.value for name, score in final.items()}
    return {
        step: {name: _round(value) for name, value in row.items() if value is not None and not math.isnan(value)}
        for step, row in scores.items()
    }


def _curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Return the steps and each number of the log that all rows have, as lists."""
    thin = [*rows[: -1 : max(1, math.ceil(len(rows) / ROWS))], rows[-1]]
    names = [name for name in rows[-1] if name not in NO_CURVES and isinstance(rows[-1][name], int | float)]
    curves = {name: [_round(row[name]) for row in thin] for name in names if all(name in row for row in thin)}
    return {"step": [row["step"] for row in thin], **curves}


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
