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

import tomli_w
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from equipoise import runs
from equipoise.files import replacing, write_text
from equipoise.report.figures.style import CYCLE, INK, MUTED, label_axes
from equipoise.study import no_collapse
from equipoise.study.compare import tables
from equipoise.study.folder import FILE
from equipoise.study.plan import Plan, plan
from equipoise.study.run.status import Watch
from equipoise.study.run.sweep import sweep

NAME = "tuning-regret"
FOLDER = Path("studies") / NAME
BETAS = tuple(0.25 * 2**k for k in range(8))
METHODS: tuple[Mapping[str, str], ...] = ({"name": "aligned-vae"}, *no_collapse.METHODS)
DATA = ("dsprites", "rooms3d")
SCORES = {"mig": "MIG", "dci_hist_disentanglement": "DCI"}
STEPS, SEEDS = 3000, 3
TRAINING = {"batch": 64, "optimizer": "muon", "lr": 2e-3, "start_at_mean": True}  # of all methods
MARKS = ("s", "^", "D", "v", "P", "X", "h", "<", ">", "p", "*")


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


class Point(NamedTuple):
    """The mean over seeds of squared error per image and of a score."""

    sse: float
    score: float


class Row(NamedTuple):
    """A method on a data set: the means over its seeds and, except for a beta-VAE, the regret of each score."""

    method: str
    data: str
    seeds: int
    sse: float
    scores: Mapping[str, float]
    regret: Mapping[str, float]

    def point(self, score: str) -> Point:
        """Return its squared error and this score."""
        return Point(self.sse, self.scores[score])


def contents(folder: Path = FOLDER, steps: int = STEPS, seeds: int = SEEDS) -> dict[str, Any]:
    """Return the study of all runs: methods and fixed weights with the same net, images, steps and seeds."""
    return {
        "out": str(folder),
        "seeds": seeds,
        "data": {"name": list(DATA), "size": 32},
        "method": [*({"name": "beta-vae", "beta": beta} for beta in BETAS), *map(dict, METHODS)],
        "net": {"name": "small"},
        "train": {"steps": steps, **TRAINING},
        "evaluate": {"which": ["sse", *SCORES], "n": 10_000},
    }


def train(of_study: Mapping[str, Any], workers: int | None, progress: bool) -> None:
    """Train the runs that are not finished."""
    file = Path(of_study["out"]) / FILE
    write_text(file, tomli_w.dumps(of_study))
    sweep(file, workers=workers, progress=progress)


def read(of_study: Mapping[str, Any]) -> list[Cell]:
    """Return the runs of the study of these contents, finished or not."""
    return cells(plan(of_study))


def cells(of_study: Plan) -> list[Cell]:
    """Return the runs of a study, finished or not."""
    finished = {state.run for state in Watch(of_study)() if state.stage == "done"}
    listed = []
    for name, config in of_study.runs.items():
        scores = dict.fromkeys(("sse", *SCORES), math.nan)
        if name in finished:
            values = runs.open_run(config.out).scores
            scores = {score: values[score].value for score in scores}
        method = config.method.name + (f" {config.preset}" if config.preset else "")
        beta = float(getattr(config.method, "beta", math.nan)) if method == "beta-vae" else math.nan
        sse = scores.pop("sse")
        listed.append(Cell(method, beta, config.data.name, config.train.seed, sse, scores))
    return listed


# --- regret -----------------------------------------------------------------------------------------------------------


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one equals or exceeds in score with a lower squared error, by squared error.

    Example:
        >>> from equipoise.study.tuning_regret import Point, front
        >>> front([Point(10, 0.1), Point(20, 0.3), Point(30, 0.2)])
        [Point(sse=10, score=0.1), Point(sse=20, score=0.3)]
    """
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.sse, -point.score)):
        if not best or point.score > best[-1].score:
            best.append(point)
    return best


def regret(point: Point, reference: Sequence[Point]) -> float:
    """Return how far a point is from the front of the reference, as a share of the range of the reference's points.

    Args:
        point: squared error, above 0, and score of a method.
        reference: two or more points that differ in both.

    Returns:
        The maximum over the front of the lesser of two differences: in log squared error and in score, each divided
        by its range over the reference. At 0 and below, no point of the reference is better in both.

    Example:
        >>> from equipoise.study.tuning_regret import Point, regret
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


def rows(listed: Sequence[Cell]) -> list[Row]:
    """Return a row for each data set and method or fixed weight, from the finished runs, sorted by data set."""
    groups: dict[tuple[str, str, float | None], list[Cell]] = {}
    for cell in listed:
        if cell.is_finished:
            groups.setdefault((cell.data, cell.method, None if math.isnan(cell.beta) else cell.beta), []).append(cell)
    of_groups = []
    for (data, method, beta), same in groups.items():
        scores = {score: fmean(cell.scores[score] for cell in same) for score in SCORES}
        label = method if beta is None else f"{method} {beta:g}"
        of_groups.append(Row(label, data, len(same), fmean(cell.sse for cell in same), scores, {}))
    of_groups.sort(key=lambda row: DATA.index(row.data))
    return [row if is_reference(row) else row._replace(regret=_regrets(row, of_groups)) for row in of_groups]


def is_reference(row: Row) -> bool:
    """Whether a row is a beta-VAE with a fixed weight."""
    return row.method.startswith("beta-vae")


def _regrets(row: Row, listed: Sequence[Row]) -> dict[str, float]:
    """Return the regret of a row in each score, empty before there are two rows of the reference."""
    reference = [other for other in listed if is_reference(other) and other.data == row.data]
    if len(reference) < 2:
        return {}
    return {score: regret(row.point(score), [other.point(score) for other in reference]) for score in SCORES}


# --- table and figure -------------------------------------------------------------------------------------------------


def grid(listed: Sequence[Row]) -> list[list[str]]:
    """Return the table, with a heading."""
    heading = ["data", "method", "seeds", "SSE", *SCORES.values(), *(f"regret {name}" for name in SCORES.values())]
    body = [
        [
            *(row.data, row.method, str(row.seeds), f"{row.sse:.1f}"),
            *(f"{row.scores[score]:.3f}" for score in SCORES),
            *(f"{row.regret[score]:+.3f}" if score in row.regret else "-" for score in SCORES),
        ]
        for row in listed
    ]
    return [heading, *body]


def summary(listed: Sequence[Cell]) -> str:
    """Return what the table has, how to read it, and which methods are on the front or beyond it."""
    finished = sum(cell.is_finished for cell in listed)
    by_method: dict[str, list[Row]] = {}
    for row in rows(listed):
        if row.regret:
            by_method.setdefault(row.method, []).append(row)
    beyond = [
        method
        for method, of_method in by_method.items()
        if {row.data for row in of_method} == set(DATA) and all(min(row.regret.values()) <= 0 for row in of_method)
    ]
    return (
        f"Means over seeds; {finished} of {len(listed)} runs are finished. Regret: distance to the front of the "
        "beta-VAEs, as a share of their range; at 0 and below, none of them is better in both squared error and score. "
        f"On or beyond the front on both data sets, in MIG or DCI: {', '.join(beyond) or 'none'}."
    )


def text(listed: Sequence[Cell]) -> str:
    """Return the table for the terminal."""
    return "\n".join([*tables.lines(grid(rows(listed))), "", summary(listed)])


def write(path: Path, listed: Sequence[Cell]) -> list[Path]:
    """Write the table as a Markdown page with its figure beside it, and return both paths."""
    picture = path.with_suffix(".svg")
    table = tables.markdown(grid(rows(listed)))
    alternative = f"![Squared error and scores of the methods, and the front of the beta-VAEs]({picture.name})"
    with replacing(picture) as stream:
        draw(rows(listed)).savefig(stream, format="svg")
    write_text(path, "\n".join(["# Tuning regret", "", summary(listed), "", alternative, "", *table, ""]))
    return [path, picture]


def draw(listed: Sequence[Row]) -> Figure:
    """Draw each score against the squared error, for each data set: fixed weights as circles, with their front."""
    figure = Figure(figsize=(9, 7), layout="constrained", facecolor="white")
    panels = figure.subplots(len(SCORES), len(DATA), squeeze=False)
    methods = list(dict.fromkeys(row.method for row in listed if not is_reference(row)))
    for across, data in enumerate(DATA):
        for down, (score, title) in enumerate(SCORES.items()):
            of_data = [row for row in listed if row.data == data]
            _panel(panels[down][across], of_data, score, methods)
            label_axes(panels[down][across], f"{title}, {data}", "squared error per image", title)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _panel(axes: Axes, listed: Sequence[Row], score: str, methods: Sequence[str]) -> None:
    """Draw the points of a data set and a score."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    fixed = {row.method.split()[-1]: row.point(score) for row in listed if is_reference(row)}
    best = front(list(fixed.values()))
    steps = [point.sse for point in best], [point.score for point in best]
    axes.step(*steps, where="post", color=MUTED, lw=1, label="beta-vae, 8 weights")
    for beta, place in fixed.items():
        axes.plot(*place, "o", color=MUTED, ms=5)
        axes.annotate(beta, place, (3, 3), textcoords="offset points", size=6, color=INK)
    for row in listed:
        if row.method in methods:
            number = methods.index(row.method)
            colour, mark = CYCLE[number % len(CYCLE)], MARKS[number % len(MARKS)]
            axes.plot(*row.point(score), mark, color=colour, ms=7, label=row.method)
