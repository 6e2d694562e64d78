"""The page of a comparison, one file that loads nothing, and its figure of reconstruction against scores."""

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from equipoise.metrics import METRICS
from equipoise.report.figures.saving import png, svg, svg_file
from equipoise.report.figures.style import CYCLE, INK, MUTED, label_axes
from equipoise.report.html import template
from equipoise.study.compare.comparison import Block, Comparison
from equipoise.study.compare.results import Group, Result
from equipoise.study.compare.statistics import STATISTICS, Floats, attainment, front
from equipoise.study.compare.tables import MANY, best_of_many, fewer_seeds, figure, interval, p_value, share
from equipoise.study.grouping import group_by

COLUMNS = 3
MARKS = ("o", "s", "^", "D", "v", "P")  # of methods, combined with six colours
DASHED = (0, (4, 2))
DOTS = 2000  # of more runs, a figure has the dots as pixels
ROWS = 2000  # of a table of runs


def files(comparison: Comparison) -> dict[Path, bytes]:
    """Return `compare.html` and `pictures/<data>.svg` and `.png` in the study's folder, by path."""
    folder = comparison.folder / "pictures"
    pictures: dict[Path, bytes] = {}
    drawings: dict[str, Markup] = {}
    for block in comparison.blocks:
        drawing = pareto(block) if block.sets == 1 and block.comparable else None
        if drawing is not None:
            name = f"tradeoff-{re.sub(r'[^A-Za-z0-9.-]+', '-', block.title)}"
            if folder / f"{name}.svg" in pictures:  # data sets such as run_a and run-a
                name += f"-{len(drawings) + 1}"
            pictures |= {folder / f"{name}.svg": svg_file(drawing, name), folder / f"{name}.png": png(drawing)}
            drawings[block.title] = svg(drawing, name)
    page = template("study/compare/compare.html").render(
        title=comparison.folder.resolve().name,
        comparison=comparison,
        drawings=drawings,
        has_curves=any(result.curve for result in comparison.results),
        methods=list(dict.fromkeys(result.method for result in comparison.results)),
        seeds=len({result.seed for result in comparison.results}),
        METRICS=METRICS,
        STATISTICS=STATISTICS,
        figure=figure,
        interval=interval,
        p_value=p_value,
        share=share,
        MANY=MANY,
        zip=zip,
        runs=_table_runs(comparison),
        best_of_many=best_of_many,
        fewer_seeds=fewer_seeds,
        link=lambda result: quote(os.path.relpath(result.path / "report.html", comparison.folder)),
        pictures=[os.path.relpath(path, comparison.folder) for path in pictures],
    )
    return {comparison.folder / "compare.html": page.encode(), **pictures}


def _table_runs(comparison: Comparison) -> list[Result]:
    """Return the runs of the table of runs: all of the settings in the tables of the page, at most 2,000."""
    runs = {result.run for block in comparison.blocks for group in block.table_groups for result in group.results}
    return [result for result in comparison.results if result.run in runs][:ROWS]


def pareto(block: Block) -> Figure | None:
    """Draw the squared error against each other metric; None where there is no other metric.

    A dot is a run, a large mark the mean of a setting. The grey staircase is the Pareto front of the means. A dashed
    one, for each method with several seeds, is the score that half of the seeds reach with the best setting. A line is
    the curve over beta of one run of mr-vae.
    """
    results = [result for group in block.groups for result in group.results]
    metrics = [metric for metric in block.metrics if metric != "sse" and len(_points(results, metric))]
    if not metrics:
        return None
    methods = list(dict.fromkeys(group.method for group in block.groups))
    columns = min(COLUMNS, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    legend = 0.2 * math.ceil((len(methods) + 2) / 4) + 0.25
    size = (max(3.4 * columns, 5.2), 2.7 * rows + legend)
    drawing = Figure(figsize=size, facecolor="white")
    margins = {"left": 0.62 / size[0], "right": 1 - 0.12 / size[0], "bottom": 0.45 / size[1]}
    grid = drawing.add_gridspec(rows, columns, **margins, top=1 - (legend + 0.25) / size[1], wspace=0.26, hspace=0.42)
    for place, metric in enumerate(metrics):
        _panel(drawing.add_subplot(grid[divmod(place, columns)]), block, metric, methods)
    drawing.legend(handles=_legend(methods), loc="upper left", ncols=4, frameon=False, fontsize=8, labelcolor=INK)
    return drawing


def _panel(axes: Axes, block: Block, metric: str, methods: Sequence[str]) -> None:
    means: list[Floats] = []
    settings: list[str] = []  # of the means
    is_large = sum(len(group.results) for group in block.groups) > DOTS
    for place, method in enumerate(methods):
        colour, mark = _style(place)
        members = [group for group in block.groups if group.method == method]
        points = {group.setting: runs for group in members if len(runs := _points(group.results, metric))}
        if points:
            error, score = np.concatenate(list(points.values())).T
            axes.scatter(error, score, s=9, color=colour, alpha=0.55, linewidths=0, zorder=2, rasterized=is_large)
            centres = [runs.mean(axis=0) for runs in points.values()]
            error, score = np.array(centres).T
            style: dict[str, Any] = {"marker": mark, "edgecolors": "white", "linewidths": 0.8, "zorder": 4}
            axes.scatter(error, score, s=46, color=colour, rasterized=is_large, **style)
            means += centres
            settings += points
        for curve in (result.curve for group in members for result in group.results if metric in result.curve):
            axes.plot(curve["sse"], curve[metric], color=colour, linewidth=1, alpha=0.8, zorder=1)
    error, score = np.array(means).T
    if error.max() > 10 * error.min() > 0:
        axes.set_xscale("log")
    right = axes.get_xlim()[1]
    sign = METRICS[metric].better or 1
    best = front(error, sign * score)
    axes.step(*_extend(right, error[best], score[best]), where="post", color=MUTED, linewidth=1, zorder=1)
    for place, method in enumerate(methods):
        seeds = _points_of_seeds([group for group in block.groups if group.method == method], metric)
        if len(seeds) > 1:
            limits, half = attainment([points[:, 0] for points in seeds], [sign * points[:, 1] for points in seeds])
            is_corner = np.concatenate(([True], half[1:] != half[:-1]))
            stairs = _extend(right, limits[is_corner], sign * half[is_corner])
            (line,) = axes.step(*stairs, where="post", color=_style(place)[0])
            line.set(linestyle=DASHED, linewidth=1, alpha=0.8, zorder=1)
    left, _ = axes.get_xlim()
    for place in best:  # only these: names of all settings would overlap
        x, y = means[place]
        offset, side = ((-5, 4), "right") if x - left > 0.75 * (right - left) else ((5, 4), "left")
        style = {"textcoords": "offset points", "ha": side, "size": 7, "color": MUTED, "parse_math": False}
        axes.annotate(settings[place], (x, y), offset, **style)
    axes.set_xlim(right=right)
    label_axes(axes, f"{metric}{'' if sign > 0 else ', lower is better'}", "squared error per image")


def _points(results: Iterable[Result], metric: str) -> Floats:
    """Return squared error and score [n, 2] of the runs for which both are finite."""
    points = np.array([(result.scores["sse"], result.scores.get(metric, np.nan)) for result in results])
    finite: Floats = points[np.isfinite(points).all(axis=1)]
    return finite


def _points_of_seeds(groups: Sequence[Group], metric: str) -> list[Floats]:
    """Return the points [n, 2] of each seed over the settings of a method."""
    seeds = group_by((result for group in groups for result in group.results), lambda result: result.seed)
    return [points for results in seeds.values() if len(points := _points(results, metric))]


def _extend(right: float, error: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Extend a staircase to the right edge: a score that is reached within an error is reached within a larger one."""
    return np.append(error, right), np.append(score, score[-1])


def _style(place: int) -> tuple[str, str]:
    return CYCLE[place % len(CYCLE)], MARKS[(place // len(CYCLE) + place) % len(MARKS)]


def _legend(methods: Sequence[str]) -> list[Line2D]:
    marks = []
    for place, method in enumerate(methods):
        colour, mark = _style(place)
        marks.append(Line2D([], [], color=colour, marker=mark, linestyle="", markeredgecolor="white", label=method))
    return [
        *marks,
        Line2D([], [], color=MUTED, linewidth=1, label="Pareto front of the means"),
        Line2D([], [], color=MUTED, linewidth=1, linestyle=DASHED, label="reached by half of the seeds"),
    ]
