"""Images in code space: their nearest neighbours, and those that are unlike the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

from equipoise.codes import Codes, latent_columns
from equipoise.errors import InputError, RunError, check_whole, choose

Array = npt.NDArray[np.float64]

NEAREST = 10  # codes whose mean distance is the measure `code`
NEEDS = {"elbo": ("kl", "log_px_z"), "error": ("sse",), "kl": ("kl",), "code": ("mean",)}
"""The measures of outliers, and the arrays of codes that each needs."""


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of Q images, nearest first.

    Attributes:
        index: Their numbers in `run.images`, int64 [Q, k].
        distance: Euclidean distances [Q, k] of their posterior means from those of the images.
    """

    index: npt.NDArray[np.int64]
    distance: Array


@dataclass(frozen=True)
class Outliers:
    """The n images that are most unlike those of the run, the most unlike first.

    Attributes:
        index: Their numbers in the images that were ranked, int64 [n].
        value: The measure of each [n]; larger is more unlike.
        share: The share [n] of the encoded images of the run with a smaller value, 0 to 1.
    """

    index: npt.NDArray[np.int64]
    value: Array
    share: Array


def nearest(codes: Codes, queries: Codes, count: int | None, latents: Sequence[int] | None = None) -> Neighbours:
    """Return the `count` codes nearest to each of the queries, 10 by default, by the chosen latents or by all."""
    total, latent = codes["mean"].shape
    count = min(10, total) if count is None else count
    check_whole("n", count)
    if not 1 <= count <= total:
        raise InputError(f"n is {count}; the run has {total:,} encoded images, so give 1 to {total:,} neighbours")
    columns = latent_columns(latents, latent)
    search = NearestNeighbors(n_neighbors=count).fit(codes["mean"][:, columns])
    distance, rows = search.kneighbors(queries["mean"][:, columns])
    return Neighbours(codes["index"][rows], distance)


def outliers(codes: Codes, others: Codes | None, count: int | None, by: str) -> Outliers:
    """Return the `count` images with the largest measure, 10 by default: of the run, or others compared with it."""
    choose("measure of outliers", by, NEEDS)
    if missing := [name for name in NEEDS[by] if name not in codes]:
        raise RunError(f"the codes of the run have no array {missing[0]}; run equipoise evaluate on the run")
    ranked = codes if others is None else others
    most = len(ranked["index"])
    count = min(10, most) if count is None else count
    check_whole("n", count)
    if not 1 <= count <= most:
        raise InputError(f"n is {count}; there are {most:,} encoded images, so give 1 to {most:,}")
    own = _measure(codes, None, by)
    values = own if others is None else _measure(codes, others, by)
    order = np.argsort(-values, kind="stable")[:count]
    share = np.searchsorted(np.sort(own), values[order]) / len(own)
    return Outliers(ranked["index"][order], values[order], share)


def _measure(codes: Codes, others: Codes | None, by: str) -> Array:
    """The measure of each image: of the run's own if there are no others."""
    arrays: dict[str, Any] = codes if others is None else others
    if by == "code":
        whole = codes["mean"]
        # Without others, a code is not its own neighbour.
        search = NearestNeighbors(n_neighbors=max(1, min(NEAREST, len(whole) - 1))).fit(whole)
        distance = search.kneighbors(None if others is None else others["mean"])[0]
        mean: Array = distance.mean(axis=1)
        return mean
    if by == "elbo":
        return np.asarray(arrays["kl"] - arrays["log_px_z"], dtype=np.float64)
    return np.asarray(arrays[NEEDS[by][0]], dtype=np.float64)
