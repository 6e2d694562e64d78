"""Atomic writing of files and folders: write beside the target, then rename."""

import csv
import datetime
import errno
import io
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from equipoise.errors import InputError, RunError, fault

Content = TypeVar("Content")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # errors of writing to a full disk
PART = re.compile(r"\..+\.[0-9a-f]{8}\.part")  # names of unfinished files, see `_beside`


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return the path with the home folder in place of a leading ~; as it is where there is no such home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


@contextmanager
def replacing(path: Path, within: Path | None = None) -> Iterator[BinaryIO]:
    """Open a new file that replaces `path` when the block ends without an error, and is deleted otherwise.

    Readers get the old file or the whole new file, never a part. Missing parent folders are created, but none at or
    above `within`, so that the folder of a run that was moved is not created again at the old place.

    Raises:
        OSError: when a folder cannot be created.
        RunError: when `within` does not exist.
    """
    _make_parents(path, within)
    target = Path(os.path.realpath(path))  # a link stays, and what it names is replaced
    part = _beside(target)
    try:
        with naming(path):
            with open(part, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # without it, a power cut could leave the new name on an empty file
            os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def _make_parents(path: Path, within: Path | None) -> None:
    """Make the folders above `path`, but none at or above `within`."""
    if within is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    if not within.exists():
        raise RunError(f"{within} was moved or removed; move it back and repeat the command")
    folder = within
    for name in path.parent.relative_to(within).parts:
        folder = folder / name
        folder.mkdir(exist_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the name of the file to errors of writing that have none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Make a new folder that replaces `path` when the block ends without an error, and is deleted otherwise.

    Yields the folder to write into. A folder that was at `path` is deleted last. If the process ends between the two
    renames, it is still there, with a name that ends in `.old`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path = Path(os.path.realpath(path))  # a link stays, and what it names is replaced
    part = _beside(path)
    old = part.with_suffix(".old")
    try:
        with naming(path):
            part.mkdir()
            yield part
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(part, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_bytes(path: Path, content: bytes, within: Path | None = None) -> None:
    """Write `content` to `path`, atomically; `within` as for `replacing`."""
    with replacing(path, within) as file:
        file.write(content)


def write_text(path: Path, text: str, within: Path | None = None) -> None:
    """Write `text` to `path` as UTF-8, atomically; `within` as for `replacing`.

    Names of files may have bytes that are no UTF-8; each is written as ?.
    """
    write_bytes(path, text.encode("utf-8", "replace"), within)


def csv_text(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a CSV file of these rows, with all digits, and an empty cell for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def write_columns(path: Path, columns: Mapping[str, Iterable[object]]) -> None:
    """Write columns of equal length to a .parquet, which needs pandas and pyarrow, or else to a .csv, atomically."""
    if path.suffix.lower() != ".parquet":
        write_text(path, csv_text(columns, zip(*columns.values(), strict=True)))
        return
    import pandas as pd

    with replacing(path) as file:
        pd.DataFrame(columns).to_parquet(file, index=False)


def read_json(path: Path, kind: type[Content]) -> Content:
    """Read a JSON file of a run. Raises `RunError` when it is missing, damaged, or has another content than `kind`."""
    try:
        content: Content = _reader(cast(Any, kind)).validate_json(path.read_bytes())
        return content
    except FileNotFoundError:
        raise RunError(f"{path} is missing; run the same train command again") from None
    except ValidationError as error:
        raise RunError(f"{path} is damaged ({fault(error)}); delete it and run the same command again") from None


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    """The reader of a type, which takes longer to build than most files to read."""
    return TypeAdapter(kind)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file of `what`. Raises `InputError` when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected {what} in TOML") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected {what} in TOML") from None
    except RecursionError:
        raise InputError(f"{path} is not valid TOML (it is nested too deeply); correct it") from None
    except ValueError as error:  # of TOML, of UTF-8, or of a number with thousands of digits
        raise InputError(f"{path} is not valid TOML ({error}); correct that line") from None


def parse_value(text: str) -> object:
    """Return the value of a TOML expression, or the text itself if it is none.

    A number may begin with its decimal point, as in Python. A date or a time is text: no setting is one, and
    10:40:10 is a slice.
    """
    try:
        value: object = tomllib.loads("x = " + re.sub(r"^([+-]?)\.(?=\d)", r"\g<1>0.", text))["x"]
    except (ValueError, RecursionError):  # of TOML, of a number with thousands of digits, of deep nesting
        return text
    return text if isinstance(value, datetime.date | datetime.time) else value


def sweep(folder: Path) -> None:
    """Delete what an interrupted `replacing` left in a folder, to which no other process may write."""
    for part in [path for path in folder.rglob(".*.part") if PART.fullmatch(path.name)]:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A new name in the same folder; random, since two processes may write the same file."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")  # shorter than the longest name
