"""How well the candidates of `auto` agree, their losses, which is picked, and what labels would have picked."""

import math
import warnings
from collections.abc import Collection, Mapping
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
from equipoise.training import checkpoint

DRAWS = 2000
TAIL = 0.05  # share of the steps, the last ones, over which the loss is averaged
DCI = "dci_lasso_disentanglement"


@dataclass(frozen=True)
class Ranking:
    """Runs, the best first, with their agreement, loss and active latents."""

    runs: tuple[str, ...]
    """Those that can be picked."""
    agreement: Mapping[str, float]
    loss: Mapping[str, float]
    """Mean over the last steps, in nats per image."""
    active: Mapping[str, int]
    dropped: tuple[str, ...]
    """Runs with fewer than half of the active latents of the median; they come last."""
    confidence: float
    """Share of redraws of the other models in which the first run agrees best of those that can be picked."""


def rank(paths: Mapping[str, Path], methods: Mapping[str, str], finalists: Collection[str]) -> Ranking:
    """Rank the finalists without labels: between methods by agreement, within a method by the loss.

    The agreement of a run is its UDR, the median with which its latents agree with those of each other run; that of a
    method is the best of its runs. Losses are compared within a method only, because methods minimise different losses.
    Runs with fewer than half of the active latents of the median run come last. Equal runs are ordered by their names.

    Args:
        paths: the folder of each run, of finalists and of those that stopped earlier.
        methods: the method of each run.
        finalists: the runs that can be picked, all trained for the same part of their schedule.
    """
    names = sorted(paths)
    active = {name: _active(paths[name]) for name in names}
    least = max(1.0, float(np.median(list(active.values()))) / 2)
    is_usable = np.array([active[name] >= least for name in names])
    can_win = is_usable & np.array([name in finalists for name in names])
    pairs = agreement([paths[name] for name in names]) if len(names) > 1 else np.full((1, 1), math.nan)
    medians = dict(zip(names, _medians(pairs).tolist(), strict=True))
    losses = {name: _loss(paths[name]) for name in names}
    best = {
        method: max((medians[name] for name in np.array(names)[can_win] if methods[name] == method), default=0.0)
        for method in set(methods.values())
    }
    order = sorted(
        (i for i, name in enumerate(names) if name in finalists),
        key=lambda i: (not is_usable[i], -best[methods[names[i]]], methods[names[i]], losses[names[i]], names[i]),
    )
    return Ranking(
        tuple(names[i] for i in order),
        medians,
        losses,
        active,
        tuple(names[i] for i in order if not is_usable[i]),
        confidence(pairs, order[0], can_win),
    )


def confidence(pairs: Floats, best: int, can_win: NDArray[np.bool_]) -> float:
    """Return how often `best` has the largest median when the models it is compared with are drawn anew, 0 to 1.

    Args:
        pairs: [S, S], the agreement of run i with run j; NaN on the diagonal.
        best: the row of the pick.
        can_win: [S], which rows it is compared with.
    """
    count = len(pairs)
    if can_win.sum() < 2:
        return 1.0
    resamples = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    medians = np.stack([_medians(pairs[:, columns]) for columns in resamples])
    medians[:, ~can_win] = -1
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
    return int((latent_variances(coding.load(path / "codes.npz")["mean"]) > ACTIVE).sum())


def _loss(path: Path) -> float:
    """The mean loss of a run over its last steps; inf if it is not finite."""
    rows = checkpoint.read_log(path / "log.jsonl")
    losses = [row["loss"] for row in rows if row["step"] > (1 - TAIL) * rows[-1]["step"]]
    mean = float(np.mean(losses)) if losses else math.inf
    return mean if math.isfinite(mean) else math.inf


def _medians(pairs: Floats) -> Floats:
    """The median of each row over the other models; 0 where a redraw has none of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of rows that are all NaN
        return np.nan_to_num(np.nanmedian(pairs, axis=1))
