"""What a metric is (`Metric`) and what it returns (`Score`)."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ScoreWarning(UserWarning):
    """A score is defined but needs care: something was left out, or too few rows speak for it."""


@dataclass(frozen=True, eq=False)
class Score:
    """The value of one metric on one set of codes, and what it was made of.

    Attributes:
        value: the headline score; NaN where the metric is undefined for this input (a warning has said why).
        low, high: 95 % interval of the metric's own uncertainty; None when it was not asked for or cannot be had.
        n: rows used.
        seconds: wall time of one evaluation, without interval and baseline; None from a plain function. What several
            metrics of a call share counts for the first of them.
        per_factor: [K], NaN for a factor that was left out; None where the metric has no such parts.
        per_latent: [L], likewise.
        matrix: [K, L], what the score was computed from; the metric's docstring says in which unit.
        left_out: "latent 3" or "factor 0" -> why it took no part.
        params: every parameter that shaped the value.
        seed: of the random draws, the blocks of the jackknife and the shuffle of the baseline.
        baseline: value after the rows of each latent were shuffled; None unless the metric's floor is not zero.
        attainable: value of the factors themselves as codes; None unless a perfect code can stay below 1.
        extra: further results by name, such as the raw accuracy beside a corrected one.
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
    baseline: float | None = None
    attainable: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All fields as strict JSON values: arrays as lists, NaN as null, infinities as "inf" and "-inf"."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Score":
        """The Score that `to_dict` wrote."""
        arrays = {
            name: None if data[name] is None else np.asarray(_numbers(data[name]), dtype=np.float64)
            for name in ("per_factor", "per_latent", "matrix")
        }
        return cls(**{**data, "value": _numbers(data["value"]), **arrays})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Metric:
    """One metric of the table: its function and what `score` and the reader have to know about it.

    Attributes:
        function: takes the inputs named in `needs` by position, then its parameters by keyword; returns a Score.
        needs: of "codes", "factors", "logvar", "sample", "recon", "sampled" (what recon has of pictures decoded from
            draws of the posterior) and "group", in the function's order.
        summary: one line: what it asks of the codes.
        citation: where it was defined.
        conventions: name -> the parameters with which a published code computes it; empty where all agree.
        repeats: seeds over which a random metric is averaged for its interval; None for one that hardly, or not at
            all, depends on a seed: its interval comes from leaving out rows.
        shuffles: its floor is not zero, so that it is to be read beside the value of shuffled codes.
        attains: a perfect code can stay below 1, so that it is to be read beside that of the factors themselves.
        better: 1 if more is better, -1 if less is, 0 if neither is.
        share: it is a share of a perfect score, so that it means the same on all data.
        cheap: belongs to the default selection; the interval of others leaves out rows fewer times.
        uses: further inputs, after those it needs; None takes the place of one that is not given.
    """

    function: Callable[..., Score]
    needs: Sequence[str]
    summary: str
    citation: str
    conventions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    repeats: int | None = None
    shuffles: bool = False
    attains: bool = False
    better: int = 1
    share: bool = True
    cheap: bool = True
    uses: Sequence[str] = ()

    @property
    def direction(self) -> str:
        """`better` in words."""
        return {1: "higher is better", -1: "lower is better", 0: "neither way is better"}[self.better]
