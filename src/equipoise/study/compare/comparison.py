"""The comparison of a study: groups of each data set, their averages, ranks and probabilities of improvement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
from equipoise.study.grouping import group_by
from equipoise.study.run.status import State

FEW = 5  # with fewer seeds a note recommends more
RIVALS = 8  # groups compared pair by pair; of more groups, the best setting of each method
MOST = 200  # settings in a table to read
PIXELS = {"data.size", "data.crop", "data.grey", "data.range"}  # settings that change images, and not which there are
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

    @property
    def mean_metrics(self) -> tuple[str, ...]:
        """Metrics with a mean. Over several data sets, errors have none: their size depends on the images."""
        return tuple(metric for metric in self.metrics if self.sets == 1 or METRICS[metric].is_normalised)

    def groups_with(self, metric: str) -> list[Group]:
        """Return the groups of the tables with a mean of the metric."""
        return [group for group in self.table_groups if metric in self.mean_metrics and group.estimate(metric)]

    @property
    def comparable(self) -> list[Group]:
        """The groups that can be better than others: not those of which all runs collapsed."""
        return [group for group in self.groups if not group.is_collapsed]

    @cached_property
    def table_groups(self) -> tuple[Group, ...]:
        """The groups of a table to read: all, or of more than 200 those among the best 25 of any metric."""
        if len(self.groups) <= MOST:
            return self.groups
        labels: set[str] = set()
        for metric in self.mean_metrics:
            means = self._signed_means(metric)
            labels.update(sorted(means, key=lambda label: -means[label])[:LEADING])
        return tuple(group for group in self.groups if group.label in labels)[:MOST] or self.groups[:MOST]

    @cached_property
    def best(self) -> dict[str, set[str]]:
        """The labels of the best means, by metric: several if equal, none where neither direction is better."""
        best = {}
        for metric in self.metrics:
            means = self._signed_means(metric)
            top = max(means.values(), default=math.nan)
            best[metric] = {label for label, mean in means.items() if mean == top} if len(means) > 1 else set()
        return best

    def _signed_means(self, metric: str) -> dict[str, float]:
        """Return the means by label, with the sign for which higher is better; none where neither is better."""
        better = METRICS[metric].better
        means = {group.label: mean for group in self.comparable if better and (mean := group.estimate(metric))}
        return {label: better * mean.value for label, mean in means.items()}

    def is_reduced(self, metric: str) -> bool:
        """Whether the rivals are the best groups of each method, not all groups with the metric."""
        return sum(bool(_signed_scores(group, metric)) for group in self.comparable) > RIVALS

    def rivals(self, metric: str) -> list[Group]:
        """Return groups that have the metric, by mean rank; of more than eight, the best of each method."""
        samples = [(group, scores) for group in self.comparable if (scores := _signed_scores(group, metric))]
        ranks: dict[str, list[float]] = {group.label: [] for group, _ in samples}
        for data in dict.fromkeys(data for _, scores in samples for data in scores):
            means = {group.label: scores[data].mean() for group, scores in samples if data in scores}
            for label, rank in zip(means, rankdata([-mean for mean in means.values()]), strict=True):
                ranks[label].append(rank)
        rivals = sorted((group for group, _ in samples), key=lambda group: float(np.mean(ranks[group.label])))
        if len(rivals) > RIVALS:
            best = {group.method: group for group in reversed(rivals)}
            rivals = [group for group in rivals if best[group.method] is group]
        return rivals

    @cached_property
    def improvement(self) -> dict[str, list[Pair]]:
        """The probability of improvement of each rival over each that follows it, by metric."""
        return {metric: self._pairs(metric) if METRICS[metric].better else [] for metric in self.metrics}

    def _pairs(self, metric: str) -> list[Pair]:
        pairs = []
        for a, b in combinations(self.rivals(metric), 2):
            ours, theirs = _signed_scores(a, metric), _signed_scores(b, metric)
            if ours.keys() == theirs.keys():
                samples = list(ours.values()), [theirs[data] for data in ours]
                count = sum(len(ours[data]) * len(theirs[data]) for data in ours)
                estimate, wins = statistics.improvement(*samples), statistics.wins(*samples)
                pairs.append(Pair(a.label, b.label, estimate, wins, count))
        return pairs

    def chances(self, metric: str) -> dict[str, dict[str, Pair]]:
        """Return the probability that a run of the first label is better than one of the second, for all rivals."""
        chances: dict[str, dict[str, Pair]] = {}
        for pair in self.improvement[metric]:
            value, low, high = pair.estimate
            chances.setdefault(pair.ours, {})[pair.theirs] = pair
            opposite = Estimate(1 - value, 1 - high, 1 - low)
            reverse = Pair(pair.theirs, pair.ours, opposite, pair.pairs - pair.wins, pair.pairs)
            chances.setdefault(pair.theirs, {})[pair.ours] = reverse
        return chances

    def ranks(self, metric: str) -> tuple[list[str], Ranks] | None:
        """Return labels and ranks over data sets; None with one data set or where neither direction is better."""
        samples = {group.label: _signed_scores(group, metric) for group in self.comparable}
        samples = {label: scores for label, scores in samples.items() if len(scores) == self.sets}
        if self.sets < 2 or len(samples) < 2 or not METRICS[metric].better:
            return None
        means = [[scores[data].mean() for scores in samples.values()] for data in next(iter(samples.values()))]
        return list(samples), statistics.ranks(np.array(means))


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
        notes = _collapse_notes(self.results)
        total = len(self.results) + len(self.unfinished)
        failures = sum(state.stage == "failed" for state in self.unfinished)
        if self.unfinished:
            counts = {"failed": failures, "not finished": len(self.unfinished) - failures}
            parts = ", ".join(f"{count} {stage}" for stage, count in counts.items() if count)
            notes.append(f"{len(self.results)} of {total} runs are finished, {parts}; only these are counted.")
        conventions = sorted({result.convention for result in self.results})
        if len(conventions) > 1:
            notes.append(
                f"Runs were scored by different conventions ({', '.join(conventions)}), so scores are not comparable."
            )
        for data, results in by_data(self.results).items():
            notes += _image_notes(data, results)
        seeds = min(
            group.seeds(metric)
            for block in self.blocks
            for group in block.groups
            for metric in block.mean_metrics
            if group.estimate(metric)
        )
        if seeds < FEW:
            number = "a single seed, which has no interval" if seeds == 1 else f"{seeds} seeds"
            notes.append(f"There are settings with {number}; intervals of fewer than ten seeds are too narrow.")
        return notes


def _image_notes(data: str, results: Sequence[Result]) -> list[str]:
    """Return a note if runs on a data set have different images, by their settings or in spite of these; or none."""
    same = group_by(results, lambda result: repr(sorted(result.data_settings.items())))
    if any(len({result.digest for result in members}) > 1 for members in same.values()):
        return [f"The images of {data} changed between runs, so scores are not comparable."]
    if len({result.digest for result in results}) == 1:
        return []
    texts = {
        key: list(dict.fromkeys(str(result.data_settings.get(key, "unset")) for result in results))
        for key in sorted({key for result in results for key in result.data_settings})
    }
    varied = {key: values for key, values in texts.items() if len(values) > 1}
    settings = ", ".join(f"{key} is {' or '.join(values)}" for key, values in varied.items())
    figures = "errors" if varied.keys() <= PIXELS else "scores"
    return [f"Runs on {data} have images of different settings ({settings}), so their {figures} are not comparable."]


def _collapse_notes(results: Sequence[Result]) -> list[str]:
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
    sets = {data: groups(members) for data, members in by_data(results).items()}
    blocks = [Block(data, 1, tuple(members), names) for data, members in sets.items()]
    if len(sets) > 1 and (overall := block_of_all(results, names)).groups:
        blocks.append(overall)
    return Comparison(folder, tuple(results), tuple(blocks), tuple(unfinished))


def block_of_all(results: Sequence[Result], metrics: Sequence[str]) -> Block:
    """Return the block of all data sets, with the groups that each of them has."""
    labels = [{result.label for result in members} for members in by_data(results).values()]
    members = tuple(group for group in groups(results) if group.label in set.intersection(*labels))
    return Block(f"all {len(labels)} data sets", len(labels), members, tuple(metrics))


def _metrics_to_show(results: Sequence[Result], names: Sequence[str]) -> tuple[str, ...]:
    choices = scored_metrics(results)
    for name in names:
        if name not in (*choices, "all"):
            raise InputError(f"no run was scored with {name}; {nearest(name, choices)}")
    metrics = choices if "all" in names else names or [name for name in headline() if name in choices] or choices
    return ("sse", *(name for name in dict.fromkeys(metrics) if name != "sse"))


def _signed_scores(group: Group, metric: str) -> dict[str, statistics.Floats]:
    """Return the scores by data set, with the sign for which higher is better."""
    return {data: METRICS[metric].better * scores for data, scores in group.scores(metric).items()}
