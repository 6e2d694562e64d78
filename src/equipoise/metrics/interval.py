"""Intervals of scores, by repeats over seeds or a jackknife over rows, and baselines."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from equipoise.errors import InputError
from equipoise.metrics.discretise import Ints
from equipoise.metrics.inputs import Codes
from equipoise.metrics.result import Floats, Metric, Score

_LEVEL = 0.975  # of Student's t on each side, for 95 %
# Blocks of the jackknife by `Metric.is_cheap`. With 10 the interval is 8 % wider on average than with 20, and the error
# of its width is a quarter (20: a sixth). With 5 it is a third wider, with an error of a third. More would make the
# default selection twice as slow, and take minutes for a metric that takes ten seconds.
_BLOCKS = {True: 10, False: 5}
_SHUFFLES = 10  # of the codes: the error of a baseline is a third of its spread, the error of the spread a quarter


@dataclass(frozen=True)
class Call:
    """A metric with the parameters of a convention, to be called with any rows of its inputs."""

    metric: Metric
    params: Mapping[str, Any]

    def __call__(self, inputs: Mapping[str, Any], **seed: int) -> Score:
        arrays = [inputs[need] for need in self.metric.needs] + [inputs.get(name) for name in self.metric.uses]
        return self.metric.function(*arrays, **self.params, **seed)


def evaluations(call: Call) -> int:
    """Return the number of further values that the interval, the bias and the baseline of a metric need."""
    metric = call.metric
    of_rows = metric.repeats - 1 if metric.repeats else _BLOCKS[metric.is_cheap] + 2
    return of_rows + _SHUFFLES * metric.has_baseline


def with_intervals(
    calls: Mapping[str, Call],
    scores: Mapping[str, Score],
    inputs: Mapping[str, Any],
    seed: int,
    advance: Callable[[], None],
) -> dict[str, Score]:
    """Return the scores with their intervals and values at half the rows, and with baselines of metrics that have one.

    A random metric becomes the mean over the seeds seed, seed + 1, ..., whose values are in `extra`, with a t-interval.
    For others a jackknife deletes one random block of rows at a time; a bootstrap of rows would bias mutual information
    and robustness upwards. All metrics are computed on the same rows before the next block is deleted, so that they
    share intermediate results such as contingency tables. There is no interval if the score, or the score without one
    of the blocks, is undefined. Intervals are clipped to the range of the metric. `advance` is called after each value.
    """
    results = dict(scores)
    order = np.random.default_rng(seed).permutation(len(inputs["codes"].array))
    for name, call in calls.items():
        if call.metric.repeats:
            results[name] = _repeated(call, results[name], inputs, seed, advance)
    for cheap in (True, False):
        exact = {name: c for name, c in calls.items() if not c.metric.repeats and c.metric.is_cheap == cheap}
        blocks = np.array_split(order, min(_BLOCKS[cheap], len(order)))
        parts = [np.delete(np.arange(len(order)), block) for block in blocks]
        without = _of_rows(exact, inputs, parts, advance)
        halves = _of_rows(exact, inputs, [np.sort(half) for half in np.array_split(order, 2)], advance)
        for name, values in without.items():
            with np.errstate(invalid="ignore"):  # the difference of infinite values is NaN
                error = math.sqrt((len(values) - 1) * values.var())
            half = float(halves[name].mean())
            results[name] = replace(
                _between(results[name], error, len(values), calls[name].metric.limits(results[name])),
                half=half if math.isfinite(half) else None,
            )
    return results | _with_baselines(
        {name: c for name, c in calls.items() if c.metric.has_baseline}, results, inputs, seed, advance
    )


def _with_baselines(
    calls: Mapping[str, Call],
    scores: Mapping[str, Score],
    inputs: Mapping[str, Any],
    seed: int,
    advance: Callable[[], None],
) -> dict[str, Score]:
    """Return the scores with mean and standard deviation of the scores of codes shuffled in several ways."""
    values: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(_SHUFFLES if calls else 0):
        unrelated = shuffled(inputs, seed + i)
        for name, call in calls.items():
            values[name].append(call(unrelated).value)
            advance()
    return {
        name: replace(scores[name], baseline=float(np.mean(each)), baseline_spread=float(np.std(each, ddof=1)))
        for name, each in values.items()
    }


def _repeated(call: Call, first: Score, inputs: Mapping[str, Any], seed: int, advance: Callable[[], None]) -> Score:
    """Return the mean over seeds of a random metric, with its interval."""
    scores = [first]
    for i in range(1, call.metric.repeats or 1):
        scores.append(call(inputs, seed=seed + i))
        advance()
    mean = _averaged(scores)
    values = np.array(mean.extra["values"])
    return _between(mean, values.std(ddof=1) / math.sqrt(len(values)), len(values), call.metric.limits(mean))


def _averaged(scores: Sequence[Score]) -> Score:
    """Return the first score with the mean value, parts and matrix of all."""

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


def _of_rows(
    calls: Mapping[str, Call], inputs: Mapping[str, Any], parts: Sequence[Ints], advance: Callable[[], None]
) -> dict[str, Floats]:
    """Return the values of each metric for each part of the rows; NaN where a part cannot be scored."""
    needed = {name for call in calls.values() for name in (*call.metric.needs, *call.metric.uses) if name in inputs}
    values = {name: np.full(len(parts), np.nan) for name in calls}
    for i, rows in enumerate(parts if calls else []):
        some = {name: _rows(inputs[name], rows) for name in needed}
        for name, call in calls.items():
            with suppress(InputError):  # the part is a single row, or nothing varies in it
                values[name][i] = call(some).value
            advance()
    return values


def _rows(item: Any, rows: Any) -> Any:
    """Return some rows of an input."""
    if isinstance(item, Mapping):
        return {name: part[rows] if isinstance(part, np.ndarray) else part for name, part in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(_rows(part, rows) for part in item)
    if isinstance(item, Codes):
        return Codes(item.array[rows])
    return None if item is None else item[rows]


def _between(score: Score, error: float, count: int, limits: tuple[float, float]) -> Score:
    """Return the score with Student's t-interval around its value, clipped to the limits, if it is finite.

    A value beyond the limits, which a Monte Carlo estimate can have, stays inside its interval.
    """
    if not math.isfinite(score.value + error):
        return score
    reach = error * float(stdtrit(count - 1, _LEVEL))
    low, high = min(limits[0], score.value), max(limits[1], score.value)
    return replace(score, low=max(score.value - reach, low), high=min(score.value + reach, high))


def shuffled(inputs: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return the inputs with the rows of each latent shuffled, which removes all relations of the codes."""
    codes = inputs["codes"].array
    return {**inputs, "codes": Codes(np.random.default_rng(seed).permuted(codes, axis=0))}
