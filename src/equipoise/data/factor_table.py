"""Stage "factor table": factors of images of one's own, from a CSV or Parquet table, or from their sub-folders."""

import csv
import importlib
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from equipoise.data.factor_column import Column
from equipoise.data.factors import Factors
from equipoise.data.pixels import Indices
from equipoise.errors import InputError

FILE = "file"  # the column that names the image
FOLDERS = "folders"  # the setting for the sub-folders
KINDS = (".csv", ".parquet")

Row = tuple[str, list[str]]
"""The place of a row, for messages, and its cells as text."""


class Table(NamedTuple):
    """Factors [N, K] in the order of the images: codes 0..V-1 of size V, or continuous and of size 0.

    Names and sizes are None and empty where `Images` is to derive them from the values.
    """

    values: Factors
    names: Sequence[str] | None
    sizes: Sequence[int]


def beside(folder: Path) -> Path | None:
    """The table in a folder of images; None if there is none. Raises `InputError` if there are two."""
    tables = [folder / f"factors{kind}" for kind in KINDS if (folder / f"factors{kind}").is_file()]
    if len(tables) > 1:
        raise InputError(f"{folder} has factors.csv and factors.parquet; choose one of them with data.factors=PATH")
    return tables[0] if tables else None


def read(path: Path, images: Sequence[str] | int) -> Table:
    """The factors in a table, .csv (UTF-8, separated by commas) or .parquet, a column for each and a row for an image.

    images: the paths of the images relative to their folder, which are in the column `file` in any order; or their
    number, if row i belongs to image i and there is no such column.

    A column of whole numbers, of words, or of numbers of which most occur more than once, becomes codes 0..V-1 in the
    order of its values, numbers by size; one of other numbers, most of which differ (more than half as many values as
    images), stays as it is and is continuous. Numbers may have decimal commas, or all the same unit, such as %. Raises
    `InputError` for an image without a row, a row without an image, two rows for an image, an empty cell or a marker of
    a missing value such as NA, a column of numbers in which some cells are not numbers, and a file that is no such
    table.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError(f"data.factors: {path} is not a kind of table that is read; give a .csv or .parquet file")
    if not path.is_file():
        raise InputError(f"data.factors: there is no file {path}; check the path")
    rows = _csv(path) if path.suffix.lower() == ".csv" else _parquet(path)
    try:
        return _table(path, rows, images)
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(f"{path} may not be read by you ({error.strerror}); change its permissions") from error
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        kind = "CSV in UTF-8" if path.suffix.lower() == ".csv" else "Parquet"
        raise InputError(f"{path} cannot be read as {kind} ({error}); save it again") from error


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
    values, size = column.factor(ids, folder)
    return Table(values[:, None], (column.name,), (size,))


def choose(setting: str | None, count: int, folder: Path | None, files: Sequence[str]) -> Table | None:
    """The table that the setting `factors` means for `count` pictures, in a folder or not; None if there is none.

    Raises `InputError` for a table that does not fit the pictures.
    """
    if setting == FOLDERS:
        if folder is None:
            raise InputError("data.factors=folders is for a folder of images; give the path of a table instead")
        return of_folders(folder, files)
    if setting is not None:
        return read(Path(setting).expanduser(), files or count)
    table = beside(folder) if folder is not None else None
    return None if table is None else read(table, files)


def _table(path: Path, rows: Iterator[Row], images: Sequence[str] | int) -> Table:
    _, header = next(rows, ("", []))
    header = [name.strip() for name in header]
    _check_header(path, header, has_files=not isinstance(images, int))
    columns = {j: Column(name) for j, name in enumerate(header) if name != FILE}
    if not columns:
        raise InputError(f"{path} has no column of a factor; add one for each")
    ids = _cell_numbers(path, rows, header, columns, images)
    factors = [column.factor(ids[k], path) for k, column in enumerate(columns.values())]
    sizes = tuple(size for _, size in factors)
    stacked = np.stack([values for values, _ in factors], axis=1)
    values: Factors = stacked.astype(np.int64) if all(sizes) else stacked.astype(np.float64)
    return Table(values, tuple(column.name for column in columns.values()), sizes)


def _check_header(path: Path, header: Sequence[str], has_files: bool) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if "" in header or twice:
        wrong = f"two columns are called {twice[0]}" if twice and twice[0] else "a column has no name"
        raise InputError(f"{path}: {wrong}; give each column of the first line a name of its own")
    if has_files and FILE not in header:
        raise InputError(
            f"{path} has no column {FILE!r} but {', '.join(header) or 'none at all'}; name the images there, by "
            "their paths in the folder, with commas between the columns"
        )
    if FILE in header and not has_files:
        raise InputError(
            f"{path} has a column {FILE!r}, but the images are not files; give a row for each image in order instead"
        )


def _cell_numbers(
    path: Path, rows: Iterator[Row], header: Sequence[str], columns: dict[int, Column], images: Sequence[str] | int
) -> Indices:
    """For each column and image, the number of the cell, [K, N]."""
    count = images if isinstance(images, int) else len(images)
    position = {} if isinstance(images, int) else {name: i for i, name in enumerate(images)}
    ids = np.full((len(columns), count), -1, np.int64)
    strays: list[str] = []
    for number, (place, cells) in enumerate(rows):
        if len(cells) != len(header):
            raise InputError(f"{path}: {place} has {len(cells)} cells, expected {len(header)}; mend that row")
        cells = [cell.strip() for cell in cells]
        if isinstance(images, int):
            name, i = place, number if number < count else None
        else:
            name = str(PurePosixPath(cells[header.index(FILE)]))
            i = position.get(name)
        if i is None:
            strays.append(name)
            continue
        if ids[0, i] >= 0:
            raise InputError(f"{path}: {place} is a second row for {name}; leave one of them")
        for k, (j, column) in enumerate(columns.items()):
            if not cells[j] or cells[j].lower() == "nan":
                raise InputError(f"{path}: {place} has an empty cell in the column {column.name}; fill it in")
            ids[k, i] = column.number(cells[j], place)
    if strays:
        raise InputError(
            f"{path}: {list_names(strays, 'row', 'rows')} without an image; remove the row or add the image"
        )
    missing = np.flatnonzero(ids[0] < 0).tolist()
    if missing:
        names = [f"image {i}" if isinstance(images, int) else images[i] for i in missing]
        raise InputError(f"{path}: {list_names(names, 'image', 'images')} without a row; add it, or remove the image")
    return ids


def list_names(names: Sequence[str], one: str, several: str, most: int = 5) -> str:
    """`1 image (a)`, `7 images (a, b, c, d, e and 2 more)`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{len(names):,} {one if len(names) == 1 else several} ({', '.join(names[:most])}{more})"


def _csv(path: Path) -> Iterator[Row]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        for cells in reader:
            if cells:  # a blank line is no row
                yield f"line {reader.line_num}", cells


def _parquet(path: Path) -> Iterator[Row]:
    if find_spec("pyarrow") is None:
        raise InputError(f"{path} needs pyarrow; pip install equipoise[tables], or save the table as .csv")
    parquet = importlib.import_module("pyarrow.parquet")
    with parquet.ParquetFile(path) as file:
        # pandas stores the index of a filtered frame under such a name.
        header = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
        yield "the header", header
        number = 0
        for batch in file.iter_batches(columns=header):
            columns: Iterable[list[object]] = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                number += 1
                yield f"row {number}", ["" if cell is None else str(cell) for cell in cells]
