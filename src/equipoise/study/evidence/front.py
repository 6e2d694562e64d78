"""Squared error against scores: the front of the beta-VAEs with fixed weights, and the methods beside it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise.report.figures.style import CYCLE, INK, MUTED, label_axes
from equipoise.study.compare import statistics
from equipoise.study.log_axis import set_log_axis

SCORES = {"mig": "MIG", "dci_hist_disentanglement": "DCI"}
MARKS = ("s", "^", "D", "v", "P", "X", "h", "<", ">", "p", "*")


class Point(NamedTuple):
    """The mean over seeds of squared error per image and of a score."""

    sse: float
    score: float


class Row(NamedTuple):
    """A method on a data set: the means over its seeds and, except for a beta-VAE, the regret of each score."""

    method: str
    data: str
    seeds: int
    sse: float
    scores: Mapping[str, float]
    regret: Mapping[str, float]

    def point(self, score: str) -> Point:
        """Return its squared error and this score."""
        return Point(self.sse, self.scores[score])


def is_reference(row: Row) -> bool:
    """Whether a row is a beta-VAE with a fixed weight."""
    return row.method.startswith("beta-vae")


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one equals or exceeds in score with a lower squared error, by squared error.

    Example:
        >>> from equipoise.study.evidence.front import Point, front
        >>> front([Point(10, 0.1), Point(20, 0.3), Point(30, 0.2)])
        [Point(sse=10, score=0.1), Point(sse=20, score=0.3)]
    """
    error, score = np.array([*points], dtype=np.float64).reshape(-1, 2).T
    return [points[i] for i in statistics.front(error, score)] if points else []


def draw(rows: Sequence[Row], sets: Sequence[str]) -> Figure:
    """Draw each score against the squared error, for each data set: fixed weights as circles, with their front."""
    figure = Figure(figsize=(9, 7), layout="constrained", facecolor="white")
    panels = figure.subplots(len(SCORES), len(sets), squeeze=False)
    methods = list(dict.fromkeys(row.method for row in rows if not is_reference(row)))
    for (score, title), row_of_panels in zip(SCORES.items(), panels, strict=True):
        for data, axes in zip(sets, row_of_panels, strict=True):
            _draw_panel(axes, [row for row in rows if row.data == data], score, methods)
            label_axes(axes, f"{title}, {data}", "squared error per image", title)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _draw_panel(axes: Axes, rows: Sequence[Row], score: str, methods: Sequence[str]) -> None:
    set_log_axis(axes, (1, 2, 5))
    fixed = {row.method.split()[-1]: row.point(score) for row in rows if is_reference(row)}
    best = front(list(fixed.values()))
    steps = [point.sse for point in best], [point.score for point in best]
    axes.step(*steps, where="post", color=MUTED, lw=1, label="beta-vae, 8 weights")
    for beta, place in fixed.items():
        axes.plot(*place, "o", color=MUTED, ms=5)
        axes.annotate(beta, place, (3, 3), textcoords="offset points", size=6, color=INK)
    for row in rows:
        if row.method in methods:
            number = methods.index(row.method)
            colour, mark = CYCLE[number % len(CYCLE)], MARKS[number % len(MARKS)]
            axes.plot(*row.point(score), mark, color=colour, ms=7, label=row.method)
