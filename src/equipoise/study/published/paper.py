"""What a published table is: its protocol as a study, its figures, and how a run of ours is read for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from equipoise.study.published.kept import Kept

Draw = Callable[["Published", Mapping["Row", Sequence[Kept]]], Figure]


@dataclass(frozen=True)
class Column:
    """A figure of a model, which is a run at a step. `of` gives None where the run does not have it."""

    title: str
    of: Callable[[Kept, int], float | None]
    decimals: int = 2


def score(metric: str, title: str = "", decimals: int = 2) -> Column:
    """The score of that step."""
    return Column(title or metric, lambda kept, step: kept.scores[step].get(metric), decimals)


def recent(curve: str, title: str, share: float, decimals: int = 2, sign: int = 1) -> Column:
    """The mean of a curve over the last part of the steps so far."""

    def mean(kept: Kept, step: int) -> float | None:
        rows = kept.recent(curve, step, round(share * step))
        return sign * fmean(rows) if rows else None

    return Column(title, mean, decimals)


@dataclass(frozen=True, eq=False)
class Row:
    """A line of the table: which runs are of it, and what the paper reports, by column; empty where it gives none."""

    label: str
    where: Mapping[str, object]
    paper: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """A table or figure of a paper, and how to get ours.

    study: the contents of a study file for a data set; quick: settings of a smaller budget in their place, dotted.
    budget: images that a run of the protocol sees, steps times batch. columns: by the name that `Row.paper` uses. rows:
    by data set. selection: the column whose best value the paper chose its models by, if it chose. apart: settings that
    keep runs of one row apart; what else differs (seeds apart) does so because the row is of all of them.
    claim, reasons: what the paper says, and why ours may differ.
    """

    name: str
    title: str
    source: str
    claim: str
    study: Callable[[str], dict[str, Any]]
    quick: Mapping[str, object]
    budget: int
    columns: Mapping[str, Column]
    rows: Mapping[str, Sequence[Row]]
    reasons: str
    selection: str | None = None
    apart: Sequence[str] = ()
    draw: Draw | None = None

    def runs(self, dataset: str, kept: Sequence[Kept]) -> dict[Row, list[Kept]]:
        """The runs of each row."""
        return {
            row: [each for each in kept if each.fits({"data.name": dataset, **row.where})] for row in self.rows[dataset]
        }

    def trained(self, runs: Iterable[Kept]) -> str:
        """How many images the runs have seen so far, of how many."""
        seen = sorted(each.steps[-1] * int(each.settings["train.batch"]) / 1e6 for each in runs)
        least, most = (f"{millions:.2g}" for millions in (seen[0], seen[-1]))
        each = most if least == most else f"{least} to {most}"
        number = "1 run" if len(seen) == 1 else f"{len(seen)} runs"
        return f"{number} of {each} million images; the protocol has {self.budget / 1e6:.3g} million"
