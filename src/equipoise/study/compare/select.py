"""The command `select`: models chosen without labels, and the models that labels would choose."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from scipy.stats import spearmanr

from equipoise.errors import InputError
from equipoise.files import write_bytes
from equipoise.metrics import METRICS, headline
from equipoise.metrics.ranking import FEWEST
from equipoise.outcome import Outcome
from equipoise.progress import bar
from equipoise.study.compare import tables
from equipoise.study.compare.results import Result, by_data, groups, read_results, scored_metrics
from equipoise.study.compare.udr import udr_of_seeds
from equipoise.study.folder import open_study

MOST = 10  # models in the terminal


def select(folder: Path, progress: bool = True) -> Outcome:
    """Rank the finished runs of the study in `folder` by UDR, best first, and write them to `select.csv`.

    Collapsed models come last, because their scores are noise.

    Raises `InputError` where no setting has three finished seeds, or where runs are not of the same images.
    """
    results, unfinished = read_results(open_study(folder))
    failures = [f"failed: {state.run}: {state.reason}" for state in unfinished if state.stage == "failed"]
    hint = f"{len(unfinished)} of {len(results) + len(unfinished)} runs are not finished; equipoise sweep resumes them"
    settings = [group for members in by_data(results).values() for group in groups(members)]
    comparable = [group for group in settings if len(group.results) >= FEWEST]
    left_out = [
        f"{group.label} on {group.results[0].data} ({len(group.results)})"
        for group in settings
        if len(group.results) < FEWEST
    ]
    if not comparable:
        remedy = f"and {hint}" if unfinished else f"so add seeds = {FEWEST} or more to the study"
        raise InputError(
            f"{folder} has no setting with {FEWEST} finished seeds; UDR compares seeds of a setting, {remedy}"
        )
    models: list[Result] = []
    console = Console(stderr=True, quiet=not progress)
    with bar("comparing codes", sum(len(group.results) for group in comparable), "runs", console) as advance:
        for group in comparable:
            scores = udr_of_seeds([result.path for result in group.results])
            for result, udr in zip(group.results, scores, strict=True):
                models.append(dataclasses.replace(result, scores={**result.scores, "udr": udr}))
            advance(len(group.results))
    models.sort(key=lambda model: ("collapsed" in model.flags, -model.scores["udr"]))
    supervised = [metric for metric in scored_metrics(results) if "factors" in METRICS[metric].needs]
    file = folder / "select.csv"
    write_bytes(file, tables.csv_of(_rows(models, supervised)))

    lines, values = [], []
    ranking = by_data(models)
    for data in dict.fromkeys(group.results[0].data for group in comparable):
        values.append(_values(data, ranking[data], supervised))
        lines += [*_text(values[-1], ranking[data]), ""]
    if left_out:
        lines.append(f"left out, with fewer than {FEWEST} seeds: {', '.join(left_out)}")
    if unfinished:
        lines += [hint, *failures]
    return Outcome({"data": values, "left_out": left_out, "wrote": str(file)}, "\n".join([*lines, f"wrote {file}"]))


def _rows(models: Sequence[Result], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each model: its rank among those of its data set, UDR and scores."""
    rank = {model.run: place for members in by_data(models).values() for place, model in enumerate(members, 1)}
    return [
        {
            "data": model.data,
            "rank": rank[model.run],
            "method": model.method,
            "setting": model.setting,
            "seed": model.seed,
            "run": model.run,
            "flags": ", ".join(model.flags),
            **{metric: model.scores.get(metric, math.nan) for metric in ("udr", *metrics)},
        }
        for model in models
    ]


def _values(data: str, models: Sequence[Result], metrics: Sequence[str]) -> dict[str, Any]:
    """Return the models of a data set, best first, the settings by their median, and the choice of each metric."""
    return {
        "data": data,
        "models": [
            {
                "run": model.run,
                "label": model.label,
                "seed": model.seed,
                "udr": model.scores["udr"],
                "flags": list(model.flags),
            }
            for model in models
        ],
        # Duan et al. choose settings by this median.
        "settings": {
            group.label: float(np.median([model.scores["udr"] for model in group.results])) for group in groups(models)
        },
        "labels": [choice for metric in metrics if (choice := _choice(models, metric))],
    }


def _choice(models: Sequence[Result], metric: str) -> dict[str, Any] | None:
    """Return the best model by a metric, and the rank correlation of the metric with UDR.

    It is None where fewer than three models have the metric; the correlation is None where all values are equal, and
    the score of the first model by UDR where it is undefined.
    """
    candidates = [model for model in models if not math.isnan(model.scores.get(metric, math.nan))]
    if len(candidates) < FEWEST:
        return None
    scores = [METRICS[metric].better * model.scores[metric] for model in candidates]
    udr = [model.scores["udr"] for model in candidates]
    is_defined = len(set(scores)) > 1 and len(set(udr)) > 1
    best, score_of_udr = candidates[int(np.argmax(scores))], models[0].scores.get(metric, math.nan)
    return {
        "metric": metric,
        "spearman": float(spearmanr(udr, scores).statistic) if is_defined else None,
        "models": len(candidates),
        "run": best.run,
        "score": best.scores[metric],
        "score_of_udr": None if math.isnan(score_of_udr) else score_of_udr,
    }


def _text(values: dict[str, Any], models: Sequence[Result]) -> list[str]:
    """Return the best models with their scores, the best settings, and the choice of each metric."""
    choices = values["labels"]
    names = {
        model.run: f"{model.label} seed {model.seed}" + (f" ({', '.join(model.flags)})" if model.flags else "")
        for model in models
    }
    metrics = [choice["metric"] for choice in choices]
    metrics = [metric for metric in metrics if metric in headline()] or metrics[:6]
    rows = [["", "udr", *metrics, "run"]]
    for model in models[:MOST]:
        scores = [tables.figure(metric, model.scores.get(metric, math.nan)) for metric in ("udr", *metrics)]
        rows.append([names[model.run], *scores, model.run])
    more = f"; the best {MOST}, all are in select.csv" if len(models) > MOST else ""
    lines = [f"{values['data']}: {len(models)} models by UDR, which needs no labels{more}", *tables.lines(rows), ""]
    medians = sorted(values["settings"].items(), key=lambda pair: -pair[1])
    lines.append(f"  settings by their median: {', '.join(f'{label} {median:.3f}' for label, median in medians[:5])}")
    collapsed = sum("collapsed" in model.flags for model in models)
    if collapsed:
        lines.append(
            f"  {collapsed} of {len(models)} models collapsed and come last: no latent is active, so their scores are "
            "noise"
        )
    if not choices:
        return [*lines, "  no run has a score that needs labels, so UDR cannot be checked against one"]
    rows = [["", "correlation with udr", "its best", "that of udr", "choice with labels"]]
    for choice in choices:
        metric = choice["metric"]
        correlation = "–" if choice["spearman"] is None else f"{choice['spearman']:z.2f}"
        score_of_udr = models[0].scores.get(metric, math.nan)
        scores = [tables.figure(metric, choice["score"]), tables.figure(metric, score_of_udr)]
        rows.append([metric, correlation, *scores, names[choice["run"]]])
    return [*lines, "", *tables.lines(rows)]
