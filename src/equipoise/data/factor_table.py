"""Stage "factor table": factors of images of your own, from a table, a data frame, or their sub-folders."""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equipoise.data import row_names, tables
from equipoise.data.factors import Factors
from equipoise.data.image_names import FILE, Row, file_column, finder
from equipoise.data.pixels import Indices
from equipoise.data.row_names import RowNames
from equipoise.errors import InputError, nearest
from equipoise.files import user_path
from equipoise.text_column import Column, is_row_name

FOLDERS = "folders"  # the setting for the sub-folders

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
    setting: Setting,
    count: int,
    folder: Path | None,
    files: Sequence[str],
    frame: Any = None,
    title: str = "",
    names: RowNames | None = None,
) -> Table | None:
    """The table that the setting `factors` means for `count` pictures, in a folder or not; None if there is none.

    frame: columns that came with the pictures, which are read unless the setting has another table. title: their name.
    names: as for `read`.

    Raises `InputError` for a table that does not fit the pictures.
    """
    if tables.is_frame(setting):
        return of_rows("the data frame", tables.frame_rows(setting), files or count, in_order=True, names=names)
    path, columns = split(setting)
    if path == FOLDERS:
        if folder is None:
            raise InputError("data.factors=folders is for a folder of images; give the path of a table instead")
        return of_folders(folder, files)
    if path is not None:
        return read(user_path(path), files or count, columns, names)
    if frame is not None:
        has_gaps = frame.isna().any().to_numpy() & (not columns)
        if has_gaps.any():
            gaps = ", ".join(map(str, frame.columns[has_gaps]))
            warnings.warn(f"{title}: {gaps}: not used as factors, since values are missing", stacklevel=3)
            frame = frame.loc[:, ~has_gaps]
        try:
            return of_rows(title, tables.frame_rows(frame), count, columns, in_order=True) if frame.shape[1] else None
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
    has_path = Path(first).suffix.lower() in tables.KINDS
    return (first, rest) if has_path else (None, list(names))


def find_table(folder: Path) -> Path | None:
    """The table in a folder of images; None if there is none. Raises `InputError` if there are two."""
    paths = [path for kind in tables.KINDS if (path := folder / f"factors{kind}").is_file()]
    if len(paths) > 1:
        raise InputError(
            f"{folder} has {' and '.join(path.name for path in paths)}; choose one of them with data.factors=PATH"
        )
    return paths[0] if paths else None


def read(
    path: Path, images: Sequence[str] | int, factor_names: Sequence[str] = (), names: RowNames | None = None
) -> Table:
    """The factors in a table, .csv or .tsv (UTF-8 or UTF-16) or .parquet: a column for each and a row for an image.

    images: the paths of the images, which a column names in any order; or their number, if row i belongs to image i.
    factor_names: the columns that are factors; by default all but those with one value, dates, free text and row
    numbers, which a warning names.
    names: of the rows of the data, if these are not files: a column with the same names joins the rows, in any order.

    A column of whole numbers or of words becomes codes 0..V-1 in the order of its values. So does a column of other
    numbers with at most half as many different values as images; with more values, it is continuous and keeps them.
    Numbers may have decimal commas, or all the same unit, such as %. Raises `InputError` for an image without a row, a
    row without an image, two rows for an image, an empty cell or a marker of a missing value such as NA, a column in
    which at least half of the cells are numbers and others are not, and a file that is no such table.
    """
    return of_rows(str(path), tables.read_rows(path), images, factor_names, names=names)


def of_folders(folder: Path, images: Sequence[str]) -> Table:
    """One factor, `folder`: the first sub-folder of each image, numbers if all names are, and otherwise words.

    Raises `InputError` for an image in no sub-folder, and for numbers whose digits may be grouped.
    """
    for name in images:
        if "/" not in name:
            raise InputError(
                f"data.factors={FOLDERS}: {folder / name} is in no sub-folder; move it into one named after its group"
            )
    column = Column("folder")
    ids = np.fromiter((column.number(name.partition("/")[0], name) for name in images), np.int64, len(images))
    column.take_words(str(folder))
    values, words = column.factor(ids, str(folder))
    return Table(values[:, None], (column.name,), (len(words),), {column.name: words})


def of_rows(
    title: str,
    rows: Iterable[Row],
    images: Sequence[str] | int,
    factor_names: Sequence[str] = (),
    *,
    in_order: bool = False,
    names: RowNames | None = None,
) -> Table:
    """The factors in the rows of a table, by the rules of `read`; `title` is its name in messages.

    in_order: whether row i certainly belongs to image i if no column names the images.
    """
    orders = rows.orders if isinstance(rows, tables.Rows) else {}
    (_, header), *table = list(rows) or [("", [])]
    header = [name.strip() for name in header]
    tables.check_rows(title, header, table)
    for _, cells in table:
        cells[:] = [cell.strip() for cell in cells]
    find = (lambda _: None) if isinstance(images, int) else finder(images)
    name = file_column(title, header, table, find, has_files=not isinstance(images, int))
    if name is None and not isinstance(images, int) and not in_order:
        raise InputError(
            f"{title} has no column {FILE!r} but {', '.join(filter(None, header)) or 'none at all'}, and none that "
            "names the images; add one with their paths in the folder"
        )
    tables.check_header(title, header)
    for factor_name in factor_names:
        if factor_name not in header:
            hint = nearest(factor_name, header)
            raise InputError(f"{title} has no column {factor_name!r}, which data.factors names; {hint}")
    match = row_names.match(title, header, table, names) if names and name is None else None
    if match:
        table = [table[number] for number in match.rows]
    if isinstance(images, int) and not in_order and match is None:
        _check_order(title, header, table, factor_names)
    name_columns = {name} | ({match.column} if match and not factor_names else set())
    columns = {
        j: Column(name_of_column, order=orders.get(name_of_column, ()))
        for j, name_of_column in enumerate(header)
        if name_of_column in (factor_names or header) and j not in name_columns
    }
    if not columns:
        raise NoFactors(f"{title} has no factor columns; add a column for each factor")
    places = _images_of_rows(title, table, images, find, name)
    ids = {j: np.empty(len(places), np.int64) for j in columns}
    for j, column in columns.items():
        ids[j][places] = [column.number(cells[j], place) for place, cells in table]
    reasons = {j: "" if factor_names else column.unfit_reason(ids[j]) for j, column in columns.items()}
    remarks = ", ".join(f"{header[j] or 'the first column'} ({reason})" for j, reason in reasons.items() if reason)
    if all(reasons.values()):
        raise NoFactors(f"{title} has no factor columns ({remarks}); add one, or choose columns with data.factors")
    if remarks:
        warnings.warn(f"{title}: not used as factors: {remarks}. data.factors chooses columns", stacklevel=4)
    factors = {j: column.factor(ids[j], title) for j, column in columns.items() if not reasons[j]}
    sizes = tuple(len(words) for _, words in factors.values())
    stack = np.stack([values for values, _ in factors.values()], axis=1)
    values: Factors = stack.astype(np.int64) if all(sizes) else stack.astype(np.float64)
    words_by_factor = {header[j]: words for j, (_, words) in factors.items() if words}
    return Table(values, tuple(header[j] for j in factors), sizes, words_by_factor)


def _check_order(title: str, header: Sequence[str], table: Sequence[Row], factor_names: Sequence[str]) -> None:
    """Raise `InputError` if a column that is no factor numbers the rows from 0 or 1 in another order than theirs.

    Row i is taken for image i, and the numbers may be those of the images.
    """
    for j, name in enumerate(header):
        cells = [cells[j] for _, cells in table]
        if name in factor_names or not is_row_name(name) or not all(cell.isdecimal() for cell in cells):
            continue
        numbers = np.array([float(cell) for cell in cells])
        if (
            any(np.array_equal(np.sort(numbers), range(first, first + len(cells))) for first in (0, 1))
            and (np.diff(numbers) < 0).any()
        ):
            column = f"the column {name}" if name else "the first column"
            raise InputError(
                f"{title}: {column} numbers the rows in another order than theirs, and row i is taken for image i; "
                "sort the rows by it, or remove it if they are in the order of the images"
            )


def _images_of_rows(
    title: str, table: Sequence[Row], images: Sequence[str] | int, find: Callable[[str], int | None], file: int | None
) -> Indices:
    """The image of each row, [N]. Raises `InputError` unless each image has one row."""
    count = images if isinstance(images, int) else len(images)
    if file is None:
        places = check_places(title, table, [i if i < count else None for i in range(len(table))], None)
    else:
        places = check_places(title, table, [find(cells[file]) for _, cells in table], file)
    if len(places) < count:
        missing = np.setdiff1d(np.arange(count), places).tolist()
        names = [f"image {i}" if isinstance(images, int) else images[i] for i in missing]
        raise InputError(f"{title}: {tables.list_names(names, 'image')} without a row; add it, or remove the image")
    return places


def check_places(title: str, table: Sequence[Row], places: Sequence[int | None], column: int | None) -> Indices:
    """The image of each row, if each row has one of its own. Raises `InputError` otherwise.

    column: that which names the images; None: row i belongs to image i.
    """
    names = [place if column is None else cells[column] for place, cells in table]
    strays = [name for name, image in zip(names, places, strict=True) if image is None]
    if strays:
        raise InputError(
            f"{title}: {tables.list_names(strays, 'row')} without an image; remove the row or add the image"
        )
    first: dict[int | None, int] = {}
    for number, image in enumerate(places):
        if first.setdefault(image, number) != number:
            place, other = table[number][0], names[first[image]]
            raise InputError(f"{title}: {place} is a second row for {other}; leave one of them")
    return np.array(places, np.int64)
