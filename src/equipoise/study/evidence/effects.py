"""Differences between seeds of two settings: the effect with its interval, its power, and the judgement of a claim."""

import math
from collections.abc import Sequence
from statistics import fmean, variance
from typing import Literal, NamedTuple

from scipy import optimize, stats

Judgement = Literal["supported", "contradicted", "undecided"]


class Effect(NamedTuple):
    """A difference of means with its 95 % interval, and the difference that a test of as many seeds would find.

    `detectable` is the difference whose interval is above 0 with a probability of 0.8.
    """

    value: float
    low: float
    high: float
    detectable: float

    def judge(self, bound: float = 0.0) -> Judgement:
        """Return whether the difference is above a bound."""
        return "supported" if self.low > bound else "contradicted" if self.high < bound else "undecided"

    def judge_equal(self, margin: float) -> Judgement:
        """Return whether the difference is within a margin of 0."""
        if -margin < self.low and self.high < margin:
            return "supported"
        return "contradicted" if self.low > margin or self.high < -margin else "undecided"

    @property
    def negative(self) -> "Effect":
        """The difference with the other sign."""
        return Effect(-self.value, -self.high, -self.low, self.detectable)

    def __str__(self) -> str:
        """The difference with its interval."""
        return f"{self.value:+.3f} ({self.low:+.3f}..{self.high:+.3f})"


def effect(*pairs: tuple[Sequence[float], Sequence[float]]) -> Effect | None:
    """Return the difference of the means of two groups, averaged over pairs of them.

    None with fewer than two seeds in a group. The degrees of freedom are those of Welch and Satterthwaite.

    Example:
        >>> from equipoise.study.evidence.effects import effect
        >>> difference = effect(([0.30, 0.34, 0.32], [0.10, 0.12, 0.14]))
        >>> round(difference.value, 3), round(difference.low, 3), difference.judge()
        (0.2, 0.155, 'supported')
    """
    groups = [group for pair in pairs for group in pair]
    if min(map(len, groups)) < 2:
        return None
    value = fmean(fmean(ours) - fmean(theirs) for ours, theirs in pairs)
    errors = [variance(group) / len(group) for group in groups]
    if not any(errors):
        return Effect(value, value, value, 0.0)
    freedom = sum(errors) ** 2 / sum(error**2 / (len(group) - 1) for error, group in zip(errors, groups, strict=True))
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(sum(errors)) / len(pairs)
    spread = math.sqrt(fmean(map(variance, groups)))
    return Effect(value, value - half, value + half, spread * detectable(sum(map(len, groups)) // 2))


def detectable(seeds: int) -> float:
    """Return the difference in standard deviations that a one-sided t-test of two groups finds with a power of 0.8.

    Its level is 2.5 %: it finds what has a 95 % interval above 0.

    Example:
        >>> from equipoise.study.evidence.effects import detectable
        >>> round(detectable(5), 2), round(detectable(10), 2)
        (2.02, 1.32)
    """
    freedom = 2 * seeds - 2
    critical = stats.t.ppf(0.975, freedom)
    return float(optimize.brentq(lambda d: stats.nct.sf(critical, freedom, d * math.sqrt(seeds / 2)) - 0.8, 1e-3, 50.0))


def together(judgements: Sequence[Judgement]) -> Judgement:
    """Return the judgement of a claim whose parts have these: all have to be supported."""
    if "contradicted" in judgements:
        return "contradicted"
    return "supported" if set(judgements) == {"supported"} else "undecided"
