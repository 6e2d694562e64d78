"""How well the candidates of `auto` agree, which of them is picked, and what labels would have picked."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from equipoise import codes as coding
from equipoise import metrics, runs
from equipoise.data.labels import Labels
from equipoise.metrics import Score, ScoreWarning
from equipoise.metrics.result import Floats
from equipoise.report.latents import ACTIVE, latent_variances
from equipoise.study.compare.udr import agreement

DRAWS = 2000
DCI = "dci_lasso_disentanglement"


@dataclass(frozen=True)
class Ranking:
    """Runs, the best first, with their agreement and active latents, and how often the first stays first in redraws."""

    runs: tuple[str, ...]
    agreement: Mapping[str, float]
    active: Mapping[str, int]
    dropped: tuple[str, ...]
    """Runs with fewer than half of the active latents of the median; they come last."""
    confidence: float
    """Share of redraws of the other models in which the first run stays the first."""


def rank(paths: Mapping[str, Path]) -> Ranking:
    """Rank runs without labels, by UDR: the median agreement of their latents with those of each other run.

    Runs that lack half of the active latents of the median run come last, whatever their agreement. Otherwise the
    order of the names decides between equals.
    """
    names = sorted(paths)
    active = {name: _active(paths[name]) for name in names}
    least = max(1.0, float(np.median(list(active.values()))) / 2)
    is_usable = np.array([active[name] >= least for name in names])
    pairs = agreement([paths[name] for name in names]) if len(names) > 1 else np.full((1, 1), math.nan)
    medians = _medians(pairs)
    order = np.lexsort((np.arange(len(names)), -medians, ~is_usable))
    return Ranking(
        tuple(names[i] for i in order),
        dict(zip(names, medians.tolist(), strict=True)),
        active,
        tuple(name for name, usable in zip(names, is_usable, strict=True) if not usable),
        confidence(pairs, int(order[0]), is_usable),
    )


def confidence(pairs: Floats, best: int, is_usable: NDArray[np.bool_]) -> float:
    """Return how often `best` has the largest median when the models it is compared with are drawn anew, 0 to 1.

    Args:
        pairs: [S, S], the agreement of run i with run j; NaN on the diagonal.
        best: the row that has the largest median of the usable ones.
        is_usable: [S], which rows can come first.
    """
    count = len(pairs)
    if is_usable.sum() < 2:
        return 1.0
    drawn = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    medians = np.stack([_medians(pairs[:, columns]) for columns in drawn])
    medians[:, ~is_usable] = -1
    return float((medians[:, best] >= medians.max(axis=1)).mean())


def label_scores(path: Path, labels: Labels | None) -> dict[str, Score]:
    """Return the scores of a run by labels: those of a table, or the factors that its data set has; empty without any.

    Raises `InputError` where the metrics cannot be computed from so few labels.
    """
    run = runs.open_run(path)
    if labels is not None:
        codes = coding.encode(run.model, run.images, labels.images)
        factors: ArrayLike = labels.table.values
    elif "factors" in run.codes:
        codes, factors = run.codes, run.codes["factors"]
    else:
        return {}
    convention = run.config.evaluate.convention
    options: dict[str, Any] = {"convention": None if convention == "default" else convention, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", ScoreWarning)  # for each run alike; the sentence has the number of labels
        scores = metrics.score(codes["mean"], factors, which="mig", **options)
        return scores | metrics.score(codes["mean"], factors, which=DCI, interval=False, **options)


def _active(path: Path) -> int:
    """The number of active latents of a run."""
    return int((latent_variances(coding.load(path / "codes.npz")["mean"]) > ACTIVE).sum())


def _medians(pairs: Floats) -> Floats:
    """The median of each row over the other models; 0 where a redraw has none of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of rows that are all NaN
        return np.nan_to_num(np.nanmedian(pairs, axis=1))
