"""Checkpoints: one file, replaced as a whole, that says which settings it belongs to."""

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


def save(path: Path, state: dict[str, Any], sure: Callable[[], object] = lambda: None) -> None:
    """Write `state`, tensors and plain values, to `path`, whole or not at all.

    `sure` is called when nothing but the renaming is left to do, and may raise to keep the older file.
    """
    with replacing(path) as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())  # the slow part
        sure()


def load(path: Path) -> dict[str, Any]:
    """The state in `path`, its tensors on the CPU. Nothing is unpickled but tensors and plain values.

    Raises `RunError` when the file is torn, truncated or not one of ours.
    """
    _expect(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, BadZipFile, pickle.UnpicklingError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path} cannot be read ({reason}); delete it, and the same command trains anew") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RunError(
            f"{path} is not a checkpoint of this version; expected format {FORMAT}; train into another folder"
        )
    del state["format"]
    return state


def digest(path: Path) -> str:
    """Sixteen hexadecimal digits of the file's contents, by which codes and scores name it."""
    _expect(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_log(path: Path, until: int | None = None) -> list[dict[str, Any]]:
    """The rows of a `log.jsonl` up to and with step `until`, without one that was cut off while it was written."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break  # torn by a kill: it was never a whole row, and nothing after it can be
        if until is not None and row["step"] > until:
            break
        rows.append(row)
    return rows


def last_row(path: Path) -> dict[str, Any]:
    """The last whole row of a `log.jsonl`, read from its end; nothing when there is none."""
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
            continue  # empty, or being written just now
    return {}


def _expect(path: Path) -> None:
    if not path.exists():
        raise RunError(f"{path.parent} has no checkpoint yet; run the same train command again")
