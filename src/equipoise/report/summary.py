"""The summary of a finished run: the numbers that a comparison needs, so that it reads neither codes nor log."""

import json
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from equipoise import __version__, scoring
from equipoise.errors import RunError
from equipoise.files import read_json, write_text
from equipoise.part import Flag
from equipoise.report import rates
from equipoise.report.remarks import flags
from equipoise.scoring import Run

FILE = "summary.json"
SOURCES = ("config.toml", "meta.json", "log.jsonl", "codes.npz", "scores.json", rates.FILE)


class Summary(TypedDict):
    """The content of summary.json."""

    version: str  # of equipoise
    sources: dict[str, list[int]]  # size and time of the last change of each file that it depends on
    scores: dict[str, float]  # by metric; `sse` and `kl` are means over the codes
    convention: str
    data: str  # digest of images and factors
    beta_equivalent: float | None  # in the last row of the log
    flags: list[Flag]
    curve: dict[str, list[float]]  # over the betas of mr-vae, by name; see report.rates
    digest: str  # of the other values


def read(folder: Path) -> Summary | None:
    """Return the summary of a run; None if it is missing, damaged, or older than the files on which it depends."""
    try:
        summary = read_json(folder / FILE, Summary)
    except RunError:
        return None
    is_current = summary["version"] == __version__ and summary["sources"] == sources(folder)
    return summary if is_current and summary["digest"] == scoring.content_digest(summary) else None


def write(run: Run) -> Summary:
    """Compute the summary of a finished run, and write it unless the folder is read-only."""
    before = sources(run.path)
    beta = run.logs[-1].get("beta_equivalent") if run.logs else None
    means = {key: float(np.mean(run.codes[key], dtype=np.float64)) for key in ("sse", "kl") if key in run.codes}
    summary = Summary(
        version=__version__,
        sources=before,
        scores=means | {metric: float(score.value) for metric, score in run.scores.items()},
        convention=scoring.read(run.path / "scores.json")["convention"],
        data=run.meta["data"]["digest"],
        beta_equivalent=None if beta is None else float(beta),
        flags=flags(run),
        curve={name: values.tolist() for name, values in rates.points(run.path).items()},
        digest="",
    )
    summary["digest"] = scoring.content_digest(summary)
    with suppress(OSError):  # of a read-only folder
        write_text(run.path / FILE, json.dumps(summary), within=run.path)
    return summary


def sources(folder: Path) -> dict[str, list[int]]:
    """Return size and time of the last change of the files that a summary depends on."""
    states = {}
    for name in SOURCES:
        with suppress(FileNotFoundError):
            state = os.stat(f"{folder}/{name}")
            states[name] = [state.st_size, state.st_mtime_ns]
    return states
