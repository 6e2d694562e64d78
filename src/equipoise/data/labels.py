"""Labels of some of the images: a table of factors that has a row for each image whose factors are known."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from equipoise.data import factor_table, image_names, tables
from equipoise.data.factor_table import Table
from equipoise.data.images import Images
from equipoise.data.pixels import Indices
from equipoise.errors import InputError
from equipoise.files import user_path

INDEX = "index"  # the column with the numbers of images that are not files, as `equipoise encode` writes it
SETTING = "--labels"


class Labels(NamedTuple):
    """The rows of the labelled images, int64 [n], and the table of their factors, [n, K]."""

    images: Indices
    table: Table


def read_labels(source: Any, images: Images) -> Labels:
    """Read the labels of some of the images.

    Args:
        source: The path of a .csv, .tsv or .parquet file, or a data frame. A column names the images as in a table of
            factors; for images that are not files, a column `index` has their numbers, from 0. Other columns are
            factors, by the rules of `factor_table.read`.
        images: All images.

    Returns:
        The rows of the labelled images and their factors.

    Raises:
        InputError: For a table that does not fit the images, or that has fewer than two rows.
    """
    title, header, index, rows = labelled_rows(source, images, SETTING)
    whole = tables.Rows([("the header", header), *rows])
    whole.orders = rows.orders
    table = factor_table.of_rows(title, whole, len(index), in_order=True)
    if (table.values == table.values[0]).all():
        raise InputError(f"{title}: no factor takes two values; label images that differ")
    return Labels(index, table)


def labelled_rows(source: Any, images: Images, setting: str) -> tuple[str, list[str], Indices, tables.Rows]:
    """Read a table with a row for each of some images: its title, its header, the images [n], and the other cells.

    `source` and errors as in `read_labels`; `setting` names the table in messages.
    """
    if tables.is_frame(source):
        title, table = "the data frame", tables.frame_rows(source)
    else:
        title, table = str(source), tables.read_rows(user_path(source), setting)
    first, *rows = table or [("", [])]
    header, files = [name.strip() for name in first[1]], images.files
    if len(rows) < 2:
        raise InputError(f"{title} has {len(rows)} labelled images; give at least two that differ")
    tables.check_rows(title, header, rows)
    if files is not None:
        find = image_names.finder(files)
        column = image_names.file_column(title, header, rows, find, has_files=True)
        expected = "a column 'file' with the paths of the images"
    else:
        find = number_below(len(images))
        column = header.index(INDEX) if INDEX in header else None
        expected = f"a column {INDEX!r} with the numbers of the images, from 0, since they are not files"
    if column is None:
        raise InputError(f"{title} has the columns {', '.join(header) or 'none'}; add {expected}")
    tables.check_header(title, header)
    if len(header) < 2:
        raise InputError(f"{title} has no column but {header[column]}; add one for each factor")
    places = [find(cells[column].strip()) for _, cells in rows]
    strays = [cells[column] for (_, cells), place in zip(rows, places, strict=True) if place is None]
    if strays:
        names = tables.list_names(strays, "row")
        raise InputError(f"{title}: {names} without an image; remove the row or add the image")
    index = np.array(places, np.int64)
    if len(set(places)) < len(places):
        duplicate = next(cells for i, (_, cells) in enumerate(rows) if places[i] in places[:i])
        raise InputError(
            f"{title} has two rows for one image, {duplicate[column]} in the column {header[column]}; leave one of them"
        )
    others = tables.Rows(
        (place, [cell.strip() for j, cell in enumerate(cells) if j != column]) for place, cells in rows
    )
    others.orders = table.orders
    return title, [name for j, name in enumerate(header) if j != column], index, others


def number_below(count: int) -> Callable[[str], int | None]:
    """A function that reads the number of an image; None for text that is no number below `count`."""

    def find(cell: str) -> int | None:
        digits = cell.lstrip("0") or "0"  # Python refuses to read thousands of them
        is_number = cell.isdecimal() and len(digits) <= len(str(count))
        return int(digits) if is_number and int(digits) < count else None

    return find


def positions(images: Images) -> Indices:
    """The place among these images of each image of `images.whole`; -1 for one that is not among them."""
    position = np.full(len(images.whole), -1)
    position[images.rows] = np.arange(len(images))
    return position
