"""A published table: its protocol as a study, its rows and columns, and how figures are taken from our runs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from equipoise.study.published.record import Record

Draw = Callable[["Published", Mapping["Row", Sequence[Record]]], Figure]


@dataclass(frozen=True)
class Column:
    """A column: a score of a model, or a curve of its run's log over the last fraction of the steps."""

    title: str
    metric: str = ""  # the score; without a curve
    curve: str = ""  # the curve, whose mean is taken
    target: str = ""  # another curve; the figure is then the largest distance between the two
    last: float = 1.0  # fraction of the steps
    sign: int = 1  # -1 for the negative mean
    decimals: int = 2

    def figure(self, record: Record, step: int) -> float | None:
        """Return the figure of a model, which is a run at a step; None where the run lacks it."""
        if not self.curve:
            return record.scores[step].get(self.metric)
        values = record.recent(self.curve, step, round(self.last * step))
        if self.target:
            goals = record.recent(self.target, step, round(self.last * step))
            return max((abs(value - goal) for value, goal in zip(values, goals, strict=False)), default=None)
        return self.sign * fmean(values) if values else None


@dataclass(frozen=True, eq=False)
class Row:
    """A row: its label, the settings of its runs, and the paper's figures by column, empty where there are none."""

    label: str
    where: Mapping[str, object]
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A table or figure of a paper."""

    name: str  # name on the command line
    title: str  # title with the number of the table in the paper
    source: str
    claim: str
    study: Mapping[str, Mapping[str, Any]]  # contents of a study file, by data set
    quick: Mapping[str, object]  # settings of a shorter protocol, by dotted key
    budget: int  # images that a run of the protocol is trained on, steps times batch
    columns: Mapping[str, Column]  # by name
    rows: Mapping[str, Sequence[Row]]  # by data set
    reasons: str  # why our figures may differ
    selection: str | None = None  # column whose best value the paper chose its models by; None if it did not choose
    apart: Sequence[str] = ()  # settings by which the runs of a row are shown separately
    draw: Draw | None = None

    def runs(self, dataset: str, records: Sequence[Record]) -> dict[Row, list[Record]]:
        """Return the runs of each row."""
        return {
            row: [record for record in records if record.fits({"data.name": dataset, **row.where})]
            for row in self.rows[dataset]
        }

    def images_seen(self, runs: Iterable[Record]) -> str:
        """Return a text with the number of images that the runs have seen, and that of the protocol."""
        seen = sorted(run.steps[-1] * int(run.settings["train.batch"]) / 1e6 for run in runs)
        ends = dict.fromkeys(f"{millions:.2g}" for millions in (seen[0], seen[-1]))
        number = "1 run" if len(seen) == 1 else f"{len(seen)} runs"
        return f"{number} of {' to '.join(ends)} million images; the protocol has {self.budget / 1e6:.3g} million"
