"""Figures of published tables: models as points, or curves of each run over its steps."""

from collections.abc import Mapping, Sequence
from itertools import chain, cycle

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise.report.figures.style import CYCLE, INK, MUTED, label_axes, plain
from equipoise.study.published.paper import Published, Row
from equipoise.study.published.record import Record

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")


def scatter(table: Published, runs: Mapping[Row, Sequence[Record]], x: str, y: str) -> Figure:
    """Draw each model as a point of two columns.

    The last step of a run is filled, earlier ones are pale, and the paper's figures are stars.
    """
    figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    x_column, y_column = table.columns[x], table.columns[y]
    # Rows whose labels start alike, such as those of one method, have one colour.
    kinds = list(dict.fromkeys(row.label.split(",")[0] for row in runs))
    for (row, records), mark in zip(runs.items(), cycle(MARKS), strict=False):
        colour = CYCLE[kinds.index(row.label.split(",")[0]) % len(CYCLE)]
        if records or row.paper:
            axes.plot([], [], color=colour, marker=mark, ls="", label=row.label)
        for run in records:
            for step in run.steps:
                point = x_column.figure(run, step), y_column.figure(run, step)
                alpha = 1 if step == run.steps[-1] else 0.25
                axes.plot(*point, color=colour, marker=mark, ms=6, mew=0, alpha=alpha)  # type: ignore[arg-type]
        if x in row.paper and y in row.paper:
            axes.plot(row.paper[x], row.paper[y], color=colour, marker="*", ms=12, mfc="white", zorder=3)
    if any(x in row.paper and y in row.paper for row in runs):
        axes.plot([], [], color=MUTED, marker="*", ms=12, mfc="white", ls="", label="the paper's")
    axes.set_xlabel(x_column.title, size=9, color=INK)
    axes.set_ylabel(y_column.title, size=9, color=INK)
    _add_legend(figure, axes, table, runs)
    return figure


def trajectories(
    table: Published,
    runs: Mapping[Row, Sequence[Record]],
    curves: Mapping[str, str],
    scores: Mapping[str, str],
    logarithmic: Sequence[str] = (),
) -> Figure:
    """Draw curves of the log, and scores during training, over the steps.

    curves, scores: names by the title of their panel, four panels in all. A panel has a line for each run.
    """
    figure = Figure(figsize=(9, 5.4), layout="constrained", facecolor="white")
    panels = figure.subplots(2, 2, sharex=True).ravel()
    for panel, (axes, (title, name)) in enumerate(zip(panels, {**curves, **scores}.items(), strict=True)):
        for (row, records), colour in zip(runs.items(), cycle(CYCLE), strict=False):
            for number, run in enumerate(records):
                label = row.label if number == 0 else None
                if title in curves:
                    axes.plot(run.curves["step"], run.curves[name], color=colour, lw=1.2, label=label)
                else:
                    steps = [step for step in run.steps if name in run.scores[step]]
                    values = [run.scores[step][name] for step in steps]
                    axes.plot(steps, values, color=colour, marker="o", ms=3.5, lw=1.2, label=label)
        if name in logarithmic:
            axes.set_yscale("log")
        label_axes(axes, title, x="step" if panel > 1 else "")
    _add_legend(figure, panels[0], table, runs)
    return figure


def _add_legend(figure: Figure, axes: Axes, table: Published, runs: Mapping[Row, Sequence[Record]]) -> None:
    """Add the legend, and a title with the number of images that the runs have seen."""
    plain(axes)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    figure.suptitle(table.images_seen(chain.from_iterable(runs.values())), size=9, color=MUTED)
