"""Reading and writing of checkpoints and logs."""

import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from pydantic import TypeAdapter, ValidationError

from equipoise.errors import RunError, fault
from equipoise.files import replacing
from equipoise.sections import Train

FORMAT = 1
SEAL = b"sha256 "  # start of the comment of a checkpoint
TIMES = ("seconds", "images_per_second")  # values of a row
_ROW = TypeAdapter(dict[str, int | float | list[float] | None])


def save(path: Path, state: dict[str, Any], before_save: Callable[[], object] = lambda: None) -> None:
    """Write `state`, tensors and plain values, to `path`, atomically.

    The comment of the archive is the SHA-256 of all other bytes. `before_save()` is called before the older checkpoint
    is overwritten; raise to keep the older one.
    """
    archive = io.BytesIO()  # torch reports a full disk without its reason
    torch.save({"format": FORMAT, **state}, archive)
    with replacing(path, within=path.parent) as file:
        file.write(_sealed(archive.getvalue()))
        file.flush()
        os.fsync(file.fileno())  # slow, so before the check
        before_save()


def load(path: Path) -> dict[str, Any]:
    """Load the state in `path`, with tensors on the CPU. Only tensors and plain values are unpickled.

    Raises `RunError` when any bit of the file has changed, or when it is not a checkpoint of this version.
    """
    _check_exists(path)
    content = path.read_bytes()
    try:
        _check_content(content)
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, BadZipFile, pickle.UnpicklingError, ValueError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(
            f"{path} cannot be read ({reason}); restore it from a copy, or delete it and run the same command to train "
            f"again"
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise RunError(
            f"{path} is not a checkpoint of this version; expected format {FORMAT}; train into another folder"
        )
    del state["format"]
    return state


def _sealed(archive: bytes) -> bytes:
    """The ZIP archive with its SHA-256 as its comment, whose length is in the last two bytes of the archive."""
    comment = SEAL + hashlib.sha256(archive).hexdigest().encode()
    return archive[:-2] + len(comment).to_bytes(2, "little") + comment


def _check_content(content: bytes) -> None:
    """Raise `ValueError` or `BadZipFile` when a checkpoint is not as it was saved."""
    if content[-22:-18] == b"PK\x05\x06" and content[-2:] == b"\0\0":  # an earlier version saved no comment
        with ZipFile(io.BytesIO(content)) as archive:
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"its part {damaged} has changed")
    elif content != _sealed(content[: -2 - len(SEAL) - 64] + b"\0\0"):
        raise ValueError("its content has changed since it was saved")


def digest(path: Path) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a checkpoint, which codes and scores record."""
    _check_exists(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_log(path: Path, until: int | None = None) -> list[dict[str, Any]]:
    """The rows of a `log.jsonl` up to step `until`, without a last row that was cut off while it was written.

    Raises `RunError` when another row is damaged.
    """
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return rows
    *lines, cut_off = path.read_bytes().split(b"\n")
    with suppress(ValueError):
        _row(cut_off)
        lines.append(cut_off)  # only the end of its line is missing
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_row(line, after=rows[-1]["step"] if rows else 0))
        except ValueError as error:
            raise RunError(
                f"{path}, line {number} is damaged ({error}); restore the file from a copy, or delete that line"
            ) from None
    return [row for row in rows if until is None or row["step"] <= until]


def log_digest(rows: Sequence[Mapping[str, Any]]) -> "hashlib._Hash":
    """The SHA-256 of the rows of a log, which a checkpoint records; `line` gives the bytes of the next row."""
    return hashlib.sha256(b"".join(map(line, rows)))


def line(row: Mapping[str, Any]) -> bytes:
    """A row as bytes, without the times, in which equal trainings differ."""
    return json.dumps({name: value for name, value in row.items() if name not in TIMES}).encode()


def missing_rows(rows: Sequence[Mapping[str, Any]], step: int, train: Train) -> list[int]:
    """The steps up to `step` whose rows a log of a training with these settings lacks."""
    steps = {*range(train.log_every, step + 1, train.log_every), *([step] if step == train.steps else [])}
    return sorted(steps - {row["step"] for row in rows})


def last_row(path: Path) -> dict[str, Any]:
    """The last complete row of a `log.jsonl`, read from its end; empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 65_536))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return {}
    for line in reversed(lines):
        with suppress(ValueError):  # empty, or still being written
            return _row(line)
    return {}


def _row(line: bytes, after: int = 0) -> dict[str, Any]:
    """The row in a line of a log. Raises `ValueError` when it is none, or has no step after step `after`."""
    try:
        row: dict[str, Any] = _ROW.validate_json(line)
    except ValidationError as error:
        raise ValueError(fault(error)) from None
    step = row.get("step")
    if not isinstance(step, int) or step <= after:
        raise ValueError(f"its step is {step}; expected one after {after}")
    return row


def _check_exists(path: Path) -> None:
    if not path.exists():
        raise RunError(f"{path.parent} has no checkpoint yet; run the same train command again")
