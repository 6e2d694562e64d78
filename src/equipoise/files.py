"""Files that are whole or absent: everything is written beside its place and renamed."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from equipoise.errors import RunError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well and vanishes when it does not.

    Readers see the old file or the whole new one, never a part. The folder is made; OSError when it cannot be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # two processes may write the same file
    try:
        with open(beside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name on an empty file
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object that a run wrote to `path`; raises `RunError` when it is missing or damaged."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is missing; run the same train command again") from None
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}); delete it and run the same command again") from None
    if not isinstance(held, dict):
        raise RunError(f"{path} is damaged (no JSON object); delete it and run the same command again")
    return held
