"""A comparison as text, as JSON, and as files: CSV, Parquet, LaTeX."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equipoise.errors import InputError
from equipoise.metrics import METRICS, table
from equipoise.study.comparison import Block, Comparison
from equipoise.study.statistics import STATISTICS, Estimate

LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)


def text(found: Comparison) -> str:
    """The table for the terminal: of each group the means, and below them their intervals; then who is better."""
    said = []
    for block in found.blocks:
        said += [f"{block.title}: {sum(len(group.results) for group in block.groups)} runs", *lines(_cells(block)), ""]
        said += _surest(block)
        said += _ranked(block)
    said.append("means over seeds, below them their 95 % intervals; * best mean; β-equivalent: weight of the KL")
    said += [f"note: {note}" for note in found.notes]
    said += [f"failed: {state.run}: {state.reason}" for state in found.left if state.stage == "failed"]
    return "\n".join(said)


def _cells(block: Block) -> list[list[str]]:
    """Two rows for each group, under one of titles."""
    shown = block.averaged
    best = {metric: block.best(metric) for metric in shown}
    rows = [["", "seeds", *shown, "β-equivalent", "flags"]]
    for group in block.groups:
        above, below = [group.label, str(len(group.results))], ["", ""]
        for metric in shown:
            found = group.estimate(metric)
            star = "*" if group.label in best[metric] else " "
            above.append(f"{figure(metric, found.value)}{star}" if found else "– ")
            below.append(f"{interval(metric, found)} " if found else "")
        weight = group.beta_equivalent
        rows += [[*above, "–" if weight is None else f"{weight:.3g}", ", ".join(group.flags)], [*below, "", ""]]
    return rows


def figure(metric: str, value: float) -> str:
    """A score for reading: shares of 1 to three decimals, anything else to four digits."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else str(value)
    if METRICS[metric].is_normalised:
        return f"{value:z.3f}"
    digits = 3 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:z,.{max(0, digits)}f}"


def interval(metric: str, found: Estimate) -> str:
    """The ends of an interval for reading; empty where there is none."""
    ends = [figure(metric, end) for end in (found.low, found.high)]
    return "" if "–" in ends else "..".join(ends)


def lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns: names and flags begin on the left, figures end on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = []
    for first, *figures, last in rows:
        right = (f"{cell:>{width}}" for cell, width in zip(figures, widths[1:-1], strict=True))
        aligned.append("  ".join([f"  {first:<{widths[0]}}", *right, last]).rstrip())
    return aligned


def _surest(block: Block) -> list[str]:
    """Of each metric how probably a run of the best setting is better than one of the next."""
    said = []
    for metric in block.metrics:
        for pair in block.improvement(metric)[:1]:
            found = f"{pair.estimate.value:.2f}"
            if not math.isnan(pair.estimate.low):
                found += f" ({pair.estimate.low:.2f}..{pair.estimate.high:.2f})"
            said.append(f"  {metric}: a run of {pair.ours} beats one of {pair.theirs} with probability {found}")
    return [*said, ""] if said else []


def _ranked(block: Block) -> list[str]:
    """Of each metric the best mean ranks over the data sets, and the tests of all."""
    said = []
    for metric in block.metrics:
        ranked = block.ranks(metric)
        if ranked:
            labels, ranks = ranked
            best = sorted(zip(ranks.mean, labels, strict=True))[:3]
            listed = ", ".join(f"{label} {mean:.2f}" for mean, label in best)
            tests = f"Friedman {chance(ranks.p)}; two are told apart from {ranks.critical:.2f} on"
            said.append(f"  {metric}: mean ranks {listed} of {len(labels)}; {tests}")
    return [*said, ""] if said else []


def chance(p: float) -> str:
    """A p-value for reading."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def summary(found: Comparison) -> list[dict[str, Any]]:
    """A row for each group and metric: mean, median and IQM over the seeds with their intervals."""
    rows = []
    for block in found.blocks:
        for group in block.groups:
            for metric in block.averaged:
                estimates = {name: group.estimate(metric, statistic) for name, statistic in STATISTICS.items()}
                if estimates["mean"] is None:
                    continue
                row = {
                    "data": block.title,
                    "method": group.method,
                    "setting": group.setting,
                    "seeds": sum(map(len, group.scores(metric).values())),
                    "beta_equivalent": group.beta_equivalent,
                    "flags": ", ".join(group.flags),
                    "metric": metric,
                    "best": group.label in block.best(metric),
                }
                for name, each in estimates.items():
                    if each is not None:
                        row |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
                rows.append(row)
    return rows


def values(found: Comparison) -> dict[str, Any]:
    """All that is told, for programs; None where there is no figure."""
    pairs, ranks = [], []
    for block in found.blocks:
        for metric in block.metrics:
            for pair in block.improvement(metric):
                row = {"data": block.title, "metric": metric, "ours": pair.ours, "theirs": pair.theirs}
                pairs.append(row | dict(zip(("probability", "low", "high"), pair.estimate, strict=True)))
            ranked = block.ranks(metric)
            if ranked:
                labels, each = ranked
                mean = dict(zip(labels, each.mean.tolist(), strict=True))
                ranks.append(
                    {"data": block.title, "metric": metric, "ranks": mean, "p": each.p, "critical": each.critical}
                )
    return {
        "study": str(found.folder),
        "finished": len(found.results),
        "left": [{"run": state.run, "stage": state.stage, "reason": state.reason} for state in found.left],
        "notes": found.notes,
        "groups": [_strict(row) for row in summary(found)],
        "improvement": [_strict(row) for row in pairs],
        "ranks": ranks,
    }


def _strict(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with None for what JSON has no number for."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def check(path: Path) -> None:
    """Raises `InputError` if a table cannot be written to such a file, for its ending or for want of a package."""
    if path.suffix not in (".csv", ".parquet", ".tex"):
        raise InputError(f"{path}: expected a file that ends in .csv, .parquet or .tex")
    if path.suffix == ".parquet":
        table.check(path)


def contents(path: Path, found: Comparison) -> bytes:
    """What a file of this name, .csv, .parquet or .tex, holds for a comparison."""
    if path.suffix == ".tex":
        return latex(found).encode()
    if path.suffix == ".csv":
        return csv_of(summary(found))
    import pandas as pd

    whole: bytes = pd.DataFrame(summary(found)).to_parquet(index=False, engine="pyarrow")
    return whole


def csv_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A CSV file of rows with the same keys: figures in full, an empty cell where there is none."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()})
    return file.getvalue().encode()


def latex(found: Comparison) -> str:
    """The table for a paper: means with intervals, the best mean of a data set in bold. Needs the package booktabs."""
    shown = found.blocks[0].metrics
    lines = [
        f"% equipoise compare {found.folder}",
        r"\begin{tabular}{l" + "r" * (len(shown) + 2) + "l}",
        r"\toprule",
        " & ".join(["", "seeds", *(name.translate(LATEX) for name in shown), r"$\beta$", "flags"]) + r" \\",
    ]
    for block in found.blocks:
        best = {metric: block.best(metric) for metric in shown}
        lines += [r"\midrule", rf"\multicolumn{{{len(shown) + 4}}}{{l}}{{{block.title.translate(LATEX)}}} \\"]
        for group in block.groups:
            cells = [group.label.translate(LATEX), str(len(group.results))]
            for metric in shown:
                found_one = group.estimate(metric) if metric in block.averaged else None
                value = figure(metric, found_one.value) if found_one else "--"
                ends = interval(metric, found_one).replace("..", ", ") if found_one else ""
                bold = rf"\textbf{{{value}}}" if group.label in best[metric] and found_one else value
                cells.append(bold + (rf" {{\scriptsize[{ends}]}}" if ends else ""))
            weight = group.beta_equivalent
            lines.append(
                " & ".join([*cells, "--" if weight is None else f"{weight:.3g}", ", ".join(group.flags)]) + r" \\"
            )
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
