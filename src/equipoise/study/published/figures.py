"""Figures of published tables: models as points, or curves of each run over its steps."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise.report.figures.style import CYCLE, INK, MUTED, plain
from equipoise.study.published.record import Record

if TYPE_CHECKING:
    from equipoise.study.published.paper import Published, Row

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")


def scatter(table: "Published", runs: "Mapping[Row, Sequence[Record]]", x: str, y: str) -> Figure:
    """Draw each model as a point of two columns.

    The last step of a run is filled, earlier ones are pale, and the paper's figures are stars.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    across, up = table.columns[x], table.columns[y]
    # Rows whose labels start alike, such as those of one method, have one colour.
    kinds = list(dict.fromkeys(row.label.split(",")[0] for row in runs))
    for (row, of_row), mark in zip(runs.items(), cycle(MARKS), strict=False):
        colour = CYCLE[kinds.index(row.label.split(",")[0]) % len(CYCLE)]
        if of_row or row.paper:
            axes.plot([], [], color=colour, marker=mark, ls="", label=row.label)
        for run in of_row:
            for step in run.steps:
                points = across.of(run, step), up.of(run, step)
                alpha = 1 if step == run.steps[-1] else 0.25
                axes.plot(*points, color=colour, marker=mark, ms=6, mew=0, alpha=alpha)  # type: ignore[arg-type]
        if x in row.paper and y in row.paper:
            axes.plot(row.paper[x], row.paper[y], color=colour, marker="*", ms=12, mfc="white", zorder=3)
    if any(x in row.paper and y in row.paper for row in runs):
        axes.plot([], [], color=MUTED, marker="*", ms=12, mfc="white", ls="", label="the paper's")
    axes.set_xlabel(across.title, size=9, color=INK)
    axes.set_ylabel(up.title, size=9, color=INK)
    _finish(figure, axes, table, runs)
    return figure


def trajectories(
    table: "Published",
    runs: "Mapping[Row, Sequence[Record]]",
    curves: Mapping[str, str],
    scores: Mapping[str, str],
    logarithmic: Sequence[str] = (),
) -> Figure:
    """Draw curves of the log, and scores during training, over the steps.

    curves, scores: names by the title of their panel, four panels in all. A panel has a line for each run.
    """
    figure = Figure(figsize=(9, 5.4), layout="constrained", facecolor="white")
    panels = figure.subplots(2, 2, sharex=True).ravel()
    for axes, (title, name) in zip(panels, {**curves, **scores}.items(), strict=True):
        for (row, of_row), colour in zip(runs.items(), cycle(CYCLE), strict=False):
            for number, run in enumerate(of_row):
                label = row.label if number == 0 else None
                if title in curves:
                    axes.plot(run.curves["step"], run.curves[name], color=colour, lw=1.2, label=label)
                else:
                    at = [step for step in run.steps if name in run.scores[step]]
                    values = [run.scores[step][name] for step in at]
                    axes.plot(at, values, color=colour, marker="o", ms=3.5, lw=1.2, label=label)
        if name in logarithmic:
            axes.set_yscale("log")
        axes.set_title(title, size=9, color=INK, loc="left")
        plain(axes)
    for axes in panels[2:]:
        axes.set_xlabel("step", size=8, color=MUTED)
    _finish(figure, panels[0], table, runs)
    return figure


def _finish(figure: Figure, axes: Axes, table: "Published", runs: "Mapping[Row, Sequence[Record]]") -> None:
    """Add the legend, and a title with the number of images that the runs have seen."""
    plain(axes)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    seen = table.images_seen(run for of_row in runs.values() for run in of_row)
    figure.suptitle(seen, size=9, color=MUTED)
