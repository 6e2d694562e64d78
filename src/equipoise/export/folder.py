"""The folder of an export, which replaces nothing but an earlier export of the same kind."""

import hashlib
import json
from pathlib import Path
from typing import Any

from equipoise.errors import InputError

CONFIG = "config.json"  # describes the model and lists every other file of the folder with its SHA-256


def check(target: Path, kind: str) -> None:
    """Raise `InputError` unless `target` is new, empty, or an unchanged export of this kind."""
    if not target.exists() and not target.is_symlink():
        return
    if target.is_symlink() or not target.is_dir():
        raise InputError(f"{target} is there already and is not a folder; choose another out")
    if not any(target.iterdir()):
        return
    try:
        about = json.loads((target / CONFIG).read_text(encoding="utf-8"))
        is_export = about["library"] == "equipoise" and about["kind"] == kind
        expected = dict(about["files"])
    except (OSError, ValueError, KeyError, TypeError):
        is_export, expected = False, {}
    if not is_export:
        raise InputError(f"{target} is there already and is no earlier export to {kind}; choose another out")
    present = _digests(target)
    for name in sorted(present.keys() | expected.keys()):
        if present.get(name) != expected.get(name):
            raise InputError(f"{target} has changed since it was exported ({name}); move it, or choose another out")


def seal(folder: Path, about: dict[str, Any]) -> None:
    """Write config.json: the description of the model, and the digests of all other files of the folder."""
    text = json.dumps({**about, "files": _digests(folder)}, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / CONFIG).write_text(text, encoding="utf-8")


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder but config.json, by its path in the folder."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if not file.is_dir()}
    return {name: digest(file) for name, file in sorted(files.items()) if name != CONFIG}
