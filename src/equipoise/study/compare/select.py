"""The command `select`: models chosen without labels, and the models that labels would choose."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.stats import spearmanr

from equipoise.errors import InputError
from equipoise.files import replacing
from equipoise.metrics import METRICS, headline
from equipoise.metrics.ranking import FEWEST
from equipoise.progress import bar
from equipoise.study.compare import tables
from equipoise.study.compare.results import Group, Result, by_data, groups, read_results, scored_metrics
from equipoise.study.compare.udr import different_images, udr_of_seeds
from equipoise.study.folder import open_study

MOST = 10  # models in the terminal


@dataclass(frozen=True)
class Model:
    """A run and its UDR."""

    result: Result
    udr: float

    @property
    def name(self) -> str:
        """Method, setting and seed."""
        return f"{self.result.label} seed {self.result.seed}"


@dataclass(frozen=True)
class Choice:
    """The best model by a metric that needs labels, and the rank correlation of the metric with UDR.

    The correlation is over `models` models, and None where all values of either are equal.
    """

    metric: str
    best: Model
    spearman: float | None
    models: int


@dataclass(frozen=True)
class Selection:
    """The models of a study by UDR: values and lines of text of each data set, the settings left out, and the table."""

    values: list[dict[str, Any]]
    lines: list[str]
    left_out: list[str]
    file: Path


def select(folder: Path, progress: bool = True) -> Selection:
    """Rank the finished runs of the study in `folder` by UDR, best first, and write them to `select.csv`.

    Raises `InputError` where no setting has three finished seeds, or where runs are not of the same images.
    """
    results, unfinished = read_results(open_study(folder))
    waiting = (
        f"{len(unfinished)} of {len(results) + len(unfinished)} runs are not finished; equipoise sweep resumes them"
    )
    every = [(data, group) for data, of_set in by_data(results).items() for group in groups(of_set)]
    ranked = [group for _, group in every if len(group.results) >= FEWEST]
    few = [f"{group.label} on {data} ({len(group.results)})" for data, group in every if len(group.results) < FEWEST]
    if not ranked:
        more = f"so add seeds = {FEWEST} or more to the study"
        remedy = f"and {waiting}" if unfinished else more
        raise InputError(
            f"{folder} has no setting with {FEWEST} finished seeds; UDR compares seeds of a setting, {remedy}"
        )
    models = []
    console = Console(stderr=True, quiet=not progress)
    with bar("comparing codes", sum(len(group.results) for group in ranked), "runs", console) as advance:
        for group in ranked:
            models += _models(group)
            advance(len(group.results))
    models.sort(key=lambda model: -model.udr)
    supervised = [metric for metric in scored_metrics(results) if "factors" in METRICS[metric].needs]
    with replacing(folder / "select.csv") as file:
        file.write(tables.csv_of(_rows(models, supervised)))

    lines, values = [], []
    for data in dict.fromkeys(group.results[0].data for group in ranked):
        of_set = [model for model in models if model.result.data == data]
        choices = [each for metric in supervised if (each := _choice(of_set, metric))]
        lines += [*_text(data, of_set, choices), ""]
        values.append(_values(data, of_set, choices))
    if few:
        lines.append(f"left out, with fewer than {FEWEST} seeds: {', '.join(few)}")
    if unfinished:
        lines.append(waiting)
    return Selection(values, lines, few, folder / "select.csv")


def _models(group: Group) -> list[Model]:
    """Return the runs of a group with the UDR of each. Raises `InputError` where they are not of the same images."""
    first = group.results[0]
    for result in group.results:
        if result.digest != first.digest:
            raise InputError(different_images(result.path, first.path))
    scores = udr_of_seeds([result.path for result in group.results])
    return [Model(result, score) for result, score in zip(group.results, scores, strict=True)]


def _choice(models: Sequence[Model], metric: str) -> Choice | None:
    """Return the choice by a metric among the models that have it; None where fewer than three have."""
    scored = [model for model in models if not math.isnan(model.result.scores.get(metric, math.nan))]
    if len(scored) < FEWEST:
        return None
    scores = [METRICS[metric].better * model.result.scores[metric] for model in scored]
    ranks = [model.udr for model in scored]
    varied = len(set(scores)) > 1 and len(set(ranks)) > 1
    spearman = float(spearmanr(ranks, scores).statistic) if varied else None
    return Choice(metric, scored[int(np.argmax(scores))], spearman, len(scored))


def _rows(models: Sequence[Model], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each model: its rank among those of its data set, UDR and scores."""
    ranks: dict[str, int] = {}
    rows = []
    for model in models:
        result = model.result
        ranks[result.data] = ranks.get(result.data, 0) + 1
        rows.append(
            {
                "data": result.data,
                "rank": ranks[result.data],
                "method": result.method,
                "setting": result.setting,
                "seed": result.seed,
                "run": result.run,
                "flags": ", ".join(result.flags),
                "udr": model.udr,
                **{metric: result.scores.get(metric, math.nan) for metric in metrics},
            }
        )
    return rows


def _text(data: str, models: Sequence[Model], choices: Sequence[Choice]) -> list[str]:
    """Return the best models with their scores, the best settings, and the choice of each metric."""
    metrics = [each.metric for each in choices if each.metric in headline()] or [each.metric for each in choices][:6]
    rows = [["", "udr", *metrics, "run"]]
    for model in models[:MOST]:
        result = model.result
        scores = [tables.figure(metric, result.scores.get(metric, math.nan)) for metric in metrics]
        rows.append([model.name, tables.figure("udr", model.udr), *scores, result.run])
    more = f"; the best {MOST}, all are in select.csv" if len(models) > MOST else ""
    lines = [f"{data}: {len(models)} models by UDR, which needs no labels{more}", *tables.lines(rows), ""]
    medians = sorted(_medians(models).items(), key=lambda pair: -pair[1])
    lines.append(f"  settings by their median: {', '.join(f'{label} {median:.3f}' for label, median in medians[:5])}")
    if not choices:
        return [*lines, "  no run has a score that needs labels, so UDR cannot be checked against one"]
    rows = [["", "correlation with udr", "its best", "that of udr", "choice with labels"]]
    for each in choices:
        values = [model.result.scores.get(each.metric, math.nan) for model in (each.best, models[0])]
        correlation = "–" if each.spearman is None else f"{each.spearman:z.2f}"
        rows.append(
            [each.metric, correlation, *(tables.figure(each.metric, value) for value in values), each.best.name]
        )
    return [*lines, "", *tables.lines(rows)]


def _medians(models: Sequence[Model]) -> dict[str, float]:
    """Return the median UDR of each setting, by which Duan et al. choose settings."""
    by: dict[str, list[float]] = {}
    for model in models:
        by.setdefault(model.result.label, []).append(model.udr)
    return {label: float(np.median(values)) for label, values in by.items()}


def _values(data: str, models: Sequence[Model], choices: Sequence[Choice]) -> dict[str, Any]:
    best = models[0].result.scores
    return {
        "data": data,
        "models": [
            {"run": model.result.run, "label": model.result.label, "seed": model.result.seed, "udr": model.udr}
            for model in models
        ],
        "settings": _medians(models),
        "labels": [
            {
                "metric": each.metric,
                "spearman": each.spearman,
                "models": each.models,
                "run": each.best.result.run,
                "score": each.best.result.scores[each.metric],
                "score_of_udr": best.get(each.metric),
            }
            for each in choices
        ],
    }
