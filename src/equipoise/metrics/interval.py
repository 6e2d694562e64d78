"""How sure a score is: repeats over seeds or a jackknife over rows, once for all metrics of a call; and baselines."""

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

_LEVEL = 0.975  # of Student's t on either side: 95 %
# Blocks of the jackknife for a metric that is cheap, or not. Of five the interval is a quarter wider on average, and
# its width less certain (by a third, not a sixth); more would take minutes where the metric itself takes ten seconds.
_BLOCKS = {True: 20, False: 5}


@dataclass(frozen=True)
class Call:
    """A metric with the parameters that `score` was asked for, to be called with any rows of its inputs."""

    metric: Metric
    params: Mapping[str, Any]

    def __call__(self, inputs: Mapping[str, Any], **seed: int) -> Score:
        arrays = [inputs[need] for need in self.metric.needs] + [inputs.get(name) for name in self.metric.uses]
        return self.metric.function(*arrays, **self.params, **seed)


def evaluations(call: Call) -> int:
    """How many further values the interval and the baseline of a metric need."""
    metric = call.metric
    return (metric.repeats - 1 if metric.repeats else _BLOCKS[metric.cheap]) + metric.shuffles


def with_intervals(
    calls: Mapping[str, Call],
    scores: Mapping[str, Score],
    inputs: Mapping[str, Any],
    seed: int,
    done: Callable[[], None],
) -> dict[str, Score]:
    """`scores` with low and high, and those of metrics whose floor is not zero with their baseline.

    A random metric becomes the mean over `repeats` seeds, seed, seed + 1, ..., whose values are in `extra`, with a
    t-interval. For others a jackknife deletes one random block of rows at a time; a bootstrap of rows would bias mutual
    information and robustness upwards. All metrics are computed on the same rows before the next block is deleted, so
    that what they share, such as contingency tables, is made once. No interval where the score, or the score without
    one of the blocks, is undefined. `done` is called after each value.
    """
    sure = dict(scores)
    for name, call in calls.items():
        if call.metric.repeats:
            sure[name] = _repeated(call, sure[name], inputs, seed, done)
    for cheap in (True, False):
        exact = {name: c for name, c in calls.items() if not c.metric.repeats and c.metric.cheap == cheap}
        for name, values in _jackknife(exact, inputs, _BLOCKS[cheap], seed, done).items():
            with np.errstate(invalid="ignore"):  # infinite values differ by NaN
                error = math.sqrt((len(values) - 1) * values.var())
            sure[name] = _between(sure[name], error, len(values))
    floored = {name: call for name, call in calls.items() if call.metric.shuffles}
    unrelated = shuffled(inputs, seed) if floored else {}
    for name, call in floored.items():
        sure[name] = replace(sure[name], baseline=call(unrelated).value)
        done()
    return sure


def _repeated(call: Call, first: Score, inputs: Mapping[str, Any], seed: int, done: Callable[[], None]) -> Score:
    scores = [first]
    for i in range(1, call.metric.repeats or 1):
        scores.append(call(inputs, seed=seed + i))
        done()
    mean = _averaged(scores)
    values = np.array(mean.extra["values"])
    return _between(mean, values.std(ddof=1) / math.sqrt(len(values)), len(values))


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


def _jackknife(
    calls: Mapping[str, Call], inputs: Mapping[str, Any], count: int, seed: int, done: Callable[[], None]
) -> dict[str, Floats]:
    """Values by metric without each block in turn, [blocks]; NaN where the rest cannot be scored."""
    rows = len(inputs["codes"].array)
    blocks = np.array_split(np.random.default_rng(seed).permutation(rows), min(count, rows))
    needed = {name for call in calls.values() for name in (*call.metric.needs, *call.metric.uses) if name in inputs}
    values = {name: np.full(len(blocks), np.nan) for name in calls}
    for i, block in enumerate(blocks if calls else []):
        kept = np.delete(np.arange(rows), block)
        rest = {name: _rows(inputs[name], kept) for name in needed}
        for name, call in calls.items():
            with suppress(InputError):  # the block held all that varied, or all but one row: there is no score without
                values[name][i] = call(rest).value
            done()
    return values


def _rows(item: Any, rows: Any) -> Any:
    if isinstance(item, Mapping):
        return {name: part[rows] if isinstance(part, np.ndarray) else part for name, part in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(_rows(part, rows) for part in item)
    if isinstance(item, Codes):
        return Codes(item.array[rows])
    return None if item is None else item[rows]


def _between(score: Score, error: float, count: int) -> Score:
    """The score with the ends of Student's t-interval around its value, if they are finite."""
    if not math.isfinite(score.value + error):
        return score
    reach = error * float(stdtrit(count - 1, _LEVEL))
    return replace(score, low=score.value - reach, high=score.value + reach)


def shuffled(inputs: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """The inputs with the rows of each latent shuffled: codes that have no relation to the factors, or each other."""
    codes = inputs["codes"].array
    return {**inputs, "codes": Codes(np.random.default_rng(seed).permuted(codes, axis=0))}
