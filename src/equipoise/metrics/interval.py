"""How sure a score is: repeats over seeds or a jackknife over rows, once for all metrics; and its baselines."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from equipoise.errors import InputError
from equipoise.metrics.inputs import Codes, once
from equipoise.metrics.result import Floats, Metric, Score

_BLOCKS = 20
_LEVEL = 0.975  # of Student's t on either side: 95 %


def with_interval(metric: Metric, first: Score, inputs: Sequence[Any], params: Mapping[str, Any], seed: int) -> Score:
    """`first` with low and high; a random metric also becomes the mean over its seeds, seed, seed + 1, ...

    Random metrics: t-interval of the mean over `metric.repeats` seeds, whose values are in `extra`. Others: jackknife
    which deletes one of 20 random blocks of rows at a time, for a bootstrap of rows would bias mutual information and
    robustness upwards. No interval where the score, or the score without one of the blocks, is undefined.
    """
    if metric.repeats:
        more = [metric.function(*inputs, **{**params, "seed": seed + i}) for i in range(1, metric.repeats)]
        first = _averaged([first, *more])
        values = np.array(first.extra["values"])
        error = values.std(ddof=1) / math.sqrt(len(values))
        count = len(values)
    else:
        values = _jackknife(metric, inputs, params, first.n, seed)
        count = len(values)
        with np.errstate(invalid="ignore"):  # infinite values differ by NaN
            error = math.sqrt((count - 1) / count * ((values - values.mean()) ** 2).sum())
    if not math.isfinite(first.value + error):
        return first
    reach = error * float(stdtrit(count - 1, _LEVEL))
    return replace(first, low=first.value - reach, high=first.value + reach)


def _averaged(scores: Sequence[Score]) -> Score:
    """The first score with the mean value, parts and matrix of all."""

    def mean(name: str) -> Floats | None:
        parts = [getattr(score, name) for score in scores]
        return None if parts[0] is None else np.mean(parts, axis=0)

    values = [score.value for score in scores]
    extra = {name: float(np.mean([score.extra[name] for score in scores])) for name in scores[0].extra}
    return replace(
        scores[0],
        value=float(np.mean(values)),
        per_factor=mean("per_factor"),
        per_latent=mean("per_latent"),
        matrix=mean("matrix"),
        params={**scores[0].params, "repeats": len(scores)},
        extra={**extra, "values": values},
    )


def _jackknife(metric: Metric, inputs: Sequence[Any], params: Mapping[str, Any], rows: int, seed: int) -> Floats:
    """Values without each block in turn; NaN where the rest cannot be scored."""
    blocks = np.array_split(np.random.default_rng(seed).permutation(rows), min(_BLOCKS, rows))
    values = np.full(len(blocks), np.nan)
    for i, block in enumerate(blocks):
        kept = np.delete(np.arange(rows), block)
        try:
            values[i] = metric.function(*[_rows(item, kept) for item in inputs], **params).value
        except InputError:  # the block held all that varied, or all but one row: there is no score without it
            continue
    return values


def _rows(item: Any, rows: Any) -> Any:
    if isinstance(item, Mapping):
        return {name: part[rows] if isinstance(part, np.ndarray) else part for name, part in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(_rows(part, rows) for part in item)
    return None if item is None else np.asarray(item)[rows]


def baseline(metric: Metric, codes: ArrayLike, factors: Any, params: Mapping[str, Any], seed: int) -> float:
    """Value of codes whose rows were shuffled within each latent: what the metric gives for no relation at all."""
    rng = np.random.default_rng(seed)
    shuffled = once(codes, ("shuffled", seed), lambda: Codes(rng.permuted(np.asarray(codes), axis=0)))
    return metric.function(shuffled, factors, **params).value
