"""A paper's figures beside ours: means over seeds at one step, and the best by the paper's rule of choice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from equipoise.metrics import METRICS
from equipoise.study import statistics
from equipoise.study.published.kept import Kept
from equipoise.study.published.paper import Published, Row
from equipoise.study.statistics import Estimate

Kind = Literal["paper", "mean", "difference", "best"]


@dataclass(frozen=True)
class Line:
    """Figures by column, and what they are of."""

    kind: Kind
    label: str
    figures: Mapping[str, Estimate]


@dataclass(frozen=True)
class Side:
    """A row of a published table with all that is known of it."""

    label: str
    lines: Sequence[Line]


def side_by_side(table: Published, dataset: str, kept: Sequence[Kept]) -> list[Side]:
    """For each row: the paper's figures; means of ours over seeds, where every row has a model and where this one has
    its last; and the best model by the paper's rule of choice, if it has one.
    """
    runs = table.runs(dataset, kept)
    step = common_step(list(runs.values()))
    return [Side(row.label, _lines(table, row, of_row, step)) for row, of_row in runs.items()]


def common_step(rows: Sequence[Sequence[Kept]]) -> int | None:
    """The last step at which every row that has any model has one; None where there is none."""
    steps = [{step for kept in of_row for step in kept.steps} for of_row in rows if of_row]
    return max(set.intersection(*steps), default=None) if steps else None


def _lines(table: Published, row: Row, runs: Sequence[Kept], common: int | None) -> list[Line]:
    lines = [Line("paper", "paper", {name: _alone(value) for name, value in row.paper.items()})] if row.paper else []
    for setting, alike in _apart(table, runs).items():
        last = max(step for kept in alike for step in kept.steps)
        for step in sorted({last} if common is None else {common, last}):
            models = [kept for kept in alike if step in kept.scores]
            if models:
                mean = _means(table, models, step)
                lines.append(Line("mean", _label(models, step, setting), mean))
    means = [line for line in lines if line.kind == "mean"]
    if row.paper and means:
        ours = means[-1].figures
        away = {name: _alone(ours[name].value - value) for name, value in row.paper.items() if name in ours}
        lines.append(Line("difference", "ours - paper", away))
    if table.selection is not None:
        lines += _best(table, table.selection, runs)
    return lines


def _apart(table: Published, runs: Sequence[Kept]) -> dict[str, list[Kept]]:
    """The runs by those settings that keep them apart, as one reads them."""
    by: dict[str, list[Kept]] = {}
    for kept in runs:
        name = ", ".join(f"{key.partition('.')[2]} {kept.settings.get(key)}" for key in table.apart)
        by.setdefault(name, []).append(kept)
    return by


def _means(table: Published, models: Sequence[Kept], step: int) -> dict[str, Estimate]:
    figures = {}
    for name, column in table.columns.items():
        values = [value for kept in models if (value := column.of(kept, step)) is not None and math.isfinite(value)]
        if values:
            figures[name] = statistics.estimate([np.array(values)], statistics.mean)
    return figures


def _best(table: Published, metric: str, runs: Sequence[Kept]) -> list[Line]:
    """The model with the best value of a column among all steps of all runs; none where no model has a value."""
    column = table.columns[metric]
    models = [
        (METRICS[metric].better * value, kept, step)
        for kept in runs
        for step in kept.steps
        if (value := column.of(kept, step)) is not None and math.isfinite(value)
    ]
    if not models:
        return []
    _, kept, step = max(models, key=lambda model: model[0])
    figures = {name: each.of(kept, step) for name, each in table.columns.items()}
    label = f"ours, best {column.title} of {len(models)} model{'s' * (len(models) > 1)}: step {step:,}"
    return [Line("best", label, {name: _alone(value) for name, value in figures.items() if value is not None})]


def _label(models: Sequence[Kept], step: int, setting: str) -> str:
    seeds = len({kept.seed for kept in models})
    return f"ours, {f'mean of {seeds} seeds' if seeds > 1 else '1 seed'}, step {step:,}" + f", {setting}" * bool(
        setting
    )


def _alone(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan)
