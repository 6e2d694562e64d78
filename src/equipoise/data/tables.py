"""Tables as rows of text: .csv, .tsv and .parquet files, and data frames."""

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from equipoise.data import pictures
from equipoise.data.image_names import Row, is_file_header
from equipoise.errors import InputError

KINDS = (".csv", ".parquet", ".tsv")
_DELIMITERS = ";\t|,"  # a comma may also be in a number or in a name with its unit
_SAMPLE = 100  # rows from which the delimiter is found
_NUMBERS = "biufcmM"  # kinds of numpy's types of numbers and times, which are no paths


class Rows(list[Row]):
    """The header and the rows of a table; orders: the values of a column by its name, if these have an order."""

    orders: Mapping[str, Sequence[str]] = {}


def read_rows(path: Path, setting: str = "data.factors") -> Rows:
    """The header and the rows of a table that a setting names. Raises `InputError` for a file that is no such table."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        column = f", or columns as [{path}]" if setting == "data.factors" and len(path.parts) == 1 and not kind else ""
        raise InputError(f"{setting}: {path} is not a kind of table that is read; give a .csv or .parquet file{column}")
    if not path.is_file():
        raise InputError(f"{setting}: there is no file {path}; check the path")
    if kind == ".parquet":
        return frame_rows(read_parquet(path))
    try:
        return Rows(_csv(path))
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); change its permissions") from error
    except (OSError, UnicodeError, csv.Error, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as CSV ({error}); save it in UTF-8, with a comma, semicolon or tab between cells"
        ) from error


def _csv(path: Path) -> Iterator[Row]:
    """The rows of a text file. Raises `InputError` if two delimiters divide it into cells."""
    with open(path, "rb") as stream:
        encoding = "utf-16" if stream.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with open(path, newline="", encoding=encoding) as file:
        first = next((line for line in file if line.strip()), "")
        declared_delimiter = first[4:5] if first.startswith("sep=") else ""  # as spreadsheets write and read it
        file.seek(0)
        usual_delimiter = "\t" if path.suffix.lower() == ".tsv" else ""
        delimiter = declared_delimiter or usual_delimiter or _delimiter(path, file)
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for cells in reader:
            if cells and not (declared_delimiter and reader.line_num == 1):  # a blank line is no row
                yield f"line {reader.line_num}", cells


def _delimiter(path: Path, file: TextIO) -> str:
    """The delimiter with which the first rows have as many cells as the header, two or more; a comma comes last.

    If none divides all rows so, it is one that divides most of them.
    """
    shares, cells = {}, {}
    for sign in _DELIMITERS:
        file.seek(0)
        rows = (row for row in csv.reader(file, delimiter=sign) if row)
        try:
            counts = [len(row) for row in itertools.islice(rows, _SAMPLE)]
        except csv.Error:  # a cell without an end
            counts = []
        cells[sign] = counts[0] if counts else 1
        shares[sign] = counts.count(cells[sign]) / len(counts) if cells[sign] > 1 else 0
    fitting = [sign for sign in _DELIMITERS if shares[sign] == 1]
    if len([sign for sign in fitting if sign != ","]) > 1:
        names = " or ".join(repr(sign) for sign in fitting if sign != ",")
        raise InputError(
            f"{path}: the delimiter may be {names}, which all rows have equally often; write another sign in place of "
            f"the one that is none, or a first line such as sep={fitting[0]}"
        )
    return max(_DELIMITERS, key=lambda sign: shares[sign]) if any(shares.values()) else ","


def read_parquet(path: Path) -> Any:
    """The data frame in a .parquet file. Raises `InputError` without pandas, and for a damaged file."""
    check_packages(path, ", or save the table as .csv")
    import pandas as pd

    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as Parquet ({error}); save it again") from error


def check_packages(what: object, instead: str = "") -> None:
    """Raise `InputError`, which ends with what else to do, unless the packages for Parquet are installed."""
    if find_spec("pyarrow") is None or find_spec("pandas") is None:
        raise InputError(f"{what} needs pandas and pyarrow; pip install equipoise[tables]{instead}")


def is_frame(value: object) -> bool:
    """Whether a value is a data frame of pandas."""
    return type(value).__name__ == "DataFrame" and hasattr(value, "columns") and hasattr(value, "itertuples")


def has_paths(frame: Any) -> bool:
    """Whether a data frame has a column of paths of images."""
    return any(are_paths(frame[name]) for name in frame.columns) or (
        frame.index.dtype.kind not in "iu" and are_paths(frame.index)
    )


def are_paths(cells: Iterable[Any]) -> bool:
    """Whether more than half of the cells are paths of image files; cells may be empty."""
    if getattr(getattr(cells, "dtype", None), "kind", "O") in _NUMBERS:
        return False
    are_paths = [str(cell).lower().endswith(pictures.KINDS) for cell in cells]
    return 2 * sum(are_paths) > len(are_paths)


def paths_of(frame: Any) -> tuple[list[str], Any]:
    """The paths of images in a data frame that `has_paths`, and the frame without them.

    Raises `InputError` for a missing path.
    """
    frame = with_index(frame)
    names = sorted(frame.columns, key=lambda name: not is_file_header(str(name)))
    name = next(name for name in names if are_paths(frame[name]))
    missing = np.flatnonzero(frame[name].isna())
    if len(missing):
        raise InputError(f"the data frame: row {missing[0] + 1} has no path in the column {name}; leave that row out")
    return [str(cell) for cell in frame[name]], frame.drop(columns=[name])


def frame_rows(frame: Any) -> Rows:
    """The header and the rows of a data frame as text. An index of words becomes a column."""
    frame = with_index(frame)
    columns = [texts(frame.iloc[:, j]) for j in range(frame.shape[1])]
    rows = Rows([("the header", [str(name) for name in frame.columns])])
    rows += [(f"row {number}", list(cells)) for number, cells in enumerate(zip(*columns, strict=True), 1)]
    rows.orders = {
        str(name).strip(): [str(value).strip() for value in kind.categories]
        for name, kind in zip(frame.columns, frame.dtypes, strict=True)
        if getattr(kind, "ordered", False)
    }
    return rows


def with_index(frame: Any) -> Any:
    """A data frame whose index, unless it is one of whole numbers, is its first columns.

    Raises `InputError` for an index with the name of a column.
    """
    if frame.index.dtype.kind in "iu":
        return frame
    try:
        return frame.reset_index()
    except ValueError:  # pandas cannot insert a second column of a name
        names = ", ".join(str(name) for name in frame.index.names if name in frame.columns)
        raise InputError(f"the data frame has an index and a column called {names}; rename one of them") from None


def texts(column: Any) -> list[str]:
    """The cells of a column of a data frame as text, empty where a value is missing."""
    return ["" if is_missing else str(cell) for cell, is_missing in zip(column.tolist(), column.isna(), strict=True)]


def check_header(title: str, header: Sequence[str]) -> None:
    """Raise `InputError` if two columns have the same name, or a column other than the first has none."""
    duplicates = sorted({name for name in header if header.count(name) > 1})
    if "" in header[1:] or duplicates:
        fault = f"two columns are called {duplicates[0]}" if duplicates and duplicates[0] else "a column has no name"
        raise InputError(f"{title}: {fault}; give each column of the first line a name of its own")


def check_rows(title: str, header: Sequence[str], rows: Sequence[Row]) -> None:
    """Raise `InputError` for a row with another number of cells than the header."""
    for place, cells in rows:
        if len(cells) != len(header):
            raise InputError(f"{title}: {place} has {len(cells)} cells, expected {len(header)}; correct that row")


def list_names(names: Sequence[str], noun: str, limit: int = 5) -> str:
    """`1 image (a)`, `7 images (a, b, c, d, e and 2 more)`."""
    ending = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return f"{len(names):,} {noun}{'' if len(names) == 1 else 's'} ({', '.join(names[:limit])}{ending})"
