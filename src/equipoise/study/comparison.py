"""What is compared with what: the groups of a data set, their averages, who is better how surely."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from equipoise import study
from equipoise.errors import InputError, nearest
from equipoise.metrics import METRICS, headline
from equipoise.study import statistics
from equipoise.study.results import Group, Result, by_data, groups, measured, results
from equipoise.study.statistics import Estimate, Ranks
from equipoise.study.status import State, Watch

FEW = 5  # seeds, below which more are asked for
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

    @property
    def averaged(self) -> tuple[str, ...]:
        """Of them those with a mean: over several data sets no errors, which are of other sizes on other data."""
        return tuple(metric for metric in self.metrics if self.sets == 1 or METRICS[metric].is_normalised)

    def best(self, metric: str) -> set[str]:
        """The labels of the best means, more than one if they are equal; none where nothing is better or worse."""
        means = {group.label: each.value for group in self.groups if (each := group.estimate(metric))}
        if not METRICS[metric].better or len(means) < 2:
            return set()
        top = max(METRICS[metric].better * value for value in means.values())
        return {label for label, value in means.items() if METRICS[metric].better * value == top}

    def rivals(self, metric: str) -> list[Group]:
        """Groups that have the metric, the best mean rank first; of more than eight, the best of each method."""
        signed = [(group, _signed(group, metric)) for group in self.groups]
        ranked: dict[str, list[float]] = {}
        for data in dict.fromkeys(data for _, scores in signed for data in scores):
            there = [(group.label, scores[data].mean()) for group, scores in signed if data in scores]
            for (label, _), rank in zip(there, rankdata([-mean for _, mean in there]), strict=True):
                ranked.setdefault(label, []).append(rank)
        scored = [group for group, scores in signed if scores]
        ordered = sorted(scored, key=lambda group: float(np.mean(ranked[group.label])))
        if len(ordered) > RIVALS:
            first = {group.method: group for group in reversed(ordered)}
            ordered = [group for group in ordered if first[group.method] is group]
        return ordered

    def improvement(self, metric: str) -> list[Pair]:
        """The probability of improvement of each rival over each that comes after it."""
        if not METRICS[metric].better:
            return []
        pairs = []
        for a, b in combinations(self.rivals(metric), 2):
            ours, theirs = _signed(a, metric), _signed(b, metric)
            if ours.keys() == theirs.keys():
                found = statistics.improvement(list(ours.values()), [theirs[data] for data in ours])
                pairs.append(Pair(a.label, b.label, found))
        return pairs

    def ranks(self, metric: str) -> tuple[list[str], Ranks] | None:
        """Labels and their ranks over the data sets; None with a single one, or where nothing is better or worse."""
        scored = {group.label: _signed(group, metric) for group in self.groups}
        scored = {label: scores for label, scores in scored.items() if len(scores) == self.sets}
        if self.sets < 2 or len(scored) < 2 or not METRICS[metric].better:
            return None
        means = [[scores[data].mean() for scores in scored.values()] for data in next(iter(scored.values()))]
        return list(scored), statistics.ranks(np.array(means))


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
            why = [f"{failed} failed"] * (failed > 0)
            why += [f"{len(self.left) - failed} still to be done"] * (failed < len(self.left))
            said.append(
                f"{len(self.results)} of {total} runs are finished, {', '.join(why)}; only finished ones are counted."
            )
        conventions = sorted({result.convention for result in self.results})
        if len(conventions) > 1:
            said.append(f"Runs were scored by different conventions ({', '.join(conventions)}): not to be compared.")
        for data, of_set in by_data(self.results).items():
            if len({result.digest for result in of_set}) > 1:
                said.append(f"The images of {data} changed between runs: those before and after are not comparable.")
        seeds = min(len(group.results) for block in self.blocks for group in block.groups)
        if seeds < FEW:
            few = "a single seed, which has no interval" if seeds == 1 else f"{seeds} seeds"
            said.append(f"There are settings with {few}; intervals of fewer than ten seeds are too narrow.")
        return said


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
    left = tuple(state for state in Watch(plan)() if state.run not in done and state.stage != "done")
    return Comparison(folder, tuple(found), tuple(blocks), left)


def _shown(found: Sequence[Result], asked: Sequence[str]) -> tuple[str, ...]:
    known = measured(found)
    for name in asked:
        if name not in (*known, "all"):
            raise InputError(f"no run was scored with {name}; {nearest(name, known)}")
    chosen = known if "all" in asked else asked or [name for name in headline() if name in known] or known
    return ("sse", *(name for name in dict.fromkeys(chosen) if name != "sse"))


def _signed(group: Group, metric: str) -> dict[str, statistics.Floats]:
    """The scores by data set, turned so that higher is better."""
    return {data: METRICS[metric].better * scores for data, scores in group.scores(metric).items()}
