"""Batches of pairs: images 2i and 2i + 1 of a batch differ in some factors and agree in the others."""

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from equipoise.data import pictures, tables
from equipoise.data.batches import Draw, batch_index
from equipoise.data.images import Images
from equipoise.data.labels import image_finder, positions
from equipoise.data.pixels import Indices
from equipoise.errors import InputError
from equipoise.files import user_path
from equipoise.text_column import floats, is_row_name

FACTORS, NEIGHBOURS = "factors", "neighbours"
SETTING = "method.pairs"
PATIENCE = 10  # tries to find the second image of a pair, after which the first is drawn again
TRIES = 1000  # of one step


def draw_pairs(images: Images, source: str, changed: int | None) -> Draw:
    """Return the function that draws the pairs of a batch, as a pure function of seed, step and stream.

    Args:
        images: The images to train on.
        source: `factors`: the second image differs from the first in some of its factors, drawn at random.
            `neighbours`: successive images in their order. Otherwise the path of a table with two columns of images.
        changed: The number of factors in which drawn pairs differ; None: a random number for each pair, from 1 to all
            but one.

    Raises:
        InputError: If the images have no such pairs.
    """
    if source == FACTORS:
        return FactorPairs(images, changed)
    pairs = neighbours(images) if source == NEIGHBOURS else read_pairs(user_path(source), images)
    return ListedPairs(pairs)


class FactorPairs:
    """Pairs of images with known factors, drawn for each batch; call it as `batch_index` without its first argument.

    The first images are those of `batch_index`. Of each, `changed` factors that are drawn at random take another value
    at random, and the second image is one with these values. If there is none, other factors and values are drawn, and
    after some tries another first image.

    Raises `InputError` if the factors are not known or continuous, or if `changed` would leave none equal.
    """

    def __init__(self, images: Images, changed: int | None) -> None:
        self.name, self.changed = images.name, changed
        factors = images.factors
        if factors is None:
            raise InputError(
                f"{SETTING}={FACTORS} needs images with factors, and {images.name} has none; give the path of a table "
                f"of pairs, or {SETTING}={NEIGHBOURS} for frames in their order"
            )
        if not all(images.factor_sizes):
            continuous = images.factor_names[images.factor_sizes.index(0)]
            raise InputError(
                f"{SETTING}={FACTORS} needs factors with codes, and {continuous} of {images.name} is continuous; leave "
                "it out with data.factors, or give the path of a table of pairs"
            )
        columns = [np.unique(column, return_inverse=True) for column in factors.T]
        varying = [(len(values), codes) for values, codes in columns if len(values) > 1]
        most = len(varying) - 1
        if (changed or 1) > most:
            raise InputError(
                f"{images.name} has {len(varying)} factors that vary, and a pair has to agree in one or more and "
                f"differ in {changed or 'some'}; lower method.changed, or give the path of a table of pairs"
            )
        self.sizes = np.array([size for size, _ in varying])
        self.codes = np.stack([codes for _, codes in varying], axis=1)
        # A random number for each combination of codes; products wrap around, and `_find` compares the codes.
        self.weights = np.random.default_rng(0).integers(1, 2**62, len(varying))
        keys = self.codes @ self.weights
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def __call__(self, size: int, seed: int, step: int, stream: int = 0) -> Indices:
        """The images [size] of a step: pair after pair."""
        first = batch_index(len(self.codes), size // 2, seed, step, stream)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(step, stream, *b"pairs")))
        second = np.full_like(first, -1)
        unmatched = np.arange(len(first))
        for number in range(TRIES):
            if number % PATIENCE == PATIENCE - 1:
                first[unmatched] = rng.integers(len(self.codes), size=len(unmatched))
            second[unmatched] = self._find(self._change(self.codes[first[unmatched]], rng), rng)
            unmatched = np.flatnonzero(second < 0)
            if not len(unmatched):
                return np.stack([first, second], axis=1).reshape(-1)
        raise InputError(
            f"{self.name} has too few images that differ in "
            f"{'some' if self.changed is None else self.changed} factors and agree in the others; change "
            f"method.changed, or give {SETTING} the path of a table of pairs"
        )

    def _change(self, codes: Indices, rng: np.random.Generator) -> Indices:
        """The codes [n, K] with other values of some factors."""
        shape = codes.shape
        count = rng.integers(1, shape[1], size=(len(codes), 1)) if self.changed is None else self.changed
        is_changed = rng.random(shape).argsort(axis=1).argsort(axis=1) < count
        other: Indices = (codes + rng.integers(1, self.sizes, size=shape)) % self.sizes
        return np.where(is_changed, other, codes)

    def _find(self, codes: Indices, rng: np.random.Generator) -> Indices:
        """The number of an image with each row of codes, [n]; -1 where there is none."""
        keys = codes @ self.weights
        begin, end = np.searchsorted(self.keys, keys), np.searchsorted(self.keys, keys, side="right")
        place = begin + (rng.random(len(keys)) * (end - begin)).astype(np.int64)
        image = self.order[np.minimum(place, len(self.keys) - 1)]
        return np.where((end > begin) & (self.codes[image] == codes).all(axis=1), image, -1)


class ListedPairs:
    """Pairs [P, 2] of images, in the order of `batch_index`; call it as `batch_index` without its first argument.

    Raises `InputError` if there are fewer pairs than a batch needs.
    """

    def __init__(self, pairs: Indices) -> None:
        self.pairs = pairs

    def __call__(self, size: int, seed: int, step: int, stream: int = 0) -> Indices:
        """The images [size] of a step: pair after pair."""
        count = len(self.pairs)
        if count < size // 2:
            raise InputError(
                f"there are {count} pairs, and a batch of {size} images needs {size // 2}; set train.batch to "
                f"{2 * count} or less"
            )
        return self.pairs[batch_index(count, size // 2, seed, step, stream)].reshape(-1)

    def digest(self) -> str:
        """A text that identifies the pairs."""
        return hashlib.sha256(self.pairs.tobytes()).hexdigest()


def neighbours(images: Images) -> Indices:
    """The pairs [P, 2] of successive images of one folder, or of one file of several pages.

    Images that are not successive in the data, because some are left out, are no pair. Raises `InputError` if there is
    no pair.
    """
    rows = images.rows
    is_pair = np.diff(rows) == 1
    if (files := images.files) is not None:
        sequences = np.array([_sequence(name) for name in files])
        is_pair &= sequences[1:] == sequences[:-1]
    first = np.flatnonzero(is_pair)
    if not len(first):
        raise InputError(f"{images.name} has no two images that follow each other; give {SETTING} a table of pairs")
    return np.stack([first, first + 1], axis=1)


def read_pairs(path: Path, images: Images) -> Indices:
    """The pairs [P, 2] in the first two columns of a table, .csv, .tsv or .parquet, with or without a header.

    Its cells name image files as in a table of factors, or are numbers from 0 for images that are not files. A column
    of row numbers before them, as data frames write it, is left out, and so are pairs of images that are left out of
    the training. Raises `InputError` for a cell that names no image, a pair of an image and itself, a first column that
    may contain row numbers or images, and if no pair is left. Warns of further columns, which are not read. A first row
    is a header unless a cell of it is a number, ends as an image file does, or names an image.
    """
    whole = images.whole
    find = image_finder(whole)
    table = [[cell.strip() for cell in cells] for _, cells in tables.read_rows(path, SETTING)]
    begin = _first_column(path, table, find)
    rows = [cells[begin : begin + 2] for cells in table]
    has_header = bool(rows) and not any(_may_name_image(cell, find) for cell in rows[0])
    if others := sorted({j for cells in table for j, cell in enumerate(cells) if cell and j >= begin + 2}):
        names = [table[0][j] if has_header and j < len(table[0]) and table[0][j] else f"number {j + 1}" for j in others]
        columns = f"column {names[0]} is" if len(names) == 1 else f"columns {', '.join(names)} are"
        warnings.warn(f"{path}: the {columns} not read; the images of a pair are in two columns", stacklevel=3)
    rows = rows[has_header:]
    pairs = [_places(cells, find) for cells in rows]
    strays = [" and ".join(cells) for cells, pair in zip(rows, pairs, strict=True) if len({*pair} - {None}) < 2]
    if strays or not pairs:
        reason = tables.list_names(strays, "row") + " without two images" if strays else "no rows"
        kind = "numbers" if whole.files is None else "files"
        raise InputError(f"{path} has {reason}; each row has the {kind} of two images in its first two columns")
    pairs_in_training = positions(images)[np.array(pairs, np.int64)]
    pairs_in_training = pairs_in_training[(pairs_in_training >= 0).all(axis=1)]
    if not len(pairs_in_training):
        raise InputError(f"{path}: no pair has both images in the training data; change data.split or data.n")
    return pairs_in_training


def _first_column(path: Path, table: list[list[str]], find: Callable[[str], int | None]) -> int:
    """The column of the first images: 0, or 1 if the one before it numbers the rows.

    A column called index, id or row may number the rows or name images. Raises `InputError` if both are possible.
    """
    if not table or len(table[0]) < 3 or not is_row_name(table[0][0]):
        return 0
    header, *rows = table
    if is_row_name(header[0], is_unnamed=True):
        return 1
    from_first, from_second = (
        all(None not in _places(cells[begin : begin + 2], find) for cells in rows) for begin in (0, 1)
    )
    if rows and from_first and from_second:
        raise InputError(
            f"{path}: the column {header[0]} may number the rows or name the first image of each pair; leave it out, "
            "or keep only the two columns of the images"
        )
    return int(from_second)


def _may_name_image(cell: str, find: Callable[[str], int | None]) -> bool:
    """Whether a cell names an image, or looks as if it should: it ends as image files do, or is a number."""
    return find(cell) is not None or cell.lower().endswith(pictures.KINDS) or floats([cell]) is not None


def _places(cells: list[str], find: Callable[[str], int | None]) -> list[int | None]:
    """The numbers of the images that two cells name."""
    return [find(cell) for cell in cells] if len(cells) == 2 else [None]


def _sequence(name: str) -> str:
    """The folder of an image file, or the file of a page such as `stack.tif[3]`."""
    return name.rpartition("[")[0] if name.endswith("]") else str(PurePosixPath(name).parent)
