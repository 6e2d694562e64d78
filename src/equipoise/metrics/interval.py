"""Intervals of scores, by repeats over seeds or a jackknife over rows, and baselines."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from equipoise.errors import InputError
from equipoise.metrics.inputs import Codes
from equipoise.metrics.result import Floats, Metric, Score

_LEVEL = 0.975  # of Student's t on each side, for 95 %
# Blocks of the jackknife by `Metric.is_cheap`. With 5 the interval is a quarter wider on average, and its width is
# certain to a third, not a sixth. More would take minutes for a metric that takes ten seconds.
_BLOCKS = {True: 20, False: 5}


@dataclass(frozen=True)
class Call:
    """A metric with the parameters of a convention, to be called with any rows of its inputs."""

    metric: Metric
    params: Mapping[str, Any]

    def __call__(self, inputs: Mapping[str, Any], **seed: int) -> Score:
        arrays = [inputs[need] for need in self.metric.needs] + [inputs.get(name) for name in self.metric.uses]
        return self.metric.function(*arrays, **self.params, **seed)


def evaluations(call: Call) -> int:
    """Return the number of further values that the interval and the baseline of a metric need."""
    metric = call.metric
    return (metric.repeats - 1 if metric.repeats else _BLOCKS[metric.is_cheap]) + metric.has_baseline


def with_intervals(
    calls: Mapping[str, Call],
    scores: Mapping[str, Score],
    inputs: Mapping[str, Any],
    seed: int,
    advance: Callable[[], None],
) -> dict[str, Score]:
    """Return the scores with their intervals, and with the baselines of metrics that have one.

    A random metric becomes the mean over the seeds seed, seed + 1, ..., whose values are in `extra`, with a t-interval.
    For others a jackknife deletes one random block of rows at a time; a bootstrap of rows would bias mutual information
    and robustness upwards. All metrics are computed on the same rows before the next block is deleted, so that they
    share intermediate results such as contingency tables. There is no interval if the score, or the score without one
    of the blocks, is undefined. Intervals are clipped to the range of the metric. `advance` is called after each value.
    """
    results = dict(scores)
    for name, call in calls.items():
        if call.metric.repeats:
            results[name] = _repeated(call, results[name], inputs, seed, advance)
    for cheap in (True, False):
        exact = {name: c for name, c in calls.items() if not c.metric.repeats and c.metric.is_cheap == cheap}
        for name, values in _jackknife(exact, inputs, _BLOCKS[cheap], seed, advance).items():
            with np.errstate(invalid="ignore"):  # the difference of infinite values is NaN
                error = math.sqrt((len(values) - 1) * values.var())
            results[name] = _between(results[name], error, len(values), calls[name].metric.range)
    compared = {name: call for name, call in calls.items() if call.metric.has_baseline}
    unrelated = shuffled(inputs, seed) if compared else {}
    for name, call in compared.items():
        results[name] = replace(results[name], baseline=call(unrelated).value)
        advance()
    return results


def _repeated(call: Call, first: Score, inputs: Mapping[str, Any], seed: int, advance: Callable[[], None]) -> Score:
    """Return the mean over seeds of a random metric, with its interval."""
    scores = [first]
    for i in range(1, call.metric.repeats or 1):
        scores.append(call(inputs, seed=seed + i))
        advance()
    mean = _averaged(scores)
    values = np.array(mean.extra["values"])
    return _between(mean, values.std(ddof=1) / math.sqrt(len(values)), len(values), call.metric.range)


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


def _jackknife(
    calls: Mapping[str, Call], inputs: Mapping[str, Any], count: int, seed: int, advance: Callable[[], None]
) -> dict[str, Floats]:
    """Return the values of each metric without each block in turn, [blocks]; NaN where the rest cannot be scored."""
    rows = len(inputs["codes"].array)
    blocks = np.array_split(np.random.default_rng(seed).permutation(rows), min(count, rows))
    needed = {name for call in calls.values() for name in (*call.metric.needs, *call.metric.uses) if name in inputs}
    values = {name: np.full(len(blocks), np.nan) for name in calls}
    for i, block in enumerate(blocks if calls else []):
        others = np.delete(np.arange(rows), block)
        rest = {name: _rows(inputs[name], others) for name in needed}
        for name, call in calls.items():
            with suppress(InputError):  # the rest is a single row, or nothing varies in it
                values[name][i] = call(rest).value
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
