"""How well numbers that need no labels pick a model: their rank correlation with scores by labels, and the regret.

The models are those of the board. The numbers are computed from the codes of each run and stored as records.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from equipoise.codes import load
from equipoise.errors import InputError, fault
from equipoise.files import write_text
from equipoise.metrics.ranking import FEWEST
from equipoise.metrics.unsupervised import gaussian_tc
from equipoise.report.latents import ACTIVE, latent_variances
from equipoise.study.compare.udr import udr_of_seeds
from equipoise.study.evidence import board
from equipoise.study.evidence.table import Evidence, Page, Size, StudyRun, one_table, read
from equipoise.study.grouping import group_by

NAME = "picking"
LABELLED = {"mig": "MIG", "dci_hist_disentanglement": "DCI", "factor_vae": "FactorVAE"}
NUMBERS = {
    "udr": ("UDR over the seeds of a setting", 1),
    "elbo": ("ELBO", 1),
    "sse": ("squared error", -1),
    "kl": ("KL", -1),
    "gaussian_tc": ("total correlation of a Gaussian", -1),
    "active": ("active latents", 1),
}
"""Numbers that need no labels: what they are, and 1 where the largest is picked, -1 where the smallest."""


class Model(NamedTuple):
    """A model: its data set, the numbers that need no labels, and its scores by labels."""

    data: str
    numbers: Mapping[str, float]
    scores: Mapping[str, float]


class Row(NamedTuple):
    """How well a number selects models on a data set: its rank correlation with each score, and how far the selected
    model is below the best one.

    There is no correlation where all values are equal.
    """

    data: str
    number: str
    models: int
    correlation: Mapping[str, float]
    regret: Mapping[str, float]


def collect(contents: Mapping[str, Any], results: Path) -> None:
    """Compute the numbers of the runs of each setting whose seeds are all finished and have their codes; write them."""
    numbers = _read(results)
    # The seeds of a setting share data and method with all its settings.
    settings = group_by(read(contents, results), lambda run: (run.data, repr(run.config.method)))
    for seeds in settings.values():
        if not all(run.record is not None and _codes(run).exists() for run in seeds):
            continue
        paths = [Path(run.config.out) for run in seeds]
        udr = udr_of_seeds(paths) if len(paths) >= FEWEST else [math.nan] * len(paths)
        for run, run_udr in zip(seeds, udr, strict=True):
            assert run.record is not None
            values = _numbers(run, run_udr)
            numbers[run.record.run] = {name: value for name, value in values.items() if math.isfinite(value)}
    write_text(_file(results), json.dumps(numbers, indent=0, sort_keys=True) + "\n")


def _codes(run: StudyRun) -> Path:
    return Path(run.config.out) / "codes.npz"


def _numbers(run: StudyRun, udr: float) -> dict[str, float]:
    """Return the numbers of a run that need no labels; those of its method alone."""
    codes = load(_codes(run))
    means = {key: float(np.mean(codes[key], dtype=np.float64)) for key in ("sse", "kl", "log_px_z") if key in codes}
    elbo = means["log_px_z"] - means["kl"] if {"kl", "log_px_z"} <= means.keys() else math.nan
    variances = latent_variances(codes["mean"])
    return {
        "udr": udr,
        "elbo": elbo,
        "sse": means["sse"],
        "kl": means.get("kl", math.nan),
        "gaussian_tc": gaussian_tc(codes["mean"]).value,
        "active": float((variances > ACTIVE).sum()),
    }


def _read(results: Path) -> dict[str, dict[str, float]]:
    """Return the stored numbers by record; none without the file."""
    file = _file(results)
    try:
        return TypeAdapter(dict[str, dict[str, float]]).validate_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        raise InputError(f"{file} is damaged ({fault(error)}); delete it, and add --run to compute it anew") from None


def _file(results: Path) -> Path:
    """Return the file of the numbers, in a folder of its own, because `results` itself has records."""
    return results / NAME / "numbers.json"


def page(results: Path, size: Size) -> Page:
    """Return the table from the records in a folder of results. It is complete when no run is missing."""
    runs, numbers = read(board.study(size), results), _read(results)
    models = [
        Model(run.data, numbers[run.record.run], run.scores)
        for run in runs
        if run.record is not None and run.record.run in numbers
    ]
    return show(models, len(runs))


def show(models: Sequence[Model], planned: int) -> Page:
    """Return the page of these models."""
    table = rows(models)
    grid = [["data", "picked by", "models", *LABELLED.values(), *(f"regret {title}" for title in LABELLED.values())]]
    for row in table:
        correlations = (f"{row.correlation[name]:+.2f}" if name in row.correlation else "–" for name in LABELLED)
        regrets = (f"{row.regret[name]:.3f}" for name in LABELLED)
        grid.append([row.data, NUMBERS[row.number][0], str(row.models), *correlations, *regrets])
    summary = (
        f"Rank correlation of numbers that need no labels with scores that do, over the models of the board "
        f"({len(models)} of {planned}), and the regret: how much less the picked model scores than the best one. "
        f"The model with the largest UDR, ELBO or number of active latents is picked; for the other numbers, the one "
        f"with the smallest."
    )
    values = {"rows": [row._asdict() for row in table]}
    return one_table("Picking without labels", summary, grid, values, len(models) == planned)


def rows(models: Sequence[Model]) -> list[Row]:
    """Return a row for each data set and number, from the models that have it; none from fewer than three."""
    table = []
    for data, members in group_by(models, lambda model: model.data).items():
        for number, (_, sign) in NUMBERS.items():
            candidates = [
                model for model in members if number in model.numbers and LABELLED.keys() <= model.scores.keys()
            ]
            if len(candidates) < FEWEST:
                continue
            values = [sign * model.numbers[number] for model in candidates]
            pick = candidates[int(np.argmax(values))]
            correlation, regret = {}, {}
            for name in LABELLED:
                scores = [model.scores[name] for model in candidates]
                regret[name] = max(scores) - pick.scores[name]
                if min(len(set(values)), len(set(scores))) > 1:
                    correlation[name] = float(stats.spearmanr(values, scores).statistic)
            table.append(Row(data, number, len(candidates), correlation, regret))
    return table


TABLE = Evidence(NAME, lambda size: [board.study(size)], page, collect=collect, collected=_read)
