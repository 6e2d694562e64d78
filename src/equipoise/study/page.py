"""The page of a comparison: one file that needs nothing else, and its figures for a paper."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from equipoise.metrics import METRICS
from equipoise.report import figures
from equipoise.report.html import markup, template
from equipoise.study.comparison import Block, Comparison
from equipoise.study.results import Group, Result
from equipoise.study.statistics import STATISTICS, Estimate, Ranks
from equipoise.study.tables import chance, figure, interval
from equipoise.study.tradeoff import tradeoff


@dataclass(frozen=True)
class Detail:
    """All that is told of one metric in a block."""

    metric: str
    summary: str
    estimates: list[tuple[Group, int, dict[str, Estimate | None]]]
    """Each group with its number of scores, and its averages by name."""
    rivals: list[str]
    chances: Mapping[tuple[str, str], Estimate]
    """The probability that a run of the first is better than one of the second."""
    ranks: tuple[list[tuple[float, str]], Ranks] | None


@dataclass(frozen=True)
class Section:
    """A block as it stands on the page."""

    block: Block
    best: dict[str, set[str]]
    trade_off: Markup | None
    details: list[Detail]


def files(found: Comparison) -> dict[Path, bytes]:
    """`compare.html` and `pictures/<data>.svg` and `.png` in the study's folder, by path."""
    written, sections = {}, []
    for block in found.blocks:
        drawn = tradeoff(block) if block.sets == 1 else None
        name = f"tradeoff-{re.sub(r'[^A-Za-z0-9.-]+', '-', block.title)}"
        if drawn is not None:
            written[found.folder / "pictures" / f"{name}.svg"] = figures.svg_file(drawn, name)
            written[found.folder / "pictures" / f"{name}.png"] = figures.png(drawn)
        best = {metric: block.best(metric) for metric in block.averaged}
        details = [_detail(block, metric) for metric in block.metrics]
        sections.append(Section(block, best, None if drawn is None else markup(drawn, name), details))
    page = template("study/compare.html").render(
        title=found.folder.resolve().name,
        comparison=found,
        sections=sections,
        methods=list(dict.fromkeys(result.method for result in found.results)),
        seeds=len({result.seed for result in found.results}),
        averages=list(STATISTICS),
        figure=figure,
        interval=interval,
        chance=chance,
        link=lambda result: _link(found.folder, result),
        pictures=[os.path.relpath(path, found.folder) for path in written],
    )
    return {found.folder / "compare.html": page.encode(), **written}


def _detail(block: Block, metric: str) -> Detail:
    averaged = metric in block.averaged
    estimates = [
        (
            group,
            sum(map(len, group.scores(metric).values())),
            {name: group.estimate(metric, statistic) for name, statistic in STATISTICS.items()},
        )
        for group in block.groups
        if averaged and group.scores(metric)
    ]
    pairs = block.improvement(metric)
    chances = {(pair.ours, pair.theirs): pair.estimate for pair in pairs}
    chances |= {(b, a): Estimate(1 - each.value, 1 - each.high, 1 - each.low) for (a, b), each in chances.items()}
    named = {label for pair in pairs for label in (pair.ours, pair.theirs)}
    ranked = block.ranks(metric)
    return Detail(
        metric=metric,
        summary=f"{METRICS[metric].summary}; {METRICS[metric].direction}",
        estimates=estimates,
        rivals=[group.label for group in block.rivals(metric) if group.label in named],
        chances=chances,
        ranks=None if ranked is None else (sorted(zip(ranked[1].mean.tolist(), ranked[0], strict=True)), ranked[1]),
    )


def _link(folder: Path, result: Result) -> str:
    """The report of a run as seen from the page, whatever its name holds."""
    return quote(os.path.relpath(result.path / "report.html", folder))
