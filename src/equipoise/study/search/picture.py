"""The picture of a search: scores in the order of the trials, and over each setting."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from equipoise.metrics import METRICS
from equipoise.report.figures.style import BLUE, INK, MUTED, ORANGE, plain
from equipoise.study.plan import Distribution
from equipoise.study.search.summary import SearchResult, short

COLUMNS = 3  # of panels


def draw(result: SearchResult) -> Figure:
    """Draw the scores of finished trials in their order, with the best so far, and over each searched setting.

    A pruned trial is a cross at the score with which it was stopped.
    """
    keys = result.space.keys
    panels = 1 + len(keys)
    columns = min(COLUMNS, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(max(3.2 * columns, 4.2), 2.5 * rows), facecolor="white", layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    first, *others = grid.ravel()
    metric, sign = result.space.search.metric, METRICS[result.space.search.metric].better
    _points(first, result, {trial.number: trial.number for trial in result.trials})
    finished = [trial for trial in result.trials if trial.stage == "finished"]
    best = sign * np.maximum.accumulate([sign * trial.mean for trial in finished])
    numbers = [trial.number for trial in finished]
    first.step([*numbers, len(result.trials) - 1], [*best, best[-1]], where="post", color=ORANGE, linewidth=1.2)
    crosses = "; × was pruned" if any(trial.last for trial in result.trials) else ""
    first.set_title(f"trial; the line is the best so far{crosses}", size=9, color=INK, loc="left")
    for axes, key in zip(others, keys, strict=False):
        _setting(axes, result, key)
    for row in grid:
        row[0].set_ylabel(metric if sign > 0 else f"{metric}, less is better", size=8, color=MUTED)
    for axes in grid.ravel()[:panels]:
        plain(axes)
    for axes in grid.ravel()[panels:]:
        axes.set_visible(False)
    return figure


def _setting(axes: Axes, result: SearchResult, key: str) -> None:
    at = {trial.number: trial.settings[key] for trial in result.trials if key in trial.settings}
    axes.set_title(key, size=9, color=INK, loc="left", parse_math=False)
    if not at:  # a setting of a method without trials so far
        return
    distributions = [table[key] for table in result.space.tables if isinstance(table.get(key), Distribution)]
    if all(of.kind == "choice" for of in distributions):
        chosen = [value for i, value in enumerate(at.values()) if value not in list(at.values())[:i]]
        if all(isinstance(value, int | float) for value in chosen):
            chosen.sort()
        axes.set_xticks(range(len(chosen)), [short(value) for value in chosen], parse_math=False)
        axes.set_xlim(-0.5, len(chosen) - 0.5)
        at = {number: chosen.index(value) for number, value in at.items()}
    elif all(of.kind == "log_uniform" for of in distributions):
        axes.set_xscale("log")
        wide = max(at.values()) > 50 * min(at.values())
        axes.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    _points(axes, result, at)


def _points(axes: Axes, result: SearchResult, at: Mapping[int, Any]) -> None:
    """Draw the trials at these places: the scores of finished ones, the last score of pruned ones."""
    trials = [trial for trial in result.trials if trial.number in at]
    finished = [(at[trial.number], trial.mean) for trial in trials if trial.scores]
    stopped = [(at[trial.number], trial.last[1]) for trial in trials if trial.last]
    axes.scatter([x for x, _ in finished], [y for _, y in finished], s=16, color=BLUE, linewidths=0, zorder=3)
    axes.scatter([x for x, _ in stopped], [y for _, y in stopped], s=14, color=MUTED, marker="x", linewidths=0.8)
