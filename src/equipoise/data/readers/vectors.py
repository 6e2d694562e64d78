"""Vectors: the columns of a table, or an array [N, V], with factors from other columns or another table."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import torch

from equipoise.data import array_files, factor_table, npz, tables
from equipoise.data.columns import Columns, Kind, Scaling, Values, are_constant
from equipoise.data.factor_table import Table
from equipoise.data.image_names import Row
from equipoise.data.images import Images
from equipoise.data.npz import Header
from equipoise.data.readers import anndata, arrays, named_arrays, parquet, spectra
from equipoise.data.row_names import RowNames, is_name
from equipoise.data.tables import list_names
from equipoise.errors import InputError, choose
from equipoise.files import user_path
from equipoise.text_column import Column, are_dates, floats

ANNDATA = ".h5ad"
NAMES = ("vectors", "values", "data", "X", "x", "embeddings", "spectra")  # of the array: the first that is there
TITLES = ("columns", "var_names", "feature_names", "names")  # of the array with the names of the columns
HEADER = 8  # columns, from which rising or falling numbers in the first line are names

Cells = Values | list[str]
_BOOLEANS = {"False": "0", "True": "1", "false": "0", "true": "1", "FALSE": "0", "TRUE": "1"}  # as in a data frame


@dataclass(frozen=True)
class Frame:
    """A table as it is read: numbers or text by column, and the factors that came with it.

    rows: the columns that `data.factors` may choose, as text. places: of the rows, in messages, if these are not
    numbered. is_named: whether the columns have names of their own. precision: the relative error of a value. folder,
    files: of spectra, and the name of the file of each. index: further columns with names of the rows, which are no
    features.
    """

    title: str
    columns: Mapping[str, Cells]
    rows: Callable[[], Sequence[Row]] | None = None
    places: Sequence[str] = ()
    factors: Table | None = None
    is_named: bool = True
    precision: float = float(np.finfo(np.float64).eps)
    folder: Path | None = None
    files: Sequence[str] = ()
    index: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def place(self, row: int) -> str:
        """The place of a row, from 0, in messages."""
        return self.places[row] if self.places else f"row {row + 1}"


def are_in(source: Any, key: object = None) -> bool:
    """Whether a source holds vectors: a table, AnnData, a frame without paths, an array of two axes, or spectra.

    An array uint8 [H, W] is not vectors, since it may be one picture. Reads headers only; False for a missing or
    damaged file.
    """
    if tables.is_frame(source):
        return not tables.has_paths(source)
    if isinstance(source, np.ndarray | torch.Tensor):
        return source.ndim == 2 and source.dtype not in (np.uint8, torch.uint8)
    if isinstance(source, Images):
        return source.scaling is not None
    if not isinstance(source, str | os.PathLike):
        return False
    path = user_path(source)
    suffix = path.suffix.lower()
    if path.is_dir():
        return spectra.are_in(path)
    if suffix in (*tables.KINDS, ANNDATA):
        return suffix != ".parquet" or not parquet.holds_pictures(path)
    try:
        if suffix == ".npy":
            return _is_flat(npz.header(path))
        return suffix in array_files.KINDS and _array_in(array_files.headers(path), key) is not None
    except InputError:
        return False


def read(
    source: Any, *, scaling: str | Scaling | None = None, key: str | None = None, factors: factor_table.Setting = None
) -> Images:
    """Return vectors as images of one row: all columns of numbers but those that are chosen as factors.

    Text, dates, row numbers and columns of one value are left out with a warning.

    Args:
        source: A path, a data frame, an array [N, V] or `Images`, as `are_in` accepts them.
        scaling: `standardize`, which is the default, `minmax` or `none`; or the scaling of a run, whose columns are
            then taken by name and in its order. An array without names has to have their number.
        key: The name of the array in an .npz, HDF5 or AnnData file.
        factors: As for `load_data`; names without a path are columns of the table itself.

    Raises:
        InputError: For a missing or infinite value, text among numbers, a column of `scaling` that is not there, or a
            source without a column of numbers.
    """
    if not isinstance(scaling, Scaling | None):
        choose("data.scaling", scaling, get_args(Kind))
    frame = _frame(source, key)
    count = len(next(iter(frame.columns.values()), ()))
    if count < (1 if isinstance(scaling, Scaling) else 2):
        if frame.folder is not None:
            raise InputError(
                f"{frame.title} has one file, {frame.files[0]}, and such a folder has one for each vector; for a table "
                "give the path of the file"
            )
        part = "one row" if count else "no rows" if frame.columns else "no columns"
        raise InputError(f"{frame.title} has {part}; give a table of numbers with a row for each vector, two or more")
    table, factor_columns = _factors(frame, factors, count)
    columns = {name: cells for name, cells in frame.columns.items() if name not in factor_columns}
    if isinstance(scaling, Scaling):
        columns = _columns_of_run(frame, columns, scaling.names)
        matrix = np.stack([_numbers_of_run(frame, name, cells) for name, cells in columns.items()], axis=1)
    else:
        values = _features(frame, columns)
        matrix = np.stack(list(values.values()), axis=1)
        scaling = Scaling.fit(scaling or "standardize", list(values), matrix)  # type: ignore[arg-type]
    codes, names, sizes, words = table or (None, None, (), {})
    return Images(
        Columns(scaling.scale(matrix, frame.title), scaling),
        name=frame.title,
        factors=codes,
        factor_names=names,
        factor_sizes=sizes,
        factor_values=words,
        source=str(source) if isinstance(source, str | os.PathLike) else None,
        files=frame.files or None,
    )


def _frame(source: Any, key: str | None) -> Frame:
    if isinstance(source, Images):
        assert source.scaling is not None
        table = None
        if source.factors is not None:
            table = Table(source.factors, source.factor_names, source.factor_sizes, source.factor_values)
        return _of_matrix(source.name, source.vectors(), source.scaling.names, table)
    if tables.is_frame(source):
        return _of_data_frame("the data frame", source)
    if isinstance(source, np.ndarray | torch.Tensor):
        return _of_matrix("array", arrays.of_tensor(source) if isinstance(source, torch.Tensor) else source)
    path = user_path(source)
    suffix = path.suffix.lower()
    if key is not None and suffix not in (*array_files.KINDS, ANNDATA):
        raise InputError("data.key: only for .npz, HDF5 and AnnData files; remove it")
    if path.is_dir():
        files, names, values = spectra.read(path)
        return replace(_of_matrix(str(path), values, names), places=files, files=files, folder=path)
    if suffix in tables.KINDS and not path.is_file():
        raise InputError(f"data: the path {path} does not exist; check it")
    if suffix == ".parquet":
        return _of_data_frame(str(path), tables.read_parquet(path))
    if suffix in tables.KINDS:
        return _of_rows(str(path), tables.read_rows(path, "data"))
    if suffix == ANNDATA:
        columns, rows, cells = anndata.read(path, key)
        return Frame(str(path), columns, lambda: rows, index=cells)
    if suffix == ".npy":
        return _of_matrix(str(path), npz.memory_map(path))
    headers = array_files.headers(path)
    name = _array_in(headers, key)
    assert name is not None  # as `are_in` found
    titles = next((title for title in TITLES if headers.get(title, headers[name]).shape == headers[name].shape[1:]), "")
    table = named_arrays.factors_beside(path, headers, name, (titles,))
    texts = [named_arrays.text(each) for each in array_files.load(path, titles)] if titles else None
    return _of_matrix(str(path), array_files.load(path, name), texts, table)


def _array_in(headers: Mapping[str, Header], key: object) -> str | None:
    """The name of the array of vectors: `key`, one of `NAMES`, or the only array of two axes; None if there is none."""
    if key is not None:
        name = str(key).strip("/")
        return name if name in headers and _is_flat(headers[name]) else None
    if any(len(header.shape) > 2 for header in headers.values()):
        return None  # of images
    flat = [name for name, header in headers.items() if _is_flat(header)]
    flat = [name for name in flat if name not in named_arrays.FACTORS]
    usual_names = [name for name in NAMES if name in flat]
    return usual_names[0] if usual_names else flat[0] if len(flat) == 1 else None


def _is_flat(header: Header) -> bool:
    return len(header.shape) == 2 and header.dtype.kind in "biuf" and header.dtype != np.uint8


def _of_matrix(
    title: str, matrix: npt.NDArray[Any], names: Sequence[str] | None = None, factors: Table | None = None
) -> Frame:
    if matrix.dtype.kind not in "biuf":
        raise InputError(f"{title}: values of type {matrix.dtype}; expected numbers: convert them")
    if names is not None and len(set(names)) < len(names):
        raise InputError(f"{title}: two columns have one name; give each column a name of its own")
    columns = arrays.without_mask(matrix, title, "values").astype(np.float64).T
    header = [str(number) for number in range(len(columns))] if names is None else names
    precision = float(np.finfo(matrix.dtype if matrix.dtype == np.float32 else np.float64).eps)
    frame = dict(zip(header, columns, strict=True))
    return Frame(title, frame, factors=factors, is_named=names is not None, precision=precision)


def _of_data_frame(title: str, frame: Any) -> Frame:
    whole = tables.with_index(frame)
    tables.check_header(title, [str(name) for name in whole.columns])
    columns: dict[str, Cells] = {}  # without those of the index, which may be factors
    for j, name in enumerate(frame.columns):
        column = frame.iloc[:, j]
        is_number = getattr(column.dtype, "kind", "O") in "biuf"
        columns[str(name)] = column.to_numpy(np.float64, na_value=np.nan) if is_number else tables.texts(column)
    levels = whole.shape[1] - frame.shape[1]
    index = {str(whole.columns[j]): tables.texts(whole.iloc[:, j]) for j in range(levels)}
    return Frame(title, columns, lambda: tables.frame_rows(frame), index=index)


def _of_rows(title: str, rows: list[Row]) -> Frame:
    """The frame of a text file, whose first line has the names of the columns."""
    (_, header), *table = rows or [("", [])]
    header = [name.strip() for name in header]
    numbers = floats(header)
    steps = np.diff(numbers) if numbers is not None else np.zeros(0)
    if header and numbers is not None and (numbers.size < HEADER or not ((steps > 0).all() or (steps < 0).all())):
        raise InputError(f"{title}: the first line has numbers; add a line with the names of the columns before it")
    tables.check_header(title, header)
    tables.check_rows(title, header, table)
    columns: dict[str, Cells] = {name: [cells[j].strip() for _, cells in table] for j, name in enumerate(header)}
    return Frame(title, columns, lambda: rows, [place for place, _ in table])


def _factors(frame: Frame, setting: factor_table.Setting, count: int) -> tuple[Table | None, Sequence[str]]:
    """The factors of the vectors, and the columns of the table itself that are factors."""
    if setting is None and frame.folder is None:
        return frame.factors, ()
    path, columns = (None, ()) if tables.is_frame(setting) else factor_table.split(setting)
    if path is None and columns and frame.rows:
        return factor_table.of_rows(frame.title, frame.rows(), count, columns, in_order=True), columns
    names = RowNames(frame.title, {**frame.columns, **frame.index})
    return factor_table.choose(setting, count, frame.folder, frame.files, names=names), ()


def _features(frame: Frame, columns: Mapping[str, Cells]) -> dict[str, Values]:
    """The columns of numbers that vary. Warns of the others, with the reason."""
    values, reasons = {}, {}
    for name, cells in columns.items():
        column = _numbers(frame, name, cells)
        if column is None:
            texts = [text for text in cells if text]
            reasons[name] = "dates" if are_dates(texts) else "text" if texts else "no values"
        elif are_constant(column[:, None], frame.precision)[0]:
            reasons[name] = "one value only" if column.min() == column.max() else "one value only, up to rounding"
        elif frame.is_named and _is_row_number(name, column):
            reasons[name] = "row numbers"
        else:
            values[name] = column
    remarks = [f"{name or 'the first column'}: {reason}" for name, reason in reasons.items()]
    if not values:
        reason = f" ({', '.join(remarks[:5])})" if remarks else " beside the factors"
        raise InputError(f"{frame.title} has no column of numbers that vary{reason}; add one")
    if remarks:
        remedy = ". data.factors=[NAME] makes a factor of a column" if "text" in reasons.values() else ""
        warnings.warn(f"{frame.title}: not read: {list_names(remarks, 'column')}{remedy}", stacklevel=5)
    return values


def _columns_of_run(frame: Frame, columns: Mapping[str, Cells], names: Sequence[str]) -> dict[str, Cells]:
    """The columns of a run, in its order. Warns of the others.

    Columns without names are those of the run if there are as many. If there are more, they are taken by their numbers,
    in case the run was trained on columns without names and left some out, such as one with a single value.
    """
    if not frame.is_named and len(columns) == len(names):
        return dict(zip(names, columns.values(), strict=True))
    if not frame.is_named and not columns.keys() >= set(names):
        are_numbers = all(name.isdecimal() for name in names)
        which = f", numbered up to {max(map(int, names))}" if are_numbers else ""
        raise InputError(
            f"{frame.title} has {len(columns)} columns, and the run was trained on {len(names)}{which}; give as many, "
            "or a table with their names"
        )
    if missing := [name for name in names if name not in columns]:
        raise InputError(
            f"{frame.title} lacks {list_names(missing, 'column')} of those that the run was trained on; add "
            f"{'it' if len(missing) == 1 else 'them'}"
        )
    if others := [name for name in columns if name not in names]:
        warnings.warn(f"{frame.title}: not read: {list_names(others, 'column')}", stacklevel=5)
    return {name: columns[name] for name in names}


def _numbers_of_run(frame: Frame, name: str, cells: Cells) -> Values:
    values = _numbers(frame, name, cells)
    if values is None:
        raise InputError(f"{frame.title}: the column {name} has text, and the run was trained on its numbers")
    return values


def _numbers(frame: Frame, name: str, cells: Cells) -> Values | None:
    """The values of a column; None if it has text. Raises `InputError` for missing or infinite values and for paths."""
    if isinstance(cells, list):
        if tables.are_paths(cells):  # 1.png is no number with a unit
            raise InputError(
                f"{frame.title}: the column {name} names image files; give their folder as data, and this table with "
                "data.factors"
            )
        values = floats([_BOOLEANS.get(text, text) for text in cells])
        if values is None:
            column = Column(name, noun="row")
            ids = np.array([column.number(cell, frame.place(row)) for row, cell in enumerate(cells)])
            values = column.values_of(ids, frame.title)
    else:
        values = cells
    if values is not None and not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        what = "no value" if np.isnan(values[row]) else "an infinite value"
        raise InputError(
            f"{frame.title}: {frame.place(row)} has {what} in the column {name}; fill it in, or leave that row out"
        )
    return values


def _is_row_number(name: str, column: Values) -> bool:
    """Whether a column numbers the rows: its name is one of an identifier, and its whole values all differ."""
    return is_name(name) and len(np.unique(column)) == len(column) and bool((column == np.floor(column)).all())
