"""The runs of a study compared: `equipoise compare`, a table, a page and files for a paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from equipoise import study
from equipoise.errors import InputError, nearest
from equipoise.files import replacing
from equipoise.outcome import Outcome
from equipoise.report.page import HEADLINE
from equipoise.study import page, statistics, tables
from equipoise.study.results import Group, Result, by_data, groups, measured, results, rows, sign
from equipoise.study.statistics import Estimate, Ranks
from equipoise.study.status import State, Watch

RIVALS = 8  # that are compared pair by pair; of more, the best setting of each method


@dataclass(frozen=True)
class Pair:
    """How probably a run of `ours` is better than a run of `theirs`."""

    ours: str
    theirs: str
    estimate: Estimate


@dataclass(frozen=True)
class Block:
    """What is compared with each other: the groups of one data set, or of several those that are in all."""

    title: str
    sets: int
    groups: tuple[Group, ...]
    metrics: tuple[str, ...]
    """Those shown, the squared error first."""

    def best(self, metric: str) -> set[str]:
        """The labels of the best means, more than one if they are equal; none where nothing is better or worse."""
        means = {group.label: each.value for group in self.groups if (each := group.estimate(metric))}
        if not sign(metric) or len(means) < 2:
            return set()
        top = max(sign(metric) * value for value in means.values())
        return {label for label, value in means.items() if sign(metric) * value == top}

    def rivals(self, metric: str) -> list[Group]:
        """Groups that have the metric, the best mean first; of more than eight, the best setting of each method."""
        scored = [(each.value, group) for group in self.groups if (each := group.estimate(metric))]
        ordered = [group for _, group in sorted(scored, key=lambda pair: -sign(metric) * pair[0])]
        if len(ordered) > RIVALS:
            first = {group.method: group for group in reversed(ordered)}
            ordered = [group for group in ordered if first[group.method] is group]
        return ordered

    def improvement(self, metric: str) -> list[Pair]:
        """The probability of improvement of each rival over each that comes after it."""
        return [
            Pair(ours.label, theirs.label, statistics.improvement(_signed(ours, metric), _signed(theirs, metric)))
            for ours, theirs in combinations(self.rivals(metric), 2)
            if sign(metric) and len(ours.sample(metric)) == len(theirs.sample(metric))
        ]

    def ranks(self, metric: str) -> tuple[list[str], Ranks] | None:
        """Labels and their ranks over the data sets; None with a single one, or where nothing is better or worse."""
        scored = [group for group in self.groups if len(group.sample(metric)) == self.sets]
        if self.sets < 2 or len(scored) < 2 or not sign(metric):
            return None
        means = [[float(scores.mean()) for scores in _signed(group, metric)] for group in scored]
        return [group.label for group in scored], statistics.ranks(np.array(means).T)


@dataclass(frozen=True)
class Comparison:
    """A study as far as it is done."""

    folder: Path
    results: tuple[Result, ...]
    blocks: tuple[Block, ...]
    """One a data set, and, of several, one of what is in all of them."""
    left: tuple[State, ...]
    """What failed or is not finished."""

    @property
    def notes(self) -> list[str]:
        """What has to be known before the figures are believed."""
        said = []
        total = len(self.results) + len(self.left)
        failed = sum(state.stage == "failed" for state in self.left)
        if self.left:
            said.append(
                f"{len(self.results)} of {total} runs are finished, {failed} failed, {len(self.left) - failed} are still "
                "to be done; only finished ones are counted."
            )
        conventions = sorted({result.convention for result in self.results})
        if len(conventions) > 1:
            said.append(f"Runs were scored by different conventions ({', '.join(conventions)}): not to be compared.")
        seeds = min(len(group.results) for block in self.blocks for group in block.groups)
        if seeds < 5:
            said.append(
                f"{'A single seed' if seeds == 1 else f'{seeds} seeds'} of some settings: that says little; intervals of "
                "fewer than ten seeds are too narrow."
            )
        return said


def compare(folder: Path, metric: Sequence[str] = (), to: Path | None = None) -> Outcome:
    """Compare the finished runs of the study in `folder`: a table, `compare.html`, `compare.csv` and pictures.

    metric: those to show, or "all"; by default the six that reports are headed by, as far as they were scored.
    to: a .csv, .parquet or .tex for the table: a row for each group and metric, or a table of LaTeX.
    """
    if to is not None:
        tables.check(to)
    found = comparison(folder, metric)
    files = {folder / "compare.csv": tables.csv_of(rows(found.results)), **page.files(found)}
    if to is not None:
        files[to] = tables.contents(to, found)
    for path, content in files.items():
        with replacing(path) as file:
            file.write(content)
    wrote = [str(path) for path in files]
    said = [
        tables.text(found),
        f"wrote {', '.join(wrote[:1] + wrote[2:])}; open {folder / 'compare.html'}",
    ]
    return Outcome({**tables.values(found), "wrote": wrote}, "\n".join(said))


def comparison(folder: Path, metric: Sequence[str] = ()) -> Comparison:
    """What `compare` tells of a study. Raises `InputError` when it has no finished run, or none with a metric."""
    plan = study.open_study(folder)
    found = results(plan)
    shown = _shown(found, metric)
    sets = {data: groups(of_set) for data, of_set in by_data(found).items()}
    blocks = [Block(data, 1, tuple(members), shown) for data, members in sets.items()]
    everywhere = set.intersection(*({group.label for group in members} for members in sets.values()))
    if len(sets) > 1 and everywhere:
        members = tuple(group for group in groups(found) if group.label in everywhere)
        blocks.append(Block(f"all {len(sets)} data sets", len(sets), members, shown))
    done = {result.run for result in found}
    left = tuple(state for state in Watch(plan)() if state.run not in done)
    return Comparison(folder, tuple(found), tuple(blocks), left)


def _shown(found: Sequence[Result], asked: Sequence[str]) -> tuple[str, ...]:
    known = measured(found)
    for name in asked:
        if name not in (*known, "all"):
            raise InputError(f"no run was scored with {name}; {nearest(name, known)}")
    chosen = known if "all" in asked else asked or [name for name in HEADLINE if name in known] or known
    return ("sse", *(name for name in dict.fromkeys(chosen) if name != "sse"))


def _signed(group: Group, metric: str) -> list[statistics.Floats]:
    """The scores turned so that higher is better."""
    return [sign(metric) * scores for scores in group.sample(metric)]
