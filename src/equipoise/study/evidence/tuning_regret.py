"""How far the methods that tune themselves are from a beta-VAE tuned by hand, as a table and a figure.

The reference is the front of beta-VAEs with eight fixed weights. A method is worse than one of its points by the lesser
of two shares: of the range of the log squared errors of these VAEs, and of the range of their scores. Its regret is the
largest of these over the front. At 0 and below, no beta-VAE is better in both.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from equipoise.study.compare import tables
from equipoise.study.evidence import board, no_collapse
from equipoise.study.evidence.board import DATA
from equipoise.study.evidence.front import SCORES, Point, Row, draw, front, is_reference
from equipoise.study.evidence.table import Evidence, Page, Size, read

NAME = "tuning-regret"
METHODS: tuple[Mapping[str, str], ...] = (
    *no_collapse.METHODS,
    {"name": "qlae"},
    {"name": "ada-gvae"},  # with weak labels
)
SEEDS = 3


class Cell(NamedTuple):
    """A run: its method, beta (NaN if learned), data and seed, its squared error per image and its scores."""

    method: str
    beta: float
    data: str
    seed: int
    sse: float
    scores: Mapping[str, float]

    @property
    def is_finished(self) -> bool:
        """Whether the run is finished."""
        return not math.isnan(self.sse)


def study(size: Size) -> dict[str, Any]:
    """Return the study of the table: those runs of the board that have a fixed weight, or tune themselves."""
    return board.study(size._replace(seeds=SEEDS if size.seeds is None else size.seeds), [*board.FIXED, *METHODS])


def cells(of_study: Mapping[str, Any], results: Path) -> list[Cell]:
    """Return the runs of a study, from the records in a folder of results."""
    runs = []
    for run in read(of_study, results):
        beta = float(getattr(run.config.method, "beta", math.nan)) if run.method == "beta-vae" else math.nan
        sse, *scores = (run.scores.get(metric, math.nan) for metric in ("sse", *SCORES))
        runs.append(
            Cell(run.method, beta, run.data, run.config.train.seed, sse, dict(zip(SCORES, scores, strict=True)))
        )
    return runs


# --- regret -----------------------------------------------------------------------------------------------------------


def regret(point: Point, reference: Sequence[Point]) -> float:
    """Return how far a point is from the front of the reference, as a share of the range of the reference's points.

    Args:
        point: squared error, above 0, and score of a method.
        reference: two or more points that differ in both.

    Returns:
        The maximum over the front of the lesser of two differences: in log squared error and in score, each divided
        by its range over the reference. At 0 and below, no point of the reference is better in both.

    Example:
        >>> from equipoise.study.evidence.front import Point
        >>> from equipoise.study.evidence.tuning_regret import regret
        >>> reference = [Point(10, 0.1), Point(100, 0.5)]
        >>> round(regret(Point(10, 0.3), reference), 3), round(regret(Point(200, 0.1), reference), 3)
        (-0.5, 0.301)
    """
    logs = [math.log(other.sse) for other in reference]
    errors = max(logs) - min(logs) or 1.0
    scores = max(other.score for other in reference) - min(other.score for other in reference) or 1.0
    return max(
        min((math.log(point.sse) - math.log(other.sse)) / errors, (other.score - point.score) / scores)
        for other in front(reference)
    )


def rows(runs: Sequence[Cell]) -> list[Row]:
    """Return a row for each data set and method or fixed weight, from the finished runs, sorted by data set."""
    groups: dict[tuple[str, str, float | None], list[Cell]] = {}
    for run in runs:
        if run.is_finished:
            groups.setdefault((run.data, run.method, None if math.isnan(run.beta) else run.beta), []).append(run)
    of_groups = []
    for (data, method, beta), same in groups.items():
        scores = {score: fmean(run.scores[score] for run in same) for score in SCORES}
        label = method if beta is None else f"{method} {beta:g}"
        of_groups.append(Row(label, data, len(same), fmean(run.sse for run in same), scores, {}))
    of_groups.sort(key=lambda row: DATA.index(row.data))
    return [row if is_reference(row) else row._replace(regret=_regrets(row, of_groups)) for row in of_groups]


def _regrets(row: Row, others: Sequence[Row]) -> dict[str, float]:
    """Return the regret of a row in each score, empty before there are two rows of the reference."""
    reference = [other for other in others if is_reference(other) and other.data == row.data]
    if len(reference) < 2:
        return {}
    return {score: regret(row.point(score), [other.point(score) for other in reference]) for score in SCORES}


# --- table and figure -------------------------------------------------------------------------------------------------


def grid(table: Sequence[Row]) -> list[list[str]]:
    """Return the table, with a heading."""
    heading = ["data", "method", "seeds", "SSE", *SCORES.values(), *(f"regret {name}" for name in SCORES.values())]
    body = [
        [
            *(row.data, row.method, str(row.seeds), f"{row.sse:.1f}"),
            *(f"{row.scores[score]:.3f}" for score in SCORES),
            *(f"{row.regret[score]:+.3f}" if score in row.regret else "-" for score in SCORES),
        ]
        for row in table
    ]
    return [heading, *body]


def summary(runs: Sequence[Cell]) -> str:
    """Return what the table has, how to read it, and which methods are on the front or beyond it."""
    finished = sum(run.is_finished for run in runs)
    by_method: dict[str, list[Row]] = {}
    for row in rows(runs):
        if row.regret:
            by_method.setdefault(row.method, []).append(row)
    beyond = [
        method
        for method, of_method in by_method.items()
        if {row.data for row in of_method} == set(DATA) and all(min(row.regret.values()) <= 0 for row in of_method)
    ]
    return (
        f"Means over seeds, by default the first {SEEDS} of the board; {finished} of {len(runs)} runs are finished. "
        "The regret of a method is positive if one of the beta-VAEs has both a smaller squared error and a larger "
        "score. Its size is the smaller of the two advantages, each as a share of the range of the beta-VAEs (the "
        "squared error as a logarithm), for the beta-VAE with the largest one. "
        f"On or beyond the front on both data sets, in MIG or DCI: {', '.join(beyond) or 'none'}."
    )


def page(results: Path, size: Size) -> Page:
    """Return the table from the records in a folder of results. It is complete when no run is missing."""
    return show(cells(study(size), results))


def show(runs: Sequence[Cell]) -> Page:
    """Return the page of these runs."""
    of_methods, sentence = rows(runs), summary(runs)
    figure = {"Squared error and scores of the methods, and the front of the beta-VAEs": draw(of_methods, DATA)}
    text = "\n".join([*tables.lines(grid(of_methods)), "", sentence])
    markdown = [sentence, "", *tables.markdown(grid(of_methods))]
    values = {"rows": [row._asdict() for row in of_methods]}
    return Page("Tuning regret", text, markdown, figure, values, all(run.is_finished for run in runs))


TABLE = Evidence(NAME, study, page)
