"""The folder of an export, which replaces nothing but an earlier export of the same kind."""

import hashlib
import json
from collections.abc import Container, Mapping
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
    about = _about(target)
    if about is None or about["kind"] != kind:
        raise InputError(f"{target} is there already and is no earlier export to {kind}; choose another out")
    name = _first_change(target, about)
    if name is not None:
        raise InputError(f"{target} has changed since it was exported ({name}); move it, or choose another out")


def unchanged(folder: Path, but: Container[str] = ()) -> dict[str, Any]:
    """Return the content of config.json of an export.

    Raises `InputError` for any other folder, and for an export of which a file changed, except the files in `but`.
    """
    about = _about(folder)
    if about is None:
        raise InputError(f"{folder} is not an exported model; expected a folder that `equipoise export` wrote")
    name = _first_change(folder, about, but)
    if name is not None:
        raise InputError(f"{folder} has changed since it was exported ({name}); export the run again")
    return about


def _about(folder: Path) -> dict[str, Any] | None:
    """Return the content of config.json; None if the folder is no export."""
    try:
        about: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        is_export = about["library"] == "equipoise" and isinstance(about["files"], dict) and bool(about["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return about if is_export else None


def _first_change(folder: Path, about: Mapping[str, Any], but: Container[str] = ()) -> str | None:
    """Return the first file that is new, missing or changed since the export; None if there is none."""
    present, expected = _digests(folder), about["files"]
    changed = (name for name in present.keys() | expected.keys() if present.get(name) != expected.get(name))
    return min((name for name in changed if name not in but), default=None)


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
