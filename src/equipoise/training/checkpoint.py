"""Reading and writing of checkpoints and logs."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from equipoise.errors import RunError
from equipoise.files import replacing

FORMAT = 1


def save(path: Path, state: dict[str, Any], before_save: Callable[[], object] = lambda: None) -> None:
    """Write `state`, tensors and plain values, to `path`, atomically.

    `before_save()` is called before the older checkpoint is overwritten; raise to keep the older one.
    """
    with replacing(path) as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())  # slow, so before the check
        before_save()


def load(path: Path) -> dict[str, Any]:
    """Load the state in `path`, with tensors on the CPU. Only tensors and plain values are unpickled.

    Raises `RunError` when the file is damaged or not a checkpoint of this version.
    """
    _check_exists(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, BadZipFile, pickle.UnpicklingError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path} cannot be read ({reason}); delete it and run the same command to train again") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RunError(
            f"{path} is not a checkpoint of this version; expected format {FORMAT}; train into another folder"
        )
    del state["format"]
    return state


def digest(path: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a checkpoint, which codes and scores record."""
    _check_exists(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_log(path: Path, until: int | None = None) -> list[dict[str, Any]]:
    """The rows of a `log.jsonl` up to step `until`, without a last row that was cut off while it was written."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break  # cut off by a kill, so it is the last line
        if until is not None and row["step"] > until:
            break
        rows.append(row)
    return rows


def last_row(path: Path) -> dict[str, Any]:
    """The last complete row of a `log.jsonl`, read from its end; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65_536))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return {}
    for line in reversed(lines):
        try:
            return dict(json.loads(line))
        except ValueError:
            continue  # empty, or still being written
    return {}


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise RunError(f"{path.parent} has no checkpoint yet; run the same train command again")
