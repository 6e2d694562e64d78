"""The few labelled images of a training, in batches that are a function of seed and step."""

import hashlib
import warnings
from collections.abc import Sequence

import numpy as np
import torch

from equipoise.data.batches import batch_index
from equipoise.data.factors import Factors
from equipoise.data.images import Images
from equipoise.data.labels import labelled_rows, positions
from equipoise.data.pixels import Indices
from equipoise.data.settings import LabelSettings
from equipoise.errors import InputError, choose
from equipoise.text_column import Column, is_missing

SETTING = "train.labels"


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

    factor_names: The columns that are factors, if they were chosen. Otherwise row numbers, dates and free text are left
        out.
    """
    title, header, index, rows = labelled_rows(path, images.whole, SETTING)
    places = positions(images)[index]
    is_used = places >= 0
    if is_used.sum() < 2:
        raise InputError(f"{title}: fewer than two of its images are among those to train on; change data.split")
    factors, remarks = {}, []
    for j, name in enumerate(header):
        column = Column(name, order=rows.orders.get(name, ()))
        rows_with_value = [i for i, (_, cells) in enumerate(rows) if not is_missing(cells[j])]
        values = np.full(len(rows), np.nan)
        ids = np.array([column.number(rows[i][1][j], rows[i][0]) for i in rows_with_value], np.int64)
        reason = "" if factor_names or len(column.numbers) < 2 else column.unfit_reason(ids)
        if reason:
            remarks.append(f"{name or 'the first column'} ({reason})")
            continue
        if rows_with_value and (name in factor_names or not factor_names):
            values[rows_with_value] = column.factor(ids, title)[0]
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
    low, unit = finite.min(), finite.max() - finite.min()
    if loss == "regression":
        low, unit = finite.mean(), finite.std()
    targets: Factors = (values - low) / unit
    return targets
