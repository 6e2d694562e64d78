"""The comparison of a study: groups of each data set, their averages, ranks and probabilities of improvement."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from equipoise.errors import InputError, nearest
from equipoise.metrics import METRICS, headline
from equipoise.study.compare import statistics
from equipoise.study.compare.results import Group, Result, by_data, groups, scored_metrics
from equipoise.study.compare.statistics import Estimate, Ranks
from equipoise.study.run.status import State

FEW = 5  # with fewer seeds a note recommends more
RIVALS = 8  # groups compared pair by pair; of more groups, the best setting of each method
MOST = 200  # settings in a table to read
LEADING = 25  # of more settings, those that have one of these ranks in a metric


@dataclass(frozen=True)
class Pair:
    """The probability that a run of `ours` is better than a run of `theirs`, from `pairs` pairs of seeds.

    Ours is better in `wins` of them, ties counting half.
    """

    ours: str
    theirs: str
    estimate: Estimate
    wins: float
    pairs: int


@dataclass(frozen=True)
class Block:
    """Groups that are compared with each other: those of one data set, or those that all of several have."""

    title: str  # name of the data set, or how many there are
    sets: int
    groups: tuple[Group, ...]
    metrics: tuple[str, ...]  # metrics to show, the squared error first
    _best: dict[str, set[str]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _improvement: dict[str, list[Pair]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def averaged(self) -> tuple[str, ...]:
        """Metrics with a mean. Over several data sets, errors have none: their size depends on the images."""
        return tuple(metric for metric in self.metrics if self.sets == 1 or METRICS[metric].is_normalised)

    def scored(self, metric: str) -> list[Group]:
        """Return the listed groups with a mean of the metric."""
        return [group for group in self.listed if metric in self.averaged and group.estimate(metric)]

    @property
    def compared(self) -> list[Group]:
        """The groups that can be better than others: not those of which all runs collapsed."""
        return [group for group in self.groups if not group.is_collapsed]

    @cached_property
    def listed(self) -> tuple[Group, ...]:
        """The groups of a table to read: all, or of more than 200 those among the best 25 of any metric."""
        if len(self.groups) <= MOST:
            return self.groups
        leading: set[str] = set()
        for metric in self.averaged:
            means = {group.label: each.value for group in self.compared if (each := group.estimate(metric))}
            if METRICS[metric].better:
                order = sorted(means, key=lambda label: -METRICS[metric].better * means[label])
                leading.update(order[:LEADING])
        return tuple(group for group in self.groups if group.label in leading)[:MOST] or self.groups[:MOST]

    def best(self, metric: str) -> set[str]:
        """Return the labels of the best means; several if equal, none where neither direction is better."""
        if metric not in self._best:
            self._best[metric] = self._best_of(metric)
        return self._best[metric]

    def _best_of(self, metric: str) -> set[str]:
        means = {group.label: each.value for group in self.compared if (each := group.estimate(metric))}
        if not METRICS[metric].better or len(means) < 2:
            return set()
        top = max(METRICS[metric].better * value for value in means.values())
        return {label for label, value in means.items() if METRICS[metric].better * value == top}

    def is_reduced(self, metric: str) -> bool:
        """Whether the rivals are the best groups of each method, not all groups with the metric."""
        return sum(bool(_signed(group, metric)) for group in self.compared) > RIVALS

    def rivals(self, metric: str) -> list[Group]:
        """Return groups that have the metric, by mean rank; of more than eight, the best of each method."""
        signed = [(group, _signed(group, metric)) for group in self.compared]
        ranks: dict[str, list[float]] = {}
        for data in dict.fromkeys(data for _, scores in signed for data in scores):
            means = [(group.label, scores[data].mean()) for group, scores in signed if data in scores]
            for (label, _), rank in zip(means, rankdata([-mean for _, mean in means]), strict=True):
                ranks.setdefault(label, []).append(rank)
        scored = [group for group, scores in signed if scores]
        ordered = sorted(scored, key=lambda group: float(np.mean(ranks[group.label])))
        if len(ordered) > RIVALS:
            first = {group.method: group for group in reversed(ordered)}
            ordered = [group for group in ordered if first[group.method] is group]
        return ordered

    def improvement(self, metric: str) -> list[Pair]:
        """Return the probability of improvement of each rival over each that follows it."""
        if metric not in self._improvement:
            self._improvement[metric] = self._improvement_of(metric)
        return self._improvement[metric]

    def _improvement_of(self, metric: str) -> list[Pair]:
        if not METRICS[metric].better:
            return []
        pairs = []
        for a, b in combinations(self.rivals(metric), 2):
            ours, theirs = _signed(a, metric), _signed(b, metric)
            if ours.keys() == theirs.keys():
                samples = list(ours.values()), [theirs[data] for data in ours]
                count = sum(len(ours[data]) * len(theirs[data]) for data in ours)
                estimate, wins = statistics.improvement(*samples), statistics.wins(*samples)
                pairs.append(Pair(a.label, b.label, estimate, wins, count))
        return pairs

    def chances(self, metric: str) -> dict[str, dict[str, Pair]]:
        """Return the probability that a run of the first label is better than one of the second, for all rivals."""
        chances: dict[str, dict[str, Pair]] = {}
        for pair in self.improvement(metric):
            value, low, high = pair.estimate
            chances.setdefault(pair.ours, {})[pair.theirs] = pair
            opposite = Estimate(1 - value, 1 - high, 1 - low)
            reverse = Pair(pair.theirs, pair.ours, opposite, pair.pairs - pair.wins, pair.pairs)
            chances.setdefault(pair.theirs, {})[pair.ours] = reverse
        return chances

    def ranks(self, metric: str) -> tuple[list[str], Ranks] | None:
        """Return labels and ranks over data sets; None with one data set or where neither direction is better."""
        scored = {group.label: _signed(group, metric) for group in self.compared}
        scored = {label: scores for label, scores in scored.items() if len(scores) == self.sets}
        if self.sets < 2 or len(scored) < 2 or not METRICS[metric].better:
            return None
        means = [[scores[data].mean() for scores in scored.values()] for data in next(iter(scored.values()))]
        return list(scored), statistics.ranks(np.array(means))


@dataclass(frozen=True)
class Comparison:
    """The comparison of the finished runs of a study."""

    folder: Path
    results: tuple[Result, ...]
    blocks: tuple[Block, ...]  # one per data set, and with several one for the groups that all of them have
    unfinished: tuple[State, ...]  # the states of runs that failed or are not finished

    @property
    def notes(self) -> list[str]:
        """Warnings about the figures."""
        notes = _collapsed(self.results)
        total = len(self.results) + len(self.unfinished)
        failed = sum(state.stage == "failed" for state in self.unfinished)
        if self.unfinished:
            others = [f"{failed} failed"] * (failed > 0)
            others += [f"{len(self.unfinished) - failed} not finished"] * (failed < len(self.unfinished))
            notes.append(
                f"{len(self.results)} of {total} runs are finished, {', '.join(others)}; only these are counted."
            )
        conventions = sorted({result.convention for result in self.results})
        if len(conventions) > 1:
            notes.append(
                f"Runs were scored by different conventions ({', '.join(conventions)}), so scores are not comparable."
            )
        for data, of_set in by_data(self.results).items():
            if len({result.digest for result in of_set}) > 1:
                notes.append(f"The images of {data} changed between runs, so scores are not comparable.")
        seeds = min(len(group.results) for block in self.blocks for group in block.groups)
        if seeds < FEW:
            few = "a single seed, which has no interval" if seeds == 1 else f"{seeds} seeds"
            notes.append(f"There are settings with {few}; intervals of fewer than ten seeds are too narrow.")
        return notes


def _collapsed(results: Sequence[Result]) -> list[str]:
    """Return a note if runs collapsed, or none."""
    count = sum("collapsed" in result.flags for result in results)
    if count == len(results):
        return [
            f"All {count} runs collapsed: no latent is active, so their scores are noise and none is better than "
            "another. Lower the weight of the KL, or train longer."
        ]
    if count:
        return [f"{count} of {len(results)} runs collapsed; a setting all of whose runs collapsed is not compared."]
    return []


def compare_results(
    folder: Path, results: Sequence[Result], unfinished: Sequence[State], metrics: Sequence[str] = ()
) -> Comparison:
    """Return the comparison of the finished runs of the study in `folder`.

    metrics: those to show, or "all"; default: the headline metrics. Raises `InputError` for one that no run has.
    """
    names = _metrics_to_show(results, metrics)
    sets = {data: groups(of_set) for data, of_set in by_data(results).items()}
    blocks = [Block(data, 1, tuple(members), names) for data, members in sets.items()]
    everywhere = set.intersection(*({group.label for group in members} for members in sets.values()))
    if len(sets) > 1 and everywhere:
        members = tuple(group for group in groups(results) if group.label in everywhere)
        blocks.append(Block(f"all {len(sets)} data sets", len(sets), members, names))
    return Comparison(folder, tuple(results), tuple(blocks), tuple(unfinished))


def _metrics_to_show(results: Sequence[Result], names: Sequence[str]) -> tuple[str, ...]:
    known = scored_metrics(results)
    for name in names:
        if name not in (*known, "all"):
            raise InputError(f"no run was scored with {name}; {nearest(name, known)}")
    chosen = known if "all" in names else names or [name for name in headline() if name in known] or known
    return ("sse", *(name for name in dict.fromkeys(chosen) if name != "sse"))


def _signed(group: Group, metric: str) -> dict[str, statistics.Floats]:
    """Return the scores by data set, with the sign for which higher is better."""
    return {data: METRICS[metric].better * scores for data, scores in group.scores(metric).items()}
