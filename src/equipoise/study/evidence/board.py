"""The board: every method with its defaults, on the same images with the same net and training, over five seeds."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from equipoise.methods import METHODS
from equipoise.methods.beta_vae import BetaVAE
from equipoise.study.compare import statistics, tables
from equipoise.study.compare.comparison import block_of_all
from equipoise.study.compare.results import Group, Result, by_data, groups
from equipoise.study.evidence.front import SCORES, Row, draw
from equipoise.study.evidence.table import Evidence, Page, Size, StudyRun, read

NAME = "board"
FOLDER = Path("studies") / NAME
DATA = ("dsprites", "rooms3d")
BETAS = tuple(0.25 * 2**k for k in range(8))
FIXED: tuple[Mapping[str, Any], ...] = tuple({"name": "beta-vae", "beta": beta} for beta in BETAS)
OTHERS: tuple[Mapping[str, Any], ...] = (
    *({"name": name} for name in METHODS if name not in ("beta-vae", "compose")),
    {"name": "l-vae", "preset": "closed"},
)
METRICS = {
    "sse": "SSE",
    "mig": "MIG",
    "dci_hist_disentanglement": "DCI",
    "factor_vae": "FactorVAE",
    "sap": "SAP",
    "infom": "InfoM",
}
STEPS, SEEDS = 3000, 5
TRAINING = {"batch": 64, "optimizer": "muon", "lr": 2e-3, "start_at_mean": True}  # of all methods
SETTLED = 0.05  # a MIG that grows by more than this from a third of the steps to all of them is not settled


def study(size: Size, methods: Sequence[Mapping[str, Any]] = (*FIXED, *OTHERS)) -> dict[str, Any]:
    """Return the study of the board, or of some of its methods; a quick one has a third of the steps.

    All of its runs are in one folder, so that the tables that need some of them share them. Runs of another number of
    steps have a folder of their own, since their records have the same names.
    """
    kind = f"-{size.steps}" if size.steps is not None else "-quick" if size.quick else ""
    return {
        "out": str(FOLDER.with_name(f"{NAME}{kind}")),
        "seeds": SEEDS if size.seeds is None else size.seeds,
        "data": {"name": list(DATA), "size": 32},
        "method": [dict(method) for method in methods],
        "net": {"name": "small"},
        "train": {"steps": size.steps_of(STEPS), **TRAINING},
        "evaluate": {"which": list(METRICS), "n": 10_000, "interval": False},
    }


def result(run: StudyRun) -> Result | None:
    """Return a finished run as a comparison reads it; None before it is finished."""
    if run.record is None:
        return None
    record, method = run.record, run.config.method
    kl, beta = (record.curves.get(name, [])[-1:] for name in ("kl", "beta_equivalent"))  # the last value, if any
    setting = f"{method.beta:g}" if isinstance(method, BetaVAE) else run.config.preset or ""
    return Result(
        run=record.run,
        path=Path(run.config.out),
        data=run.data,
        method=method.name,
        setting=setting,
        seed=record.seed,
        steps=run.config.train.steps,
        scores={**run.scores, **({"kl": kl[0]} if kl else {})},
        convention=run.config.evaluate.convention,
        digest="",
        beta_equivalent=beta[0] if beta else None,
        flags=tuple(record.flags),
    )


def page(results: Path, size: Size) -> Page:
    """Return the board from the records in a folder of results. It is complete when no run is missing."""
    shorter = [] if size.quick else read(study(size._replace(quick=True, steps=None)), results)
    return show(read(study(size), results), shorter)


def show(runs: Sequence[StudyRun], shorter: Sequence[StudyRun] = ()) -> Page:
    """Return the page of these runs; `shorter` are the runs with a third of the steps."""
    results, third = finished_results(runs), finished_results(shorter)
    seconds = {run.record.run: run.record.seconds for run in runs if run.record is not None}
    summary = (
        f"Means over seeds with their 95 % intervals, sorted by MIG; {len(results)} of {len(runs)} runs are finished. "
        "Every method has its own settings at their defaults; images, net, batches, optimiser and steps are the same. "
        "ada-gvae has weak labels; the KL of mr-vae is a mean over its range of beta, and its other values are those "
        "at a beta of 1. DCI: disentanglement by boosted trees on binned codes. Above: the pairs of seeds in which the "
        "MIG is above that of the beta-VAE with the best mean. Seconds: training of the fastest seed on one core; "
        "other programs used the machines as well."
    )
    if third:
        summary += " MIG at 1/3: the MIG after a third of the steps."
    text, markdown, values = [], [summary], []
    for data, members in by_data(results).items():
        of_set = rows(members, [each for each in third if each.data == data], seconds)
        grid = [list(of_set[0]), *(list(row.values()) for row in of_set)]
        text += [data, *tables.lines(grid), ""]
        markdown += ["", f"## {data}", "", *tables.markdown(grid)]
        values += [{"data": data, **row} for row in of_set]
    if results:
        rank_lines = tables.ranks(block_of_all(results, list(METRICS)), METRICS)
        text += [*rank_lines, ""]
        markdown += ["", "## Ranks", "", *(f"- {line}" for line in rank_lines)]
    figure = {"Squared error and scores of all methods, and the front of the beta-VAEs": draw(means(results), DATA)}
    is_complete = len(results) == len(runs)
    return Page("Board", "\n".join([*text, summary]), markdown, {"rows": values}, is_complete, figure)


def rows(results: Sequence[Result], third: Sequence[Result], seconds: Mapping[str, float]) -> list[dict[str, str]]:
    """Return a row for each method and setting on a data set, by heading; the largest mean MIG comes first."""
    best = best_fixed(results)
    shorter = {group.label: group for group in groups(third)}
    rows = []
    for group in sorted(groups(results), key=lambda group: -_mean(group, "mig")):
        early = shorter[group.label].estimate("mig") if group.label in shorter else None
        is_rising = early is not None and _mean(group, "mig") - early.value > SETTLED
        rows.append(
            {
                "method": group.label,
                "seeds": str(len(group.results)),
                **{title: _cell(group, metric) for metric, title in METRICS.items()},
                "KL": _cell(group, "kl"),
                **({"MIG at 1/3": tables.figure("mig", early.value) if early else "–"} if third else {}),
                "above": _wins(group, best),
                "seconds": f"{min(seconds[each.run] for each in group.results):.0f}",
                "flags": ", ".join([*group.flags, *(["MIG still rises"] if is_rising else [])]),
            }
        )
    return rows


def finished_results(runs: Sequence[StudyRun]) -> list[Result]:
    """Return the runs that are finished, as a comparison reads them."""
    return [each for run in runs if (each := result(run)) is not None]


def best_fixed(results: Sequence[Result]) -> Group | None:
    """Return the beta-VAE whose fixed weight has the largest mean MIG; None where there is none."""
    fixed = [group for group in groups(results) if group.method == "beta-vae"]
    return max(fixed, key=lambda group: _mean(group, "mig"), default=None)


def _mean(group: Group, metric: str) -> float:
    """Return the mean of a score over seeds, -inf without one."""
    estimate = group.estimate(metric)
    return -math.inf if estimate is None else estimate.value


def _cell(group: Group, metric: str) -> str:
    estimate = group.estimate(metric)
    if estimate is None:
        return "–"
    ends = tables.interval(metric, estimate)
    return tables.figure(metric, estimate.value) + (f" ({ends})" if ends else "")


def _wins(group: Group, best: Group | None) -> str:
    """Count the pairs of seeds in which the MIG of a group is above that of the best beta-VAE; ties count half."""
    if best is None or group.label == best.label:
        return "–"
    ours, theirs = (each.scores("mig").get(each.results[0].data, np.array([])) for each in (group, best))
    pairs = len(ours) * len(theirs)
    return f"{statistics.wins([ours], [theirs]) if pairs else 0:g} of {pairs}"


def means(results: Sequence[Result]) -> list[Row]:
    """Return the means over the seeds of each method and setting on each data set, for figures."""
    rows = []
    for data, members in by_data(results).items():
        for group in groups(members):
            scores = {key: group.scores(key).get(data, [math.nan]) for key in ("sse", *SCORES)}
            sse, *others = (fmean(values) for values in scores.values())
            rows.append(Row(group.label, data, len(group.results), sse, dict(zip(SCORES, others, strict=True)), {}))
    return rows


TABLE = Evidence(NAME, lambda size: [study(size)], page)
