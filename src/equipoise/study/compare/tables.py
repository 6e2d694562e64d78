"""A comparison as text, as JSON values, and as files in CSV, Parquet and LaTeX."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

from equipoise.errors import InputError
from equipoise.files import csv_text
from equipoise.metrics import METRICS, table
from equipoise.outcome import align
from equipoise.study.compare.comparison import LEADING, Block, Comparison, Pair
from equipoise.study.compare.results import Group
from equipoise.study.compare.statistics import STATISTICS, Estimate

MANY = 100  # pairs of seeds, from which the share of them counts as a probability
LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)


def text(comparison: Comparison) -> str:
    """Return the tables for the terminal: means with intervals, probabilities of improvement, ranks and notes."""
    parts = []
    if all(not block.comparable for block in comparison.blocks):
        parts += ["all collapsed", ""]
    for block in comparison.blocks:
        runs = sum(len(group.results) for group in block.groups)
        parts += [f"{block.title}: {runs} run{'s' * (runs != 1)}", *lines(_cells(block))]
        if len(block.table_groups) < len(block.groups):
            parts.append(f"  {best_of_many(block)}; --to table.csv writes all")
        parts += ["", *_improvements(block)]
        if rank_lines := ranks(block):
            parts += [*(f"  {line}" for line in rank_lines), ""]
    parts.append("means over seeds, below them their 95 % intervals; * best mean; β-equivalent: weight of the KL")
    parts += [f"note: {note}" for note in comparison.notes]
    parts += [f"failed: {state.run}: {state.reason}" for state in comparison.unfinished if state.stage == "failed"]
    return "\n".join(parts)


def _cells(block: Block) -> list[list[str]]:
    """Return the header and two rows for each group: means, and below them the intervals."""
    rows = [["", "seeds", *block.mean_metrics, "β-equivalent", "flags"]]
    for group in block.table_groups:
        means, ends = [group.label, str(len(group.results))], ["", ""]
        for metric in block.mean_metrics:
            mean = group.estimate(metric)
            star = "*" if group.label in block.best[metric] else " "
            means.append(f"{figure(metric, mean.value)}{star}" if mean else "– ")
            below = [interval(metric, mean), fewer_seeds(group, metric)] if mean else []
            ends.append(f"{', '.join(filter(None, below))} " if any(below) else "")
        weight = group.beta_equivalent
        rows += [[*means, "–" if weight is None else f"{weight:.3g}", ", ".join(group.flags)], [*ends, "", ""]]
    return rows


def fewer_seeds(group: Group, metric: str) -> str:
    """Return how many of its seeds have the score, such as `1 of 2 seeds`; empty where all have it."""
    count, total = group.seeds(metric), len(group.results)
    return f"{count} of {total} seeds" if count < total else ""


def best_of_many(block: Block) -> str:
    """Return which settings are in a table to read, where these are not all."""
    number = f"{len(block.table_groups)} of {len(block.groups):,} settings"
    return f"{number}, those with one of the best {LEADING} means of a metric"


def figure(metric: str, value: float) -> str:
    """Format a score: with three decimals where 1 is a perfect score, else with four digits."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    if METRICS[metric].is_normalised:
        return f"{value:z.3f}"
    digits = 3 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:z,.{max(0, digits)}f}"


def interval(metric: str, estimate: Estimate) -> str:
    """Format the ends of an interval; empty where there is none."""
    ends = [figure(metric, end) for end in (estimate.low, estimate.high)]
    return "" if "–" in ends else "..".join(ends)


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the cells of a table: the first and the last column on the left, the others on the right."""
    return [f"  {line}" for line in align(rows, slice(1, -1))]


def markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown; the first row is its heading."""
    heading, *body = rows
    return [f"| {' | '.join(cells)} |" for cells in (heading, ["---"] * len(heading), *body)]


def _improvements(block: Block) -> list[str]:
    """Return a line per metric: how often a run of the best setting is better than one of the next."""
    result = []
    for metric in block.metrics:
        for pair in block.improvement[metric][:1]:
            how_often = f"in {share(pair)} pairs of seeds"
            if pair.pairs >= MANY:
                low, high = pair.estimate.low, pair.estimate.high
                how_often = f"with probability {share(pair)} ({low:.2f}..{high:.2f})"
            result.append(f"  {metric}: a run of {pair.ours} beats one of {pair.theirs} {how_often}")
    return [*result, ""] if result else []


def share(pair: Pair) -> str:
    """Format the share of pairs of seeds in which one is better: 9 of 9 if there are few, else a probability."""
    return f"{pair.estimate.value:.2f}" if pair.pairs >= MANY else f"{pair.wins:.3g} of {pair.pairs}"


def ranks(block: Block, titles: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """Return a line per metric: the best mean ranks over the data sets, and the tests.

    titles: names of metrics to print instead of their keys.
    """
    result = []
    for metric in block.metrics:
        labels_and_ranks = block.ranks(metric)
        if labels_and_ranks is None:
            continue
        labels, test = labels_and_ranks
        best = ", ".join(f"{label} {mean:.2f}" for mean, label in sorted(zip(test.mean, labels, strict=True))[:3])
        nemenyi = f"differences of {test.critical:.2f} or more are significant"
        if not test.has_power:
            nemenyi = "with so few data sets, no difference between two methods can be significant"
        title = titles.get(metric, metric)
        result.append(f"{title}: mean ranks {best} of {len(labels)}; Friedman {p_value(test.p)}; {nemenyi}")
    return result


def p_value(p: float) -> str:
    """Format a p-value."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def summary(comparison: Comparison) -> list[dict[str, Any]]:
    """Return a row for each group and metric: mean, median and IQM over the seeds with their intervals."""
    rows = []
    for block in comparison.blocks:
        for group in block.groups:
            for metric in block.mean_metrics:
                estimates = {name: group.estimate(metric, statistic) for name, statistic in STATISTICS.items()}
                if estimates["mean"] is None:
                    continue
                row = {
                    "data": block.title,
                    "method": group.method,
                    "setting": group.setting,
                    "seeds": group.seeds(metric),
                    "beta_equivalent": group.beta_equivalent,
                    "flags": ", ".join(group.flags),
                    "metric": metric,
                    "best": group.label in block.best[metric],
                }
                for name, estimate in estimates.items():
                    if estimate is not None:
                        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
                rows.append(row)
    return rows


def values(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON values, with None where there is no number."""
    pairs, ranks = [], []
    for block in comparison.blocks:
        for metric in block.metrics:
            place = {"data": block.title, "metric": metric}
            for pair in block.improvement[metric]:
                probability, low, high = pair.estimate
                row = {"ours": pair.ours, "theirs": pair.theirs, "pairs": pair.pairs}
                pairs.append(_finite({**place, **row, "probability": probability, "low": low, "high": high}))
            labels_and_ranks = block.ranks(metric)
            if labels_and_ranks is not None:
                labels, (mean, p, critical) = labels_and_ranks
                by_label = dict(zip(labels, mean.tolist(), strict=True))
                ranks.append({**place, "ranks": by_label, "p": p, "critical": critical})
    return {
        "study": str(comparison.folder),
        "finished": len(comparison.results),
        "left": [{"run": state.run, "stage": state.stage, "reason": state.reason} for state in comparison.unfinished],
        "notes": comparison.notes,
        "groups": [_finite(row) for row in summary(comparison)],
        "improvement": pairs,
        "ranks": ranks,
    }


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """Replace NaN and infinities by None, since JSON has no such numbers."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def check(path: Path) -> None:
    """Raise `InputError` where a table cannot be written to this file: wrong suffix, or a package is missing."""
    if path.suffix not in (".csv", ".parquet", ".tex"):
        raise InputError(f"{path}: expected a file that ends in .csv, .parquet or .tex")
    if path.suffix == ".parquet":
        table.check(path)


def contents(path: Path, comparison: Comparison) -> bytes:
    """Return the table as the contents of a .csv, .parquet or .tex file, by the suffix of `path`."""
    if path.suffix == ".tex":
        return latex(comparison).encode()
    if path.suffix == ".csv":
        return csv_of(summary(comparison))
    import pandas as pd

    parquet: bytes = pd.DataFrame(summary(comparison)).to_parquet(index=False, engine="pyarrow")
    return parquet


def csv_of(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return a CSV file of rows with the same keys, with all digits and an empty cell for NaN; empty without rows."""
    first = next(rows := iter(rows), None)
    if first is None:
        return b""
    return csv_text(first, (map(_without_nan, map(row.__getitem__, first)) for row in chain([first], rows))).encode()


def _without_nan(value: object) -> object:
    """Return None for NaN, which is an empty cell, and other values as they are."""
    return None if isinstance(value, float) and math.isnan(value) else value


def latex(comparison: Comparison) -> str:
    """Return the table for a paper: means with intervals, the best of each data set in bold. Needs booktabs."""
    metrics = comparison.blocks[0].metrics
    lines = [
        f"% equipoise compare {comparison.folder}",
        r"\begin{tabular}{l" + "r" * (len(metrics) + 2) + "l}",
        r"\toprule",
        " & ".join(["", "seeds", *(name.translate(LATEX) for name in metrics), r"$\beta$", "flags"]) + r" \\",
    ]
    for block in comparison.blocks:
        lines += [r"\midrule", rf"\multicolumn{{{len(metrics) + 4}}}{{l}}{{{block.title.translate(LATEX)}}} \\"]
        for group in block.groups:
            cells = [group.label.translate(LATEX), str(len(group.results))]
            for metric in metrics:
                mean = group.estimate(metric) if metric in block.mean_metrics else None
                value = figure(metric, mean.value) if mean else "--"
                ends = interval(metric, mean).replace("..", ", ") if mean else ""
                fewer = fewer_seeds(group, metric) if mean else ""
                bold = rf"\textbf{{{value}}}" if group.label in block.best[metric] and mean else value
                small = (f"[{ends}]" if ends else "") + (f" {fewer}" if fewer else "")
                cells.append(bold + (rf" {{\scriptsize{small}}}" if small else ""))
            weight = group.beta_equivalent
            cells += ["--" if weight is None else f"{weight:.3g}", ", ".join(group.flags)]
            lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
