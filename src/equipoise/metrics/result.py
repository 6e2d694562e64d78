"""`Score`, the result of a metric, and `Metric`, an entry of the table of metrics."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics import html
from equipoise.metrics.parameters import check_parameters

Floats = NDArray[np.float64]

_NUMBERS = ("low", "high", "half", "baseline", "baseline_spread", "attainable")  # of a score, which may be infinite


class ScoreWarning(UserWarning):
    """A score is defined but needs care, for example because a factor was left out or there are few rows."""


@dataclass(frozen=True, eq=False)
class Score:
    """The value of one metric for one set of codes, with its parts, parameters and interval.

    Args:
        value: the score; NaN where the metric is undefined for this input (a `ScoreWarning` gives the reason).
        low: lower end of the 95 % interval of the metric; None if there is no interval.
        high: upper end of the interval.
        n: number of rows.
        seconds: wall time of one evaluation, without interval and baseline; None from a plain function. Time that
            several metrics share counts for the first of them.
        per_factor: [K], the score of each factor, NaN for a factor that was left out; None if there is none.
        per_latent: [L], the score of each latent, in the same way.
        matrix: [K, L], the values that the score was computed from; the docstring of the metric gives the unit.
        left_out: reason by name for each latent and factor that was left out, such as {"latent 3": "constant"}.
        params: all parameters of the metric.
        seed: seed of the random draws, of the blocks of the jackknife and of the shuffled baselines.
        half: mean value of two random halves of the rows. Its distance from `value` estimates the bias of `value`, if
            the bias falls as 1 / N; None for a random metric.
        baseline: mean value for codes whose rows were shuffled in each latent, in 10 ways, or for a DCI informativeness
            the value of predictions without codes; None for metrics that are 0 or undefined for noise.
        baseline_spread: standard deviation over the shuffled codes.
        attainable: value for the factors themselves as codes; None for metrics that are 1 for perfect codes.
        extra: further results by name, such as the raw accuracy beside a corrected one.

    Example:
        >>> Score(0.25, low=0.2, high=0.3, n=100).value
        0.25
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    seconds: float | None = None
    per_factor: Floats | None = None
    per_latent: Floats | None = None
    matrix: Floats | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    half: float | None = None
    baseline: float | None = None
    baseline_spread: float | None = None
    attainable: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """The value with its interval, baseline and number of rows, for notebooks."""
        return as_html({"": self})

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as strict JSON values: arrays as lists, NaN as null, infinities as "inf" and "-inf"."""
        return {f.name: _to_json(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Score":
        """Return the Score that `to_dict` wrote."""
        arrays = {
            name: None if data[name] is None else np.asarray(_to_floats(data[name]), dtype=np.float64)
            for name in ("per_factor", "per_latent", "matrix")
        }
        numbers = {name: _to_floats(data[name]) for name in _NUMBERS if data.get(name) is not None}
        return cls(**{**data, "value": _to_floats(data["value"]), **numbers, **arrays})


def as_html(scores: Mapping[str, Score]) -> str:
    """Return scores by metric as a table for notebooks."""
    columns = ("value", "low", "high", "half", "baseline", "attainable", "n")
    rows = ([name, *(getattr(score, column) for column in columns)] for name, score in scores.items())
    return html.table(("metric", *columns), rows)


def _to_json(value: Any) -> Any:
    """Return a value as strict JSON."""
    if isinstance(value, Mapping):
        return {str(key): _to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _to_json(value.tolist())
    if isinstance(value, list | tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _to_floats(value: Any) -> Any:
    """Return a number, or nested lists of numbers, that `_to_json` wrote, as floats."""
    if isinstance(value, list):
        return [_to_floats(item) for item in value]
    return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Metric:
    """An entry of `METRICS`: the function of a metric and the facts that scoring, reports and studies need.

    The rest follows from the function: its positional arguments are the inputs of the metric, the first sentence of
    its docstring is its summary.

    Args:
        function: takes the inputs by position and the parameters by keyword, and returns a `Score`. Called through the
            table, it also lists all parameters in `Score.params`.
        range: smallest and largest value; intervals are clipped to them. A largest value of 1 that is the best value
            makes scores comparable between data sets.
        better: 1 if larger values are better, -1 if smaller ones are, 0 if neither.
        conventions: name of a published implementation -> parameters that reproduce it; empty if all agree.
        repeats: number of seeds over which a random metric is averaged for its interval; None for a metric whose
            interval comes from leaving out rows.
        has_baseline: noise has a score other than 0, so the scores of shuffled codes are computed too.
        has_ceiling: perfect codes can score below 1, so the score of the factors as codes is computed too.
        is_cheap: part of the default selection; for other metrics the jackknife has 5 blocks instead of 10.
        is_headline: one of the few metrics that reports and comparisons show first.
        also_needs: names of further required inputs, which are not arguments of the function; "pixels": the images are
            pixels from 0 to 1.
        counts_latents: the score is a number of latents, so its interval ends at their number, [L] of `per_latent`.

    Example:
        >>> from equipoise.metrics import METRICS
        >>> METRICS["mig"].needs, METRICS["mig"].range, METRICS["mig"].direction
        (('codes', 'factors'), (0.0, 1.0), 'higher is better')
    """

    function: Callable[..., Score]
    range: tuple[float, float]
    better: int = 1
    conventions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    repeats: int | None = None
    has_baseline: bool = False
    has_ceiling: bool = False
    is_cheap: bool = True
    is_headline: bool = False
    counts_latents: bool = False
    also_needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "function", _with_params(self.function))

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the required inputs, in the order of the arguments.

        Possible names are "codes", "factors", "logvar", "sample", "recon", "sampled" (errors of images decoded from a
        draw of the posterior) and "group" (codes of other models).
        """
        return tuple(p.name for p in _inputs(self.function) if p.default is inspect.Parameter.empty)

    @property
    def uses(self) -> tuple[str, ...]:
        """Names of the optional inputs, which follow those of `needs` and may be None."""
        return tuple(p.name for p in _inputs(self.function) if p.default is not inspect.Parameter.empty)

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring, without the full stop."""
        return (inspect.getdoc(self.function) or "").split("\n")[0].replace("`", "").removesuffix(".")

    def limits(self, score: Score) -> tuple[float, float]:
        """The smallest and the largest value that this metric can have for the codes of a score."""
        low, high = self.range
        if self.counts_latents and score.per_latent is not None:
            high = float(len(score.per_latent))
        return low, high

    @property
    def direction(self) -> str:
        """`better` in words."""
        return {1: "higher is better", -1: "lower is better", 0: "neither way is better"}[self.better]

    @property
    def is_normalised(self) -> bool:
        """Whether 1 is the score of a perfect code on every data set."""
        return self.better == 1 and self.range[1] == 1


def _inputs(function: Callable[..., Score]) -> list[inspect.Parameter]:
    """Return the positional arguments of a metric."""
    return [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]


def _with_params(function: Callable[..., Score]) -> Callable[..., Score]:
    """Return the function with all keyword arguments, defaults included, in the `params` and `seed` of its result."""
    defaults = {p.name: p.default for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}

    @functools.wraps(function)
    def metric(*inputs: Any, **keywords: Any) -> Score:
        check_parameters(function, keywords)
        result = function(*inputs, **keywords)
        params = {name: keywords.get(name, default) for name, default in defaults.items()}
        seed = params.pop("seed", None)
        seed = seed if isinstance(seed, int) else None
        return dataclasses.replace(result, params={**params, **result.params}, seed=seed)

    return metric
