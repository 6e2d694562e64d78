"""A paper's figures beside ours: means over seeds at one step, and the best model by the paper's rule of choice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from equipoise.metrics import METRICS
from equipoise.study.compare import statistics
from equipoise.study.compare.statistics import Estimate
from equipoise.study.grouping import group_by
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
    return [Side(row.label, _lines(table, row, records, step)) for row, records in runs.items()]


def common_step(rows: Sequence[Sequence[Record]]) -> int | None:
    """Return the last step at which every row that has any model has one; None where there is none."""
    steps = [{step for run in records for step in run.steps} for records in rows if records]
    return max(set.intersection(*steps), default=None) if steps else None


def _lines(table: Published, row: Row, runs: Sequence[Record], common: int | None) -> list[Line]:
    lines = [Line("paper", "paper", {name: Estimate(value) for name, value in row.paper.items()})] if row.paper else []
    latest: dict[str, tuple[str, Mapping[str, Estimate]]] = {}  # label of the difference, and the last means
    for setting, records in group_by(runs, partial(_setting, table)).items():
        end = max(step for run in records for step in run.steps)
        steps = sorted({end} if common is None else {common, end})
        for step in steps:
            models = [run for run in records if step in run.scores]
            if models:
                means = _means(table, models, step)
                label = "ours - paper" + (f", step {step:,}" if len(steps) > 1 else "")
                latest[setting] = label, means
                lines.append(Line("mean", _label(models, step, setting), means))
    for setting, (label, ours) in latest.items() if row.paper else ():
        differences = {name: Estimate(ours[name].value - value) for name, value in row.paper.items() if name in ours}
        label = f"{label}, {setting}" if len(latest) > 1 else label
        lines.append(Line("difference", label, differences))
    if table.selection is not None:
        lines += _best(table, table.selection, runs)
    return lines


def _setting(table: Published, run: Record) -> str:
    """Return the settings by which the table shows the runs of a row separately, as text."""
    return ", ".join(f"{key.partition('.')[2]} {run.settings.get(key)}" for key in table.apart)


def _means(table: Published, models: Sequence[Record], step: int) -> dict[str, Estimate]:
    figures = {}
    for name, column in table.columns.items():
        values = [value for run in models if (value := column.figure(run, step)) is not None and math.isfinite(value)]
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
        if (value := column.figure(run, step)) is not None and math.isfinite(value)
    ]
    if not models:
        return []
    _, run, step = max(models, key=lambda model: model[0])
    figures = {name: column.figure(run, step) for name, column in table.columns.items()}
    label = f"ours, best {column.title} of {len(models)} model{'s' * (len(models) > 1)}: step {step:,}"
    return [Line("best", label, {name: Estimate(value) for name, value in figures.items() if value is not None})]


def _label(models: Sequence[Record], step: int, setting: str) -> str:
    seeds = len({run.seed for run in models})
    parts = [f"mean of {seeds} seeds" if seeds > 1 else "1 seed", f"step {step:,}", *([setting] if setting else [])]
    return f"ours, {', '.join(parts)}"
