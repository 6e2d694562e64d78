"""`equipoise select`: models chosen without labels, beside those that labels would have chosen."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.stats import spearmanr

from equipoise import study
from equipoise.codes import load
from equipoise.errors import InputError
from equipoise.files import replacing
from equipoise.metrics import METRICS, ScoreWarning, headline
from equipoise.metrics.ranking import FEWEST, udr
from equipoise.outcome import Outcome
from equipoise.progress import bar
from equipoise.study import tables
from equipoise.study.results import Group, Result, by_data, groups, measured, results

SHOWN = 10  # models in the terminal


@dataclass(frozen=True)
class Model:
    """A run and how far its latents are those that its other seeds found."""

    result: Result
    udr: float

    @property
    def name(self) -> str:
        return f"{self.result.label} seed {self.result.seed}"


@dataclass(frozen=True)
class Chosen:
    """What a metric that needs labels says of the models of a data set."""

    metric: str
    best: Model
    spearman: float | None
    """Rank correlation with UDR over the models; None where either has one value alone."""
    models: int


def select(folder: Path, progress: bool = True) -> Outcome:
    """Rank the finished runs of the study in `folder` by UDR, best first, and write all to `select.csv`."""
    found = results(study.open_study(folder))
    sets = [(data, group) for data, of_set in by_data(found).items() for group in groups(of_set)]
    ranked = [group for _, group in sets if len(group.results) >= FEWEST]
    few = [f"{group.label} on {data} ({len(group.results)})" for data, group in sets if len(group.results) < FEWEST]
    if not ranked:
        raise InputError(
            f"{folder} has no setting with {FEWEST} finished seeds; UDR compares seeds of a setting, so add seeds = "
            f"{FEWEST} to the study, or more"
        )
    models = []
    console = Console(stderr=True, quiet=not progress)
    with bar("comparing codes", sum(len(group.results) for group in ranked), "runs", console) as advance:
        for group in ranked:
            models += _models(group)
            advance(len(group.results))
    models.sort(key=lambda model: -model.udr)
    supervised = [metric for metric in measured(found) if "factors" in METRICS[metric].needs]
    with replacing(folder / "select.csv") as file:
        file.write(tables.csv_of(_rows(models, supervised)))

    said, values = [], []
    for data in dict.fromkeys(group.results[0].data for group in ranked):
        here = [model for model in models if model.result.data == data]
        chosen = [each for metric in supervised if (each := _chosen(here, metric))]
        said += [*_text(data, here, chosen), ""]
        values.append(_values(data, here, chosen))
    if few:
        said.append(f"left out, with fewer than {FEWEST} seeds: {', '.join(few)}")
    said.append(f"wrote {folder / 'select.csv'}")
    return Outcome({"data": values, "left_out": few, "wrote": str(folder / "select.csv")}, "\n".join(said))


def _models(group: Group) -> list[Model]:
    """The runs of a group with the UDR of each. Raises `InputError` where their codes are not of the same images."""
    codes = [load(result.path / "codes.npz") for result in group.results]
    first = group.results[0]
    for result, each in zip(group.results, codes, strict=True):
        if result.digest != first.digest or not np.array_equal(each["index"], codes[0]["index"]):
            raise InputError(
                f"the codes of {result.path} and {first.path} are not of the same images, so UDR cannot compare them; "
                f"delete the run whose images are out of date, and sweep again"
            )
    pairs = [(each["mean"], each["logvar"]) for each in codes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ScoreWarning)  # a collapsed model scores 0, and its flag says why
        return [
            Model(result, udr(mean, [*pairs[:i], *pairs[i + 1 :]], logvar).value)
            for i, (result, (mean, logvar)) in enumerate(zip(group.results, pairs, strict=True))
        ]


def _chosen(models: Sequence[Model], metric: str) -> Chosen | None:
    """What the metric says of the models that have it; None where fewer than three have."""
    scored = [model for model in models if not math.isnan(model.result.scores.get(metric, math.nan))]
    if len(scored) < FEWEST:
        return None
    scores = [METRICS[metric].better * model.result.scores[metric] for model in scored]
    ranks = [model.udr for model in scored]
    varied = len(set(scores)) > 1 and len(set(ranks)) > 1
    spearman = float(spearmanr(ranks, scores).statistic) if varied else None
    return Chosen(metric, scored[int(np.argmax(scores))], spearman, len(scored))


def _rows(models: Sequence[Model], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each model: its place among those of its data set, UDR and scores."""
    places: dict[str, int] = {}
    rows = []
    for model in models:
        result = model.result
        places[result.data] = places.get(result.data, 0) + 1
        rows.append(
            {
                "data": result.data,
                "rank": places[result.data],
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


def _text(data: str, models: Sequence[Model], chosen: Sequence[Chosen]) -> list[str]:
    """The best models with their scores, the settings, and what each metric would have chosen."""
    shown = [each.metric for each in chosen if each.metric in headline()] or [each.metric for each in chosen][:6]
    rows = [["", "udr", *shown, "run"]]
    for model in models[:SHOWN]:
        result = model.result
        scores = [tables.figure(metric, result.scores.get(metric, math.nan)) for metric in shown]
        rows.append([model.name, tables.figure("udr", model.udr), *scores, result.run])
    more = f"; the best {SHOWN}, all are in select.csv" if len(models) > SHOWN else ""
    said = [f"{data}: {len(models)} models by UDR, which needs no labels{more}", *tables.lines(rows), ""]
    medians = sorted(_medians(models).items(), key=lambda pair: -pair[1])
    said.append(f"  settings by their median: {', '.join(f'{label} {median:.3f}' for label, median in medians[:5])}")
    if not chosen:
        return [*said, "  no run has a score that needs labels, so there is nothing to hold it against"]
    rows = [["", "correlation with udr", "its best", "that of udr", "what labels would have chosen"]]
    for each in chosen:
        values = [model.result.scores.get(each.metric, math.nan) for model in (each.best, models[0])]
        correlation = "–" if each.spearman is None else f"{each.spearman:z.2f}"
        rows.append(
            [each.metric, correlation, *(tables.figure(each.metric, value) for value in values), each.best.name]
        )
    return [*said, "", *tables.lines(rows)]


def _medians(models: Sequence[Model]) -> dict[str, float]:
    """Median UDR of each setting: what Duan et al. choose settings by."""
    by: dict[str, list[float]] = {}
    for model in models:
        by.setdefault(model.result.label, []).append(model.udr)
    return {label: float(np.median(values)) for label, values in by.items()}


def _values(data: str, models: Sequence[Model], chosen: Sequence[Chosen]) -> dict[str, Any]:
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
            for each in chosen
        ],
    }
