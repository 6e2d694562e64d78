"""Stage "factor table": factors of images of one's own, from a table, a data frame, or their sub-folders."""

import csv
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equipoise.data import pictures
from equipoise.data.factor_column import Column
from equipoise.data.factors import Factors
from equipoise.data.image_names import FILE, Row, file_column, finder, is_file_header
from equipoise.data.pixels import Indices
from equipoise.errors import InputError, nearest
from equipoise.files import user_path

FOLDERS = "folders"  # the setting for the sub-folders
KINDS = (".csv", ".parquet", ".tsv")
_DELIMITERS = ",;\t|"
_NUMBERS = "biufcmM"  # kinds of numpy's types of numbers and times, which are no paths

Setting = str | os.PathLike[str] | Sequence[str] | Any
"""`factors` of `load_data`: a path, FOLDERS, names of columns (after a path or not), or a data frame."""


class NoFactors(InputError):
    """A table has no factor columns."""


class Table(NamedTuple):
    """Factors [N, K] in the order of the images: codes 0..V-1 of size V, or continuous and of size 0.

    Names and sizes are None and empty where `Images` is to derive them from the values. `words` are the values of the
    factors with codes as text, in the order of the codes.
    """

    values: Factors
    names: Sequence[str] | None
    sizes: Sequence[int]
    words: Mapping[str, Sequence[str]] = {}


def choose(
    setting: Setting, count: int, folder: Path | None, files: Sequence[str], frame: Any = None, title: str = ""
) -> Table | None:
    """The table that the setting `factors` means for `count` pictures, in a folder or not; None if there is none.

    frame: columns that came with the pictures, which are read unless the setting has another table. title: their name.

    Raises `InputError` for a table that does not fit the pictures.
    """
    if is_frame(setting):
        return of_rows("the data frame", frame_rows(setting), files or count, in_order=True)
    path, columns = split(setting)
    if path == FOLDERS:
        if folder is None:
            raise InputError("data.factors=folders is for a folder of images; give the path of a table instead")
        return of_folders(folder, files)
    if path is not None:
        return read(user_path(path), files or count, columns)
    if frame is not None:
        has_gaps = frame.isna().any().to_numpy() & (not columns)
        if has_gaps.any():
            gaps = ", ".join(map(str, frame.columns[has_gaps]))
            warnings.warn(f"{title}: {gaps}: not used as factors, since values are missing", stacklevel=3)
            frame = frame.loc[:, ~has_gaps]
        try:
            return of_rows(title, frame_rows(frame), count, columns, in_order=True) if frame.shape[1] else None
        except NoFactors as error:
            if columns:
                raise
            warnings.warn(str(error), stacklevel=3)
            return None
    table = find_table(folder) if folder is not None else None
    if table is None and columns:
        raise InputError(
            f"data.factors names the columns {', '.join(columns)}, and there is no factors.csv among the images; put "
            'the path of a table before them, such as data.factors=["table.csv","shape"]'
        )
    return None if table is None else read(table, files or count, columns)


def split(setting: Setting) -> tuple[str | None, Sequence[str]]:
    """The path of a table or FOLDERS, if one is set, and the columns that are chosen; none: those that are factors."""
    if setting is None or isinstance(setting, str | os.PathLike):
        return None if setting is None else os.fspath(setting), ()
    names = setting.tolist() if hasattr(setting, "tolist") else setting  # an array, or the columns of a data frame
    names = names if isinstance(names, list | tuple) else ()
    if not names or not all(isinstance(name, str | os.PathLike) for name in names):
        raise InputError(
            f"data.factors is a {type(setting).__name__}; expected the path of a table, names of its columns, or a "
            "data frame with a column for each factor, such as pandas.DataFrame({'shape': shapes})"
        )
    first, *rest = names
    has_path = Path(first).suffix.lower() in KINDS
    return (first, rest) if has_path else (None, list(names))


def find_table(folder: Path) -> Path | None:
    """The table in a folder of images; None if there is none. Raises `InputError` if there are two."""
    tables = [folder / f"factors{kind}" for kind in KINDS if (folder / f"factors{kind}").is_file()]
    if len(tables) > 1:
        raise InputError(
            f"{folder} has {' and '.join(table.name for table in tables)}; choose one of them with data.factors=PATH"
        )
    return tables[0] if tables else None


def read(path: Path, images: Sequence[str] | int, factor_names: Sequence[str] = ()) -> Table:
    """The factors in a table, .csv or .tsv (UTF-8 or UTF-16) or .parquet: a column for each and a row for an image.

    images: the paths of the images, which a column names in any order; or their number, if row i belongs to image i.
    factor_names: the columns that are factors; by default all but those with one value, dates, free text and row
    numbers, which a warning names.

    A column of whole numbers, of words, or of numbers of which most occur more than once, becomes codes 0..V-1 in the
    order of its values, numbers by size; one of other numbers, most of which differ (more than half as many values as
    images), stays as it is and is continuous. Numbers may have decimal commas, or all the same unit, such as %. Raises
    `InputError` for an image without a row, a row without an image, two rows for an image, an empty cell or a marker of
    a missing value such as NA, a column of numbers in which some cells are not numbers, and a file that is no such
    table.
    """
    return of_rows(str(path), table_rows(path), images, factor_names)


def table_rows(path: Path, setting: str = "data.factors") -> list[Row]:
    """The header and the rows of a table that a setting names. Raises `InputError` for a file that is no such table."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        column = f", or columns as [{path}]" if setting == "data.factors" and len(path.parts) == 1 and not kind else ""
        raise InputError(f"{setting}: {path} is not a kind of table that is read; give a .csv or .parquet file{column}")
    if not path.is_file():
        raise InputError(f"{setting}: there is no file {path}; check the path")
    try:
        return list(frame_rows(read_parquet(path)) if kind == ".parquet" else _csv(path))
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); change its permissions") from error
    except (OSError, UnicodeError, csv.Error, ValueError) as error:
        if kind == ".parquet":
            raise InputError(f"{path} cannot be read as Parquet ({error}); save it again") from error
        raise InputError(
            f"{path} cannot be read as CSV ({error}); save it in UTF-8, with a comma, semicolon or tab between cells"
        ) from error


def is_frame(value: object) -> bool:
    """Whether a value is a data frame of pandas."""
    return type(value).__name__ == "DataFrame" and hasattr(value, "columns") and hasattr(value, "itertuples")


def has_paths(frame: Any) -> bool:
    """Whether a data frame has a column of paths of images."""
    return any(_are_paths(frame[name]) for name in frame.columns) or (
        frame.index.dtype.kind not in "iu" and _are_paths(frame.index)
    )


def _are_paths(cells: Iterable[Any]) -> bool:
    """Whether more than half of the cells are paths of image files."""
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
    name = next(name for name in names if _are_paths(frame[name]))
    missing = np.flatnonzero(frame[name].isna())
    if len(missing):
        raise InputError(f"the data frame: row {missing[0] + 1} has no path in the column {name}; leave that row out")
    return [str(cell) for cell in frame[name]], frame.drop(columns=[name])


def frame_rows(frame: Any) -> Iterator[Row]:
    """The header and the rows of a data frame as text. An index of words becomes a column."""
    frame = with_index(frame)
    yield "the header", [str(name) for name in frame.columns]
    columns = [texts(frame.iloc[:, j]) for j in range(frame.shape[1])]
    for number, cells in enumerate(zip(*columns, strict=True), 1):
        yield f"row {number}", list(cells)


def with_index(frame: Any) -> Any:
    """A data frame whose index, unless it is one of whole numbers, is its first columns."""
    return frame if frame.index.dtype.kind in "iu" else frame.reset_index()


def texts(column: Any) -> list[str]:
    """The cells of a column of a data frame as text, empty where a value is missing."""
    return ["" if is_missing else str(cell) for cell, is_missing in zip(column.tolist(), column.isna(), strict=True)]


def of_folders(folder: Path, images: Sequence[str]) -> Table:
    """One factor, `folder`: the first sub-folder of each image, in the order of their names.

    Raises `InputError` for an image in no sub-folder.
    """
    for name in images:
        if "/" not in name:
            raise InputError(
                f"data.factors={FOLDERS}: {folder / name} is in no sub-folder; move it into one named after its group"
            )
    column = Column("folder")
    ids = np.fromiter((column.number(name.partition("/")[0], name) for name in images), np.int64, len(images))
    values, words = column.factor(ids, str(folder))
    return Table(values[:, None], (column.name,), (len(words),), {column.name: words})


def of_rows(
    title: str,
    rows: Iterable[Row],
    images: Sequence[str] | int,
    factor_names: Sequence[str] = (),
    *,
    in_order: bool = False,
) -> Table:
    """The factors in the rows of a table, by the rules of `read`; `title` is its name in messages.

    in_order: whether row i belongs to image i if no column names the images.
    """
    (_, header), *table = list(rows) or [("", [])]
    header = [name.strip() for name in header]
    check_rows(title, header, table)
    for _, cells in table:
        cells[:] = [cell.strip() for cell in cells]
    find = (lambda _: None) if isinstance(images, int) else finder(images)
    name = file_column(title, header, table, find, has_files=not isinstance(images, int))
    if name is None and not isinstance(images, int) and not in_order:
        raise InputError(
            f"{title} has no column {FILE!r} but {', '.join(filter(None, header)) or 'none at all'}, and none that "
            "names the images; add one with their paths in the folder"
        )
    check_header(title, header)
    for factor_name in factor_names:
        if factor_name not in header:
            hint = nearest(factor_name, header)
            raise InputError(f"{title} has no column {factor_name!r}, which data.factors names; {hint}")
    columns = {j: Column(header[j]) for j in range(len(header)) if j != name and header[j] in (factor_names or header)}
    if not columns:
        raise NoFactors(f"{title} has no factor columns; add a column for each factor")
    ids = _cell_numbers(title, table, columns, images, find, name)
    reasons = {j: "" if factor_names else column.unfit_reason(ids[k]) for k, (j, column) in enumerate(columns.items())}
    remarks = ", ".join(f"{header[j] or 'the first column'} ({reason})" for j, reason in reasons.items() if reason)
    if all(reasons.values()):
        raise NoFactors(f"{title} has no factor columns ({remarks}); add one, or choose columns with data.factors")
    if remarks:
        warnings.warn(f"{title}: not used as factors: {remarks}. data.factors chooses columns", stacklevel=4)
    factors = {j: column.factor(ids[k], title) for k, (j, column) in enumerate(columns.items()) if not reasons[j]}
    sizes = tuple(len(words) for _, words in factors.values())
    values: Factors = np.stack([values for values, _ in factors.values()], axis=1)
    values = values.astype(np.int64) if all(sizes) else values.astype(np.float64)
    words_by_factor = {header[j]: words for j, (_, words) in factors.items() if words}
    return Table(values, tuple(header[j] for j in factors), sizes, words_by_factor)


def check_header(title: str, header: Sequence[str]) -> None:
    """Raise `InputError` for names of columns that are empty, but for the first, or not different."""
    duplicates = sorted({name for name in header if header.count(name) > 1})
    if "" in header[1:] or duplicates:
        fault = f"two columns are called {duplicates[0]}" if duplicates and duplicates[0] else "a column has no name"
        raise InputError(f"{title}: {fault}; give each column of the first line a name of its own")


def check_rows(title: str, header: Sequence[str], rows: Sequence[Row]) -> None:
    """Raise `InputError` for a row with another number of cells than the header."""
    for place, cells in rows:
        if len(cells) != len(header):
            raise InputError(f"{title}: {place} has {len(cells)} cells, expected {len(header)}; correct that row")


def _cell_numbers(
    title: str,
    table: Sequence[Row],
    columns: dict[int, Column],
    images: Sequence[str] | int,
    find: Callable[[str], int | None],
    file: int | None,
) -> Indices:
    """For each column and image, the number of the cell, [K, N]."""
    count = images if isinstance(images, int) else len(images)
    ids = np.full((len(columns), count), -1, np.int64)
    has_row = np.zeros(count, bool)
    strays: list[str] = []
    for number, (place, cells) in enumerate(table):
        name = place if file is None else cells[file]
        i = (number if number < count else None) if file is None else find(name)
        if i is None:
            strays.append(name)
            continue
        if has_row[i]:
            raise InputError(f"{title}: {place} is a second row for {images[i]}; leave one of them")  # type: ignore[index]
        has_row[i] = True
        for k, (j, column) in enumerate(columns.items()):
            ids[k, i] = column.number(cells[j], place)
    if strays:
        raise InputError(f"{title}: {list_names(strays, 'row')} without an image; remove the row or add the image")
    missing = np.flatnonzero(~has_row).tolist()
    if missing:
        names = [f"image {i}" if isinstance(images, int) else images[i] for i in missing]
        raise InputError(f"{title}: {list_names(names, 'image')} without a row; add it, or remove the image")
    return ids


def list_names(names: Sequence[str], noun: str, limit: int = 5) -> str:
    """`1 image (a)`, `7 images (a, b, c, d, e and 2 more)`."""
    ending = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return f"{len(names):,} {noun}{'' if len(names) == 1 else 's'} ({', '.join(names[:limit])}{ending})"


def _csv(path: Path) -> Iterator[Row]:
    """The rows of a file whose first line has more cells with its delimiter than with another."""
    with open(path, "rb") as stream:
        encoding = "utf-16" if stream.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with open(path, newline="", encoding=encoding) as file:
        first = next((line for line in file if line.strip()), "")
        declared_delimiter = first[4:5] if first.startswith("sep=") else ""  # as spreadsheets write and read it
        delimiter = declared_delimiter or max(
            _DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign), []))
        )
        file.seek(0)
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for cells in reader:
            if cells and not (declared_delimiter and reader.line_num == 1):  # a blank line is no row
                yield f"line {reader.line_num}", cells


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
