"""A paper's figures beside ours: means over seeds at one step, and the best model by the paper's rule of choice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from equipoise.metrics import METRICS
from equipoise.study.compare import statistics
from equipoise.study.compare.statistics import Estimate
from equipoise.study.published.paper import Published, Row
from equipoise.study.published.record import Record

Kind = Literal["paper", "mean", "difference", "best"]


@dataclass(frozen=True)
class Line:
    """Figures by column with their kind and label."""

    kind: Kind
    label: str
    figures: Mapping[str, Estimate]


@dataclass(frozen=True)
class Side:
    """A row of a published table with its lines."""

    label: str
    lines: Sequence[Line]


def side_by_side(table: Published, dataset: str, records: Sequence[Record]) -> list[Side]:
    """Return the lines of each row.

    They are the paper's figures; means of ours over seeds, at the last step that every row has and at the last step of
    this row; their difference; and the best model by the paper's rule of choice, if it has one.
    """
    runs = table.runs(dataset, records)
    step = common_step(list(runs.values()))
    return [Side(row.label, _lines(table, row, of_row, step)) for row, of_row in runs.items()]


def common_step(rows: Sequence[Sequence[Record]]) -> int | None:
    """Return the last step at which every row that has any model has one; None where there is none."""
    steps = [{step for run in of_row for step in run.steps} for of_row in rows if of_row]
    return max(set.intersection(*steps), default=None) if steps else None


def _lines(table: Published, row: Row, runs: Sequence[Record], common: int | None) -> list[Line]:
    lines = [Line("paper", "paper", {name: _exact(value) for name, value in row.paper.items()})] if row.paper else []
    latest: dict[str, Line] = {}
    for setting, alike in _apart(table, runs).items():
        last = max(step for run in alike for step in run.steps)
        for step in sorted({last} if common is None else {common, last}):
            models = [run for run in alike if step in run.scores]
            if models:
                mean = _means(table, models, step)
                latest[setting] = Line("mean", _label(models, step, setting), mean)
                lines.append(latest[setting])
    for setting, line in latest.items() if row.paper else ():
        ours = line.figures
        away = {name: _exact(ours[name].value - value) for name, value in row.paper.items() if name in ours}
        lines.append(Line("difference", f"ours - paper, {setting}" if len(latest) > 1 else "ours - paper", away))
    if table.selection is not None:
        lines += _best(table, table.selection, runs)
    return lines


def _apart(table: Published, runs: Sequence[Record]) -> dict[str, list[Record]]:
    """Return the runs by the settings that the table shows separately, as text."""
    by: dict[str, list[Record]] = {}
    for run in runs:
        name = ", ".join(f"{key.partition('.')[2]} {run.settings.get(key)}" for key in table.apart)
        by.setdefault(name, []).append(run)
    return by


def _means(table: Published, models: Sequence[Record], step: int) -> dict[str, Estimate]:
    figures = {}
    for name, column in table.columns.items():
        values = [value for run in models if (value := column.of(run, step)) is not None and math.isfinite(value)]
        if values:
            figures[name] = statistics.estimate([np.array(values)], statistics.mean)
    return figures


def _best(table: Published, metric: str, runs: Sequence[Record]) -> list[Line]:
    """Return the model with the best value of a column over all steps of all runs; empty without any value."""
    column = table.columns[metric]
    models = [
        (METRICS[metric].better * value, run, step)
        for run in runs
        for step in run.steps
        if (value := column.of(run, step)) is not None and math.isfinite(value)
    ]
    if not models:
        return []
    _, run, step = max(models, key=lambda model: model[0])
    figures = {name: each.of(run, step) for name, each in table.columns.items()}
    label = f"ours, best {column.title} of {len(models)} model{'s' * (len(models) > 1)}: step {step:,}"
    return [Line("best", label, {name: _exact(value) for name, value in figures.items() if value is not None})]


def _label(models: Sequence[Record], step: int, setting: str) -> str:
    seeds = len({run.seed for run in models})
    parts = [f"mean of {seeds} seeds" if seeds > 1 else "1 seed", f"step {step:,}", *([setting] if setting else [])]
    return f"ours, {', '.join(parts)}"


def _exact(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan)
