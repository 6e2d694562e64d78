"""How far the methods that tune themselves are from a beta-VAE tuned by hand, as a table and a figure.

The reference is the front of beta-VAEs with eight fixed weights. For each point of the front, two distances are
computed: in log squared error, as a share of its range over these VAEs, and in score, as a share of its range. The
smaller one counts. The regret is the largest of these over the front. At 0 and below, no beta-VAE is better in both.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from equipoise.study.evidence import board, no_collapse
from equipoise.study.evidence.board import DATA
from equipoise.study.evidence.front import SCORES, Point, Row, draw, front, is_reference
from equipoise.study.evidence.table import Evidence, Page, Size, StudyRun, one_table, read
from equipoise.study.grouping import group_by

NAME = "tuning-regret"
METHODS: tuple[Mapping[str, str], ...] = (
    *no_collapse.METHODS,
    {"name": "qlae"},
    {"name": "ada-gvae"},  # with weak labels
)
SEEDS = 3


def study(size: Size) -> dict[str, Any]:
    """Return the study of the table: those runs of the board that have a fixed weight, or tune themselves."""
    return board.study(size._replace(seeds=SEEDS if size.seeds is None else size.seeds), [*board.FIXED, *METHODS])


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
    scores = [other.score for other in reference]
    error_range = max(logs) - min(logs) or 1.0
    score_range = max(scores) - min(scores) or 1.0
    return max(
        min((math.log(point.sse) - math.log(other.sse)) / error_range, (other.score - point.score) / score_range)
        for other in front(reference)
    )


def rows(runs: Sequence[StudyRun]) -> list[Row]:
    """Return a row for each data set and method or fixed weight, from the finished runs, sorted by data set."""
    means = sorted(board.means(board.finished_results(runs)), key=lambda row: DATA.index(row.data))
    return [row if is_reference(row) else row._replace(regret=_regrets(row, means)) for row in means]


def _regrets(row: Row, others: Sequence[Row]) -> dict[str, float]:
    """Return the regret of a row in each score, empty before there are two rows of the reference."""
    reference = [other for other in others if is_reference(other) and other.data == row.data]
    if len(reference) < 2:
        return {}
    return {score: regret(row.point(score), [other.point(score) for other in reference]) for score in SCORES}


# --- table and figure -------------------------------------------------------------------------------------------------


def show(runs: Sequence[StudyRun]) -> Page:
    """Return the page of these runs. It is complete when no run is missing."""
    means = rows(runs)
    grid = [["data", "method", "seeds", "SSE", *SCORES.values(), *(f"regret {name}" for name in SCORES.values())]]
    for row in means:
        scores = [f"{row.scores[score]:.3f}" for score in SCORES]
        regrets = [f"{row.regret[score]:+.3f}" if score in row.regret else "-" for score in SCORES]
        grid.append([row.data, row.method, str(row.seeds), f"{row.sse:.1f}", *scores, *regrets])
    finished = sum(run.record is not None for run in runs)
    methods = group_by((row for row in means if row.regret), lambda row: row.method)
    best = [
        method
        for method, members in methods.items()
        if {row.data for row in members} == set(DATA) and all(min(row.regret.values()) <= 0 for row in members)
    ]
    summary = (
        f"Means over seeds, by default the first {SEEDS} of the board; {finished} of {len(runs)} runs are finished. "
        "The regret of a method is positive if one of the beta-VAEs has both a smaller squared error and a larger "
        "score. Its size is the smaller of the two advantages, each as a share of the range of the beta-VAEs (the "
        "squared error as a logarithm), for the beta-VAE with the largest one. "
        f"On or beyond the front on both data sets, in MIG or DCI: {', '.join(best) or 'none'}."
    )
    figure = {"Squared error and scores of the methods, and the front of the beta-VAEs": draw(means, DATA)}
    values = {"rows": [row._asdict() for row in means]}
    return one_table("Tuning regret", summary, grid, values, finished == len(runs), figure)


TABLE = Evidence(NAME, lambda size: [study(size)], lambda results, size: show(read(study(size), results)))
