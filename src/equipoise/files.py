"""Atomic writing of files and folders: write beside the target, then rename."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from equipoise.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` when the block ends without an error, and is deleted otherwise.

    Readers see the old file or the whole new file, never a part. Missing parent folders are made; raises `OSError` when
    they cannot be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(path)
    try:
        with open(part, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # without it, a power cut could leave the new name on an empty file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a new folder that replaces `path` when the block ends without an error, and is deleted otherwise.

    Yields the folder to write into. A folder that was at `path` is deleted last.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, old = _beside(path), _beside(path)
    try:
        part.mkdir()
        yield part
        if path.exists():
            os.replace(path, old)
        os.replace(part, path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with replacing(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file of a run. Raises `RunError` when the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is missing; run the same train command again") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}); delete it and run the same command again") from None
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged (no JSON object); delete it and run the same command again")
    return content


def _beside(path: Path) -> Path:
    """A new name in the same folder; random, since two processes may write the same file."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
