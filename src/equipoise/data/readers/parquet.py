"""Pictures in Parquet files, such as data sets of the Hugging Face hub, whose other columns are factors."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from equipoise import hub
from equipoise.data import pictures, tables
from equipoise.data.intensity import Raw
from equipoise.data.pixels import Shape
from equipoise.data.readers.folder import state
from equipoise.data.readers.sequence import NAMES
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError

CONVERSION = "refs/convert/parquet"  # the branch to which the hub converts data sets of other kinds
DEFAULT = "train"  # the part that is read if none is named
_ROWS = 512  # that are read at once
_FIRST_ROWS = 16  # that are read at once to look for the first bytes
_IMAGE = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP|II[*+]\0|MM\0[*+]|P[1-6]\s", re.DOTALL)  # beginnings
_READING = 1  # counted up when pictures are decoded to other pixels than before, which are in the cache
_NUMBER = re.compile(r"(-\d+-of-\d+|/\d+|^\d+)$")  # of a file among those of a part, without its suffix


def holds_pictures(path: Path) -> bool:
    """Whether a Parquet file has a column of pictures. False for a file that cannot be read."""
    if find_spec("pyarrow") is None:
        return False
    from pyarrow import ArrowException, parquet

    try:
        with parquet.ParquetFile(path) as file:
            return bool(_picture_columns([file]))
    except (ArrowException, OSError):
        return False


def read_file(path: Path, key: str | None = None) -> Source:
    """The pictures in a Parquet file, see `read`."""
    return read([path], str(path), key)


def read_hub(name: str, key: str | None = None) -> Source:
    """The pictures of a data set of the hub, owner/name or owner/name/part; its files are downloaded once.

    key: the column of the pictures; default: as for `read`.

    Raises `InputError` for a part that is not there or not named and not clear, and where a package is missing; and
    `RunError` if the download fails.
    """
    owner, _, rest = name.partition("/")
    title, _, part = rest.partition("/")
    repository = f"{owner}/{title}"
    if not owner or not title:
        raise InputError(f"data: {hub.HUB}{name} names no data set; expected {hub.HUB}owner/name")
    package = hub.package()
    with hub.connecting(f"{hub.HUB}{repository} could not be downloaded"):
        revision, parts = _listing(package, repository)
    files = parts[_choose(repository, parts, part)]
    with hub.connecting(f"{hub.HUB}{repository} could not be downloaded"):
        folder = package.snapshot_download(repository, repo_type="dataset", revision=revision, allow_patterns=files)
    return read([Path(folder) / file for file in files], f"{hub.HUB}{name}", key)


def _listing(package: Any, repository: str) -> tuple[str | None, dict[str, list[str]]]:
    """The revision and the parts of a data set; those in the cache of the hub if the hub does not answer."""
    api = package.HfApi()
    try:
        if parts := _parts(api.list_repo_files(repository, revision=None, repo_type="dataset")):
            return None, parts
    except Exception:
        for revision in (None, CONVERSION):
            with suppress(Exception):  # it is not in the cache
                copy = package.snapshot_download(
                    repository, repo_type="dataset", revision=revision, local_files_only=True
                )
                if parts := _parts([path.relative_to(copy).as_posix() for path in Path(copy).rglob("*.parquet")]):
                    return revision, parts
        raise
    with suppress(Exception):  # the hub did not convert it
        return CONVERSION, _parts(api.list_repo_files(repository, revision=CONVERSION, repo_type="dataset"))
    return None, {}


def _parts(files: Sequence[str]) -> dict[str, list[str]]:
    """The Parquet files by the part of the data set that they belong to, such as data/train."""
    parts: dict[str, list[str]] = {}
    for file in sorted(file for file in files if file.endswith(".parquet")):
        parts.setdefault(_NUMBER.sub("", file.removesuffix(".parquet")), []).append(file)
    return parts


def _choose(repository: str, parts: dict[str, list[str]], part: str) -> str:
    """The part with this name or end; without one the only part, or the only one that is called train."""
    end = PurePosixPath(part or DEFAULT).parts
    matches = [each for each in parts if PurePosixPath(each).parts[-len(end) :] == end]
    if not part and len(parts) == 1:
        matches = list(parts)
    if len(matches) == 1:
        return matches[0]
    if not parts:
        raise InputError(f"{hub.HUB}{repository} has no Parquet files; download it, and give the folder of its images")
    example = f"{hub.HUB}{repository}/{next(iter(parts))}"
    raise InputError(f"{hub.HUB}{repository} has the parts {', '.join(parts)}; name one of them, such as {example}")


def read(files: Sequence[Path], title: str, key: str | None = None) -> Source:
    """The pictures in a column of Parquet files, and the other columns as a data frame, for factors.

    A picture is the bytes of an image file, alone or in a record with its path. Labels of the hub become their names.
    Columns of other bytes, of lists and of further pictures are left out.

    Raises `InputError` where no column, or not one alone, has pictures and `key` names none of them.
    """
    tables.check_packages(title)
    from pyarrow import parquet

    with _naming(title):
        readers = [parquet.ParquetFile(file) for file in files]
        columns = _picture_columns(readers)
    schema = readers[0].schema_arrow
    column = _choose_column(columns, schema, title, key)
    count = sum(reader.metadata.num_rows for reader in readers)
    for name, reader in zip(files, readers, strict=True):
        if column not in reader.schema_arrow.names:
            raise InputError(f"{title}: {name.name} has no column {column}, and {files[0].name} has; make them alike")
    if not count:
        raise InputError(f"{title} has no rows; give a file with pictures")

    paths = [str(file.resolve()) for file in files]

    def label(i: int) -> str:
        return f"row {i + 1} of {title}"

    def read_one(number: int, cell: bytes | None) -> Raw:
        if cell is None:
            raise pictures.Damaged(label(number), "it has no bytes")
        return pictures.read(BytesIO(cell), name=label(number))

    def heads() -> Iterator[tuple[str, Shape]]:
        for number, cell in _cells(readers, column, title, 0):
            try:
                shape = pictures.head(BytesIO(cell or b""), name=label(number))
            except pictures.Damaged:  # it is reported when it is decoded
                continue
            yield label(number), shape

    def read_from(first: int) -> Iterator[Picture]:
        return (partial(read_one, number, cell) for number, cell in _cells(readers, column, title, first))

    return Source(
        title,
        count,
        heads,
        read_from,
        label=label,
        plural="rows",
        in_threads=True,
        key=((*paths, column), state(Path(), paths), _READING),
        frame=_frame(readers, schema, column, title),
        origin=title,
    )


def _cells(readers: Sequence[Any], column: str, title: str, first: int) -> Iterator[tuple[int, bytes | None]]:
    """The bytes in a column from row `first` on, with the numbers of their rows."""
    end = 0
    for reader in readers:
        number, end = end, end + reader.metadata.num_rows
        if end <= first:
            continue
        with _naming(title):
            for batch in reader.iter_batches(_ROWS, columns=[column]):
                for cell in batch.column(0).to_pylist():
                    if number >= first:
                        yield number, cell["bytes"] if isinstance(cell, dict) else cell
                    number += 1


@contextmanager
def _naming(title: str) -> Iterator[None]:
    """Raise `InputError` for a damaged file."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        raise InputError(f"{title} cannot be read as Parquet ({error}); save or download it again") from None


def _choose_column(columns: Sequence[str], schema: Any, title: str, key: str | None) -> str:
    """The column of the pictures: `key`, the first of the usual names, or the only one."""
    if key is not None and key not in columns:
        raise InputError(
            f"{title} has no column {key!r} of pictures, which data.key names, but {', '.join(columns) or 'none'}"
        )
    usual_columns = [name for name in NAMES if name in columns]
    if key is None and len(columns) > 1 and not usual_columns:
        raise InputError(f"{title} has several columns of pictures, {', '.join(columns)}; choose one with data.key")
    if not columns:
        raise InputError(f"{title} has no column of pictures but {', '.join(schema.names)}; give images")
    return key or (usual_columns or columns)[0]


def _picture_columns(readers: Sequence[Any]) -> list[str]:
    """The columns of pictures: records with the field bytes, and bytes that begin as an image file."""
    from pyarrow import types

    def are_bytes(kind: Any) -> bool:
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def has_bytes(kind: Any) -> bool:
        fields = [kind.field(i) for i in range(kind.num_fields)] if types.is_struct(kind) else []
        return any(field.name == "bytes" and are_bytes(field.type) for field in fields)

    return [
        field.name
        for field in readers[0].schema_arrow
        if has_bytes(field.type) or (are_bytes(field.type) and _are_images(readers, field.name))
    ]


def _are_images(readers: Sequence[Any], column: str) -> bool:
    """Whether the first bytes in a column begin as an image file; True without rows, which is reported later."""
    for reader in (reader for reader in readers if column in reader.schema_arrow.names):
        for batch in reader.iter_batches(_FIRST_ROWS, columns=[column]):
            for cell in batch.column(0):
                if content := cell.as_py():
                    return _IMAGE.match(content) is not None
    return not any(reader.metadata.num_rows for reader in readers)


def _frame(readers: Sequence[Any], schema: Any, column: str, title: str) -> Any:
    """The columns of numbers and words, as a data frame; None if there are none."""
    import pandas as pd
    from pyarrow import types

    simple = (
        types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_string,
        types.is_large_string, types.is_dictionary,
    )  # fmt: skip
    names = [field.name for field in schema if field.name != column and any(test(field.type) for test in simple)]
    if not names:
        return None
    with _naming(title):
        frame = pd.concat([file.read(columns=names).to_pandas() for file in readers], ignore_index=True)
    for name in names:
        words = _words(schema, name)
        if words and types.is_integer(schema.field(name).type):
            frame[name] = [words[int(code)] if 0 <= code < len(words) else None for code in frame[name]]
    return frame


def _words(schema: Any, name: str) -> list[str]:
    """The names of the labels in a column, as the library `datasets` writes them; none if there are none."""
    try:
        facts = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        words = facts["info"]["features"][name]["names"]
    except (ValueError, LookupError, TypeError):
        return []
    return words if isinstance(words, list) else []
