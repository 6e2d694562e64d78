"""The column of a table that names the images, and the image that a cell means."""

import unicodedata
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from equipoise.data import pictures
from equipoise.errors import InputError
from equipoise.text_column import plain_header

FILE = "file"  # the header of the column
# Other headers that it may have, without case, spaces and underscores.
_FILES = ("file", "filename", "filepath", "path", "image", "imagefile", "imagename", "imagepath", "img", "picture")
_NUMBERS = (*_FILES, "id", "name", "number")  # headers of columns whose whole numbers may name images

Row = tuple[str, list[str]]
"""The place of a row, for messages, and its cells as text."""


def finder(images: Sequence[str]) -> Callable[[str], int | None]:
    """A function that finds the image that a cell names; None if there is none, or if several are meant.

    A cell may be the path of the image in its folder, or a longer one that ends with it, with either slash, in other
    case, without the suffix, or its name without any folder.
    """

    def fold(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()  # an accent may be a character of its own

    def without_suffix(name: str) -> str:
        return fold(str(PurePosixPath(name).with_suffix("")))

    def name_alone(name: str) -> str:
        return fold(PurePosixPath(name).name)

    forms: list[tuple[Callable[[str], str], dict[str, int | None]]] = []
    for form in (str, fold, without_suffix, name_alone):
        numbers: dict[str, int | None] = {}
        for i, image in enumerate(images):
            key = form(str(PurePosixPath(image.replace("\\", "/"))))
            numbers[key] = None if key in numbers else i
        forms.append((form, numbers))

    def find(cell: str) -> int | None:
        parts = PurePosixPath(cell.replace("\\", "/")).parts
        for form, numbers in forms:
            if form is name_alone and len(parts) > 1:  # train/1.png is not test/1.png
                continue
            for first in range(len(parts)):
                text = "/".join(parts[first:]).replace("//", "/")
                number = numbers.get(text if form is str else fold(text))
                if number is not None:
                    return number
        return None

    return find


def file_column(
    title: str, header: list[str], table: Sequence[Row], find: Callable[[str], int | None], has_files: bool
) -> int | None:
    """The column that names the images, by its header or its cells; None if there is none.

    A column of whole numbers is usually a factor: it names images such as 0.png by its header only. Warns of a column
    that is chosen by its cells. Raises `InputError` if there is a column of files, although the images are not files.
    """
    names = [plain_header(name) for name in header]
    if has_files and any(Path(name).suffix.lower() in pictures.KINDS and find(name) is not None for name in header):
        raise InputError(f"{title}: the first line names an image; add a line with the names of the columns before it")
    if not has_files:
        if FILE in names and any(PurePosixPath(cells[names.index(FILE)]).suffix for _, cells in table):
            raise InputError(
                f"{title} has a column {FILE!r}, but the images are not files; give a row for each image in order "
                "instead"
            )
        return None
    if FILE in names:
        return names.index(FILE)
    sample = table[:100]
    matches = [
        [find(cells[j]) for _, cells in sample]
        if names[j] in _NUMBERS or not all(cells[j].isdecimal() for _, cells in sample)
        else []
        for j in range(len(header))
    ]
    counts = [len({*places} - {None}) for places in matches]  # a column of labels names few images, each often
    best = max(counts, default=0)
    usual_columns = [j for j in range(len(header)) if names[j] in _FILES]
    if not best or (2 * best <= len(sample) and not usual_columns):
        return usual_columns[0] if usual_columns else None
    columns = [j for j in range(len(header)) if counts[j] == best]
    columns = [j for j in columns if j in usual_columns] or columns
    if any(matches[j] != matches[columns[0]] for j in columns):
        raise InputError(
            f"{title}: the columns {' and '.join(header[j] for j in columns)} name different images; rename the "
            f"correct column to {FILE!r}"
        )
    if columns[0] not in usual_columns:
        name = header[columns[0]]
        warnings.warn(f"{title}: the {f'column {name}' if name else 'first column'} names the images", stacklevel=5)
    return columns[0]


def is_file_header(header: str) -> bool:
    """Whether a column with this header usually names image files."""
    return plain_header(header) in _FILES
