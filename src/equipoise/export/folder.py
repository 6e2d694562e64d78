"""The folder of an export: it appears when all is written, and takes the place of nothing but an earlier export."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from equipoise.errors import InputError

CONFIG = "config.json"  # names every other file of the folder with its SHA-256


def check(target: Path, kind: str) -> None:
    """Raises `InputError` unless `target` is new, empty, or an export of this kind as it was written."""
    if not target.exists() and not target.is_symlink():
        return
    refused = f"{target} is there already and"
    if target.is_symlink() or not target.is_dir():
        raise InputError(f"{refused} is no folder; choose another out")
    held = _digests(target)
    if not held and not any(target.iterdir()):
        return
    try:
        about = json.loads((target / CONFIG).read_text(encoding="utf-8"))
        ours = about["library"] == "equipoise" and about["kind"] == kind
        written = dict(about["files"])
    except (OSError, ValueError, KeyError, TypeError):
        ours, written = False, {}
    if not ours:
        raise InputError(f"{refused} is no earlier export to {kind}; choose another out")
    for name in sorted(held.keys() | written.keys()):
        if held.get(name) != written.get(name):
            raise InputError(f"{refused} has changed since it was exported ({name}); move it, or choose another out")


@contextmanager
def filling(target: Path) -> Iterator[tuple[Path, Callable[[dict[str, Any]], None]]]:
    """A new folder to write into, and a function that writes its config.json from what is known, once all is there.

    The folder takes the place of `target`, which `check` has seen, when the block ends well and vanishes otherwise.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    part, old = (target.with_name(f".{target.name}.{mark}.{end}") for end in ("part", "old"))

    def seal(about: dict[str, Any]) -> None:
        text = json.dumps({**about, "files": _digests(part)}, indent=1, allow_nan=False, ensure_ascii=False)
        (part / CONFIG).write_text(text, encoding="utf-8")

    try:
        part.mkdir()
        yield part, seal
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file in a folder by its path there, but of config.json."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if not file.is_dir()}
    return {name: digest(file) for name, file in sorted(files.items()) if name != CONFIG}
