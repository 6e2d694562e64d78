"""Labelled images: those of a table of factors with a row for each of some images, and their batches in training.

Batches are a function of seed and step.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from equipoise.data import factor_table, image_names, tables
from equipoise.data.batches import batch_index
from equipoise.data.factor_table import Table
from equipoise.data.factors import Factors
from equipoise.data.images import Images
from equipoise.data.pixels import Indices
from equipoise.data.settings import LabelSettings
from equipoise.errors import InputError, choose
from equipoise.files import user_path
from equipoise.text_column import Column, is_missing

INDEX = "index"  # the column with the numbers of images that are not files, as `equipoise encode` writes it
SETTING = "train.labels"


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
        InputError: For a table that does not fit the images, has fewer than two rows, or no factor that varies.
    """
    title, index, rows = labelled_rows(source, images, "--labels")
    table = factor_table.of_rows(title, rows, len(index), in_order=True)
    if (table.values == table.values[0]).all():
        raise InputError(f"{title}: no factor takes two values; label images that differ")
    return Labels(index, table)


def labelled_rows(source: Any, images: Images, setting: str) -> tuple[str, Indices, tables.Rows]:
    """Read a table with a row for each of some images: its title, the images [n], and the header and the other cells.

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
    find = image_finder(images)
    if files is not None:
        column = image_names.file_column(title, header, rows, find, has_files=True)
        expected = "a column 'file' with the paths of the images"
    else:
        column = header.index(INDEX) if INDEX in header else None
        expected = f"a column {INDEX!r} with the numbers of the images, from 0, since they are not files"
    if column is None:
        raise InputError(f"{title} has the columns {', '.join(header) or 'none'}; add {expected}")
    tables.check_header(title, header)
    if len(header) < 2:
        raise InputError(f"{title} has no column but {header[column]}; add one for each factor")
    places = [find(cells[column].strip()) for _, cells in rows]
    index = factor_table.check_places(title, rows, places, column)
    others = tables.Rows(
        (place, [cell.strip() for j, cell in enumerate(cells) if j != column]) for place, cells in table
    )
    others.orders = table.orders
    return title, index, others


def image_finder(images: Images) -> Callable[[str], int | None]:
    """A function that finds the image that a cell names, by its file or its number from 0; None if there is none."""
    if images.files is not None:
        return image_names.finder(images.files)
    count = len(images)

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


class LabelledImages:
    """Labelled images, and for each image and latent the value that the latent has to learn.

    Args:
        images: The images to train on.
        labels: Which of them are labelled, and which latents learn which factors.
        latent: The number of latents D.
        size: The largest number of images in a batch.
        seed: The seed of the order of the batches.
        data_seed: The seed of the choice of the labelled images, if the settings give their number.

    Raises:
        InputError: If there are no such labels, or more factors than latents.
    """

    def __init__(
        self, images: Images, labels: LabelSettings, latent: int, size: int, seed: int, data_seed: int
    ) -> None:
        self.source = labels.source
        if isinstance(labels.source, str):
            rows, factors = _of_table(labels.source, images, labels.factors or ())
        else:
            rows, factors = _of_share(labels.source, images, data_seed)
        names = labels.factors or tuple(factors)
        if len(set(names)) < len(names):
            raise InputError(f"{SETTING}.factors is {list(names)}; name each factor once")
        self.latents = labels.latents or tuple(range(len(names)))
        if len(set(self.latents)) != len(names) or len(self.latents) != len(names):
            raise InputError(
                f"{SETTING} has {len(names)} factors, {', '.join(names)}, and the latents {list(self.latents)}; give "
                "each factor a latent of its own"
            )
        if max(self.latents) >= latent:
            raise InputError(
                f"{SETTING} needs latent {max(self.latents)}, and there are {latent}, from 0; raise net.latent, or "
                f"choose fewer factors with {SETTING}.factors"
            )
        targets = np.full((len(rows), latent), np.nan)
        for name, place in zip(names, self.latents, strict=True):
            values = factors[choose("factor with labels", name, factors)]
            targets[:, place] = _scale(values, labels.loss, name)
        self.images, self.targets = images.subset(rows), torch.from_numpy(targets.astype(np.float32))
        self.size, self.seed = min(size, len(rows)), seed

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The labelled images of a step, float [B, C, H, W] in 0..1, and their targets [B, D], NaN without a label."""
        index = batch_index(len(self.images), self.size, self.seed, step)
        return self.images.floats(index), self.targets[torch.from_numpy(index)]

    def digest(self) -> str:
        """A text that identifies the labelled images and their targets."""
        return hashlib.sha256(self.images.rows.tobytes() + self.targets.numpy().tobytes()).hexdigest()


def _of_share(share: int | float, images: Images, seed: int) -> tuple[Indices, dict[str, Factors]]:
    """The rows [n] of images that are drawn at random, and their factors [n] by name."""
    if images.factors is None:
        raise InputError(
            f"{SETTING}={share} needs images with factors, and {images.name} has none; give the path of a table"
        )
    count = share if isinstance(share, int) else max(2, round(share * len(images)))
    if count > len(images):
        raise InputError(f"{SETTING} is {count}, but there are only {len(images)} images to train on; lower it")
    rng = np.random.default_rng([seed, *b"labels"])
    rows = np.sort(rng.permutation(len(images))[:count])
    return rows, dict(zip(images.factor_names, images.factors[rows].T.astype(np.float64), strict=True))


def _of_table(path: str, images: Images, factor_names: Sequence[str]) -> tuple[Indices, dict[str, Factors]]:
    """The rows [n] of the images to train on that a table names, and their factors [n] by name, NaN if not known.

    Numbers keep their values, and words are codes in their order.

    factor_names: The columns that are factors, if they were chosen. Otherwise row numbers, dates and free text are left
        out.
    """
    title, index, table = labelled_rows(path, images.whole, SETTING)
    (_, header), *rows = table
    places = positions(images)[index]
    is_used = places >= 0
    if is_used.sum() < 2:
        raise InputError(f"{title}: fewer than two of its images are among those to train on; change data.split")
    factors, remarks = {}, []
    for j, name in enumerate(header):
        column = Column(name, order=table.orders.get(name, ()))
        rows_with_value = [i for i, (_, cells) in enumerate(rows) if not is_missing(cells[j])]
        values = np.full(len(rows), np.nan)
        ids = np.array([column.number(rows[i][1][j], rows[i][0]) for i in rows_with_value], np.int64)
        reason = "" if factor_names or len(column.numbers) < 2 else column.unfit_reason(ids)
        if reason:
            remarks.append(f"{name or 'the first column'} ({reason})")
            continue
        if rows_with_value and (name in factor_names or not factor_names):
            codes = column.factor(ids, title)[0]
            numbers = None if column.order else column.values_of(ids, title)
            values[rows_with_value] = codes if numbers is None else numbers
        factors[name] = values[is_used]
    if remarks:
        warnings.warn(
            f"{title}: not used as factors: {', '.join(remarks)}. {SETTING}.factors chooses columns", stacklevel=3
        )
    if not factors:
        raise InputError(f"{title} has no factor columns; add a column for each factor")
    return places[is_used], factors


def _scale(values: Factors, loss: str, name: str) -> Factors:
    """The values of a factor [n] from 0 to 1, or for a regression with mean 0 and variance 1. NaN remains."""
    finite = values[~np.isnan(values)]
    if not len(finite) or finite.min() == finite.max():
        raise InputError(
            f"{SETTING}: {name} has fewer than two values among the labelled images; label images that differ in it, "
            f"or leave it out with {SETTING}.factors"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        low, unit = finite.min(), finite.max() - finite.min()
        if loss == "regression":
            low, unit = finite.mean(), finite.std()
    if not np.isfinite(unit) or not unit:
        raise InputError(f"{SETTING}: the values of {name} are too far apart or too close for a float; change its unit")
    targets: Factors = (values - low) / unit
    return targets
