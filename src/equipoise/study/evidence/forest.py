"""A figure of the effects that claims are judged by: differences in MIG and in squared error with their intervals."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from equipoise.report.figures.style import GREEN, INK, LINE, MUTED, ORANGE, label_axes
from equipoise.study.evidence.effects import Effect, Judgement

COLOURS: Mapping[Judgement, str] = {"supported": GREEN, "contradicted": ORANGE, "undecided": MUTED}
MARKS = ("o", "s")  # of the data sets
LETTERS = 46  # of a line of a claim


class Effects(NamedTuple):
    """The effects of a claim on a data set, of which it may have none, and their verdict.

    Attributes:
        mig: difference in MIG.
        sse: difference of the natural logarithms of the squared errors.
    """

    claim: str
    data: str
    verdict: Judgement
    mig: Effect | None
    sse: Effect | None


def draw(rows: Sequence[Effects]) -> Figure:
    """Draw the effects of each claim in the colour of the verdict, a mark for each data set; bars show the power."""
    claims = list(dict.fromkeys(row.claim for row in rows))
    sets = list(dict.fromkeys(row.data for row in rows))
    figure = Figure(figsize=(9, 1.6 + 0.55 * len(claims)), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, sharey=True)
    for row in rows:
        height = claims.index(row.claim) + 0.36 * (sets.index(row.data) - (len(sets) - 1) / 2)
        for axes, difference in ((left, row.mig), (right, row.sse)):
            if difference is not None:
                _draw_effect(axes, difference, height, COLOURS[row.verdict], MARKS[sets.index(row.data) % len(MARKS)])
    for axes in (left, right):
        axes.axvline(0, color=INK, lw=0.8)
        for height in range(1, len(claims)):
            axes.axhline(height - 0.5, color=LINE, lw=0.5)
    left.set_yticks(range(len(claims)), [textwrap.fill(claim, LETTERS) for claim in claims])
    left.set_ylim(len(claims) - 0.5, -0.5)
    label_axes(left, "difference in MIG", "above 0: larger")
    label_axes(right, "difference in log squared error", "below 0: smaller")
    marks = [Line2D([], [], marker=mark, ls="", color=INK, label=data) for data, mark in zip(sets, MARKS, strict=False)]
    lines = [Line2D([], [], color=colour, lw=2, label=verdict) for verdict, colour in COLOURS.items()]
    power = Line2D([], [], color=LINE, lw=6, label="differences too small to be found")
    figure.legend(handles=[*marks, *lines, power], loc="outside lower center", ncols=6, fontsize=8, frameon=False)
    return figure


def _draw_effect(axes: Axes, difference: Effect, height: float, colour: str, mark: str) -> None:
    """Draw a difference with its interval, over a bar of the differences that are not found with a power of 0.8."""
    axes.plot([-difference.detectable, difference.detectable], [height] * 2, color=LINE, lw=6, solid_capstyle="butt")
    axes.plot([difference.low, difference.high], [height] * 2, color=colour, lw=1.5)
    axes.plot(difference.value, height, mark, color=colour, ms=5)
