"""Audit of runs: every file is read and compared with the others, and none is changed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from equipoise import codes as coding
from equipoise import config as configuration
from equipoise import scoring
from equipoise.claim import Claims
from equipoise.errors import InputError, RunError
from equipoise.files import PART, read_json
from equipoise.run_folder import Meta, changed_rows, load_checkpoint, lost_rows
from equipoise.training import checkpoint

Content = TypeVar("Content")
FILES = ("config.toml", "meta.json", "checkpoint.pt")  # each shows that its folder is a run


@dataclass(frozen=True)
class Audit:
    """The result of an audit of one run: its folder, its stage in words, and its faults, one sentence each."""

    run: Path
    stage: str
    faults: list[str]


def find_runs(folder: Path) -> list[Path]:
    """The folders of runs in a folder, or the folder itself."""
    return sorted({path.parent for name in FILES for path in folder.rglob(name)})


def audit(run: Path) -> Audit:
    """Read and compare all files of a run: settings, data, checkpoint, log, codes, scores."""
    faults: list[str] = []

    def attempt(read: Callable[[], Content]) -> Content | None:
        try:
            return read()
        except (InputError, RunError, OSError) as error:
            faults.append(str(error))
            return None

    config = attempt(lambda: configuration.load(run / "config.toml"))
    attempt(lambda: read_json(run / "meta.json", Meta))
    rows = attempt(lambda: checkpoint.read_log(run / "log.jsonl"))
    attempt(lambda: checkpoint.read_log(run / "scores_history.jsonl"))
    state, digest = None, ""
    file = run / "checkpoint.pt"
    folders = (run, *sorted((run / "betas").glob("*")))
    results = [folder / name for folder in folders for name in ("codes.npz", "scores.json")]
    results = [path for path in results if path.exists()]
    if file.exists():
        digest = checkpoint.digest(file)
        state = attempt(lambda: load_checkpoint(run, config) if config else checkpoint.load(file))
    elif results:
        faults.append(f"{file} is missing, but the run has {results[0].name}; restore it from a copy")
    if config and state and rows is not None:
        if missing := checkpoint.missing_rows(rows, state["step"], config.train):
            faults.append(lost_rows(run, missing))
        elif change := changed_rows(run, rows, state):
            faults.append(change)
    for path in results:
        read = scoring.read if path.suffix == ".json" else coding.load
        content = attempt(lambda path=path, read=read: read(path))  # type: ignore[misc]
        if content is not None and digest and str(content.get("checkpoint")) != digest:
            at_beta = f"equipoise evaluate {run} --beta {path.parent.name}"
            remedy = "the train command of the run" if path.parent == run else at_beta
            faults.append(f"{path} is of another checkpoint; {remedy} makes it again")
    steps = state["step"] if state else 0
    stage = f"step {steps:,} of {config.train.steps:,}" if config else f"step {steps:,}"
    claims = Claims()
    if claims.is_claimed(run):
        stage += f", in use ({claims.holder(run)})"
    else:
        left = sorted(path.name for path in run.rglob(".*.part") if PART.fullmatch(path.name))
        faults += [f"{name} is unfinished; the next command that writes to the run removes it" for name in left]
    return Audit(run, stage, faults)
