"""The column that names the rows in two tables, by which they are joined."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from equipoise.data.image_names import Row
from equipoise.data.tables import list_names
from equipoise.errors import InputError
from equipoise.text_column import are_numbers, floats, is_missing, is_row_name, plain_header

_NAMES = ("name", "sample")


class RowNames(NamedTuple):
    """The columns of the data that may name its rows, and the title of the data in messages."""

    title: str
    columns: Mapping[str, npt.NDArray[np.float64] | Sequence[str]]


class Match(NamedTuple):
    """The column of a table that names the rows, and the row of the table for each row of the data."""

    column: int
    rows: Sequence[int]


def is_name(header: str) -> bool:
    """Whether the header of a column is one of names or numbers of rows, such as id, sample or patient_id."""
    is_id = header.casefold().endswith(("_id", " id")) or header.endswith(("Id", "ID"))
    return is_id or is_row_name(header) or plain_header(header) in _NAMES


def match(title: str, header: Sequence[str], table: Sequence[Row], names: RowNames) -> Match | None:
    """The column by which the rows of a table are joined with those of the data; None if their order joins them.

    The column and one of the data have the same cells, a different one in each row. Their headers are equal, or the
    cells are text and both headers are names of rows (`is_name`); numbers need such a header in any case. A warning
    names the column. Raises `InputError` if only some of the cells are the same, and if two columns join the rows in
    different ways.
    """
    matches: dict[int, Match] = {}
    differences: dict[int, list[str]] = {}
    headers = {plain_header(name) for name in header}
    candidates_by_name = {
        name: cells for name, cells in names.columns.items() if plain_header(name) in headers or is_name(name)
    }  # a table of thousands of columns has few of these
    keys = {name: key for name, cells in candidates_by_name.items() if (key := _key(name, cells)) is not None}
    for j, name in enumerate(header):
        has_known_header = any(plain_header(name) == plain_header(other) for other in keys)
        key = _key(name, [cells[j] for _, cells in table]) if keys and (has_known_header or is_name(name)) else None
        if key is None:
            continue
        numbers = {cell: number for number, cell in enumerate(key)}
        for other, cells in keys.items():
            is_same = plain_header(name) == plain_header(other)
            if numbers.keys() == set(cells) and (is_same or (is_name(name) and floats(cells) is None)):
                matches.setdefault(j, Match(j, [numbers[cell] for cell in cells]))
            elif is_same and not numbers.keys().isdisjoint(cells):
                differences[j] = sorted(numbers.keys() ^ set(cells))
    if not matches and differences:
        j, cells = next(iter(differences.items()))
        raise InputError(
            f"{title}: the column {header[j] or 1} names the rows as in {names.title}, but {list_names(cells, 'row')} "
            f"{'is' if len(cells) == 1 else 'are'} in one of the two only; give both the same rows"
        )
    better = [each for j, each in matches.items() if not is_row_name(header[j]) or plain_header(header[j]) == "id"]
    candidates = better or list(matches.values())
    for candidate in candidates[1:]:
        if candidate.rows != candidates[0].rows:
            columns = " and ".join(header[each.column] or "the first" for each in (candidates[0], candidate))
            raise InputError(
                f"{title}: the columns {columns} join the rows with those of {names.title} in different ways; remove "
                "one of them"
            )
    if not candidates:
        return None
    name = header[candidates[0].column]
    joined = f"the column {name}" if name else "the first column"
    warnings.warn(f"{title}: {joined} joins the rows with those of {names.title}", stacklevel=5)
    return candidates[0]


def _key(header: str, cells: npt.NDArray[np.float64] | Sequence[str]) -> list[str] | None:
    """The cells of a column, numbers in one form; None if they do not name the rows."""
    texts = [] if isinstance(cells, np.ndarray) else [cell.strip() for cell in cells]
    numbers = cells if isinstance(cells, np.ndarray) else floats(texts)
    if numbers is not None:
        texts = [f"{value:.17g}" for value in numbers.tolist()]
    is_key = is_name(header) if numbers is not None else not are_numbers(texts)
    are_names = is_key and len(set(texts)) == len(texts) and not any(map(is_missing, texts))
    return texts if are_names else None
