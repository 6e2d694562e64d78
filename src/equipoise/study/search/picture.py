"""The picture of a search: scores in the order of the trials, and over each setting."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise.metrics import METRICS
from equipoise.report.figures.style import BLUE, MUTED, ORANGE, label_axes
from equipoise.study.log_axis import set_log_axis
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
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(max(3.2 * columns, 4.2), 2.5 * rows), facecolor="white", layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    metric, sign = result.space.search.metric, METRICS[result.space.search.metric].better
    trials = [trial for trial in result.trials if trial.stage == "finished"]
    best = sign * np.maximum.accumulate([sign * trial.mean for trial in trials])
    steps = [*(trial.number for trial in trials), len(result.trials) - 1], [*best, best[-1]]
    grid[0, 0].step(*steps, where="post", color=ORANGE, linewidth=1.2)
    _draw_trials(grid[0, 0], result, {trial.number: trial.number for trial in result.trials})
    crosses = "; × was pruned" if any(trial.last for trial in result.trials) else ""
    titles = [f"trial; the line is the best so far{crosses}", *keys]
    for axes, key in zip(grid.flat[1:], keys, strict=False):
        _draw_setting(axes, result, key)
    for axes, title in zip(grid.flat, titles, strict=False):
        label_axes(axes, title, x="")
    for axes in grid.flat[panels:]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(metric if sign > 0 else f"{metric}, less is better", size=8, color=MUTED)
    return figure


def _draw_setting(axes: Axes, result: SearchResult, key: str) -> None:
    places = {trial.number: trial.settings[key] for trial in result.trials if key in trial.settings}
    if not places:  # a setting of a method without trials so far
        return
    kinds = {table[key].kind for table in result.space.tables if isinstance(table.get(key), Distribution)}
    if kinds <= {"choice"}:
        values: list[Any] = []
        for value in places.values():
            if value not in values:
                values.append(value)
        if all(isinstance(value, int | float) for value in values):
            values.sort()
        axes.set_xticks(range(len(values)), [short(value) for value in values], parse_math=False)
        axes.set_xlim(-0.5, len(values) - 0.5)
        places = {number: values.index(value) for number, value in places.items()}
    elif kinds == {"log_uniform"}:
        is_wide = max(places.values()) > 50 * min(places.values())
        set_log_axis(axes, (1,) if is_wide else (1, 2, 5))
    _draw_trials(axes, result, places)


def _draw_trials(axes: Axes, result: SearchResult, places: Mapping[int, Any]) -> None:
    """Draw the trials at these places, by number: the scores of finished ones, the last score of pruned ones."""
    trials = [trial for trial in result.trials if trial.number in places]
    dots = [(places[trial.number], trial.mean) for trial in trials if trial.scores]
    crosses = [(places[trial.number], trial.last[1]) for trial in trials if trial.last]
    axes.scatter([x for x, _ in dots], [y for _, y in dots], s=16, color=BLUE, linewidths=0, zorder=3)
    axes.scatter([x for x, _ in crosses], [y for _, y in crosses], s=14, color=MUTED, marker="x", linewidths=0.8)
