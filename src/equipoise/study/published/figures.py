"""Figures of published tables: models as points, or what became of each run over its steps."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise.report.figures import CYCLE, INK, MUTED, plain
from equipoise.study.published.kept import Kept

if TYPE_CHECKING:
    from equipoise.study.published.paper import Draw, Published, Row

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")


def scatter(x: str, y: str) -> "Draw":
    """Draws each model as a point of two columns, its last step filled, earlier ones pale; the paper's as a star."""

    def draw(table: "Published", runs: "Mapping[Row, Sequence[Kept]]") -> Figure:
        figure = Figure(figsize=(7.2, 4.4), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        across, up = table.columns[x], table.columns[y]
        # Rows whose labels begin alike, such as those of one method, have one colour.
        kinds = list(dict.fromkeys(row.label.split(",")[0] for row in runs))
        for (row, of_row), mark in zip(runs.items(), cycle(MARKS), strict=False):
            colour = CYCLE[kinds.index(row.label.split(",")[0]) % len(CYCLE)]
            if of_row or row.paper:
                axes.plot([], [], color=colour, marker=mark, ls="", label=row.label)
            for kept in of_row:
                for step in kept.steps:
                    points = across.of(kept, step), up.of(kept, step)
                    alpha = 1 if step == kept.steps[-1] else 0.25
                    axes.plot(*points, color=colour, marker=mark, ms=6, mew=0, alpha=alpha)  # type: ignore[arg-type]
            if x in row.paper and y in row.paper:
                axes.plot(row.paper[x], row.paper[y], color=colour, marker="*", ms=12, mfc="white", zorder=3)
        if any(x in row.paper and y in row.paper for row in runs):
            axes.plot([], [], color=MUTED, marker="*", ms=12, mfc="white", ls="", label="the paper's")
        axes.set_xlabel(across.title, size=9, color=INK)
        axes.set_ylabel(up.title, size=9, color=INK)
        _finish(figure, axes, table, runs)
        return figure

    return draw


def trajectories(curves: Mapping[str, str], scores: Mapping[str, str], logarithmic: Sequence[str] = ()) -> "Draw":
    """Draws curves of the log and scores on the way over the steps, a panel each by its title, a line for each run."""

    def draw(table: "Published", runs: "Mapping[Row, Sequence[Kept]]") -> Figure:
        figure = Figure(figsize=(9, 5.4), layout="constrained", facecolor="white")
        panels = figure.subplots(2, 2, sharex=True).ravel()
        for axes, (title, name) in zip(panels, {**curves, **scores}.items(), strict=True):
            for (row, of_row), colour in zip(runs.items(), cycle(CYCLE), strict=False):
                for number, kept in enumerate(of_row):
                    label = row.label if number == 0 else None
                    if title in curves:
                        axes.plot(kept.curves["step"], kept.curves[name], color=colour, lw=1.2, label=label)
                    else:
                        at = [step for step in kept.steps if name in kept.scores[step]]
                        values = [kept.scores[step][name] for step in at]
                        axes.plot(at, values, color=colour, marker="o", ms=3.5, lw=1.2, label=label)
            if name in logarithmic:
                axes.set_yscale("log")
            axes.set_title(title, size=9, color=INK, loc="left")
            plain(axes)
        for axes in panels[2:]:
            axes.set_xlabel("step", size=8, color=MUTED)
        _finish(figure, panels[0], table, runs)
        return figure

    return draw


def _finish(figure: Figure, axes: Axes, table: "Published", runs: "Mapping[Row, Sequence[Kept]]") -> None:
    """Legend, and how much of the protocol's budget the runs have had, said on the figure itself."""
    plain(axes)
    axes.legend(fontsize=8, frameon=False, labelcolor=INK)
    trained = table.trained(each for of_row in runs.values() for each in of_row)
    figure.suptitle(trained, size=9, color=MUTED)
