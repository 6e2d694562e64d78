"""A published table beside ours as text, as Markdown and as values."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from equipoise.study import tables
from equipoise.study.published.kept import Kept
from equipoise.study.published.paper import Column, Published
from equipoise.study.published.side_by_side import Line, side_by_side

HEAD = """# Results

The tables of the papers beside what we get, written by `equipoise reproduce all --to docs/results.md` from the files in
`results/`, one for each run, with its settings, scores and curves. Three things stand side by side: the paper's figure;
the mean of our seeds at one step, with its 95 % interval over the seeds, which is [too narrow](comparing.md) for as few
as two or three; and, where the paper chose its models by a score, the best of ours by the same rule, with the number of
models it was chosen from. How to read and extend them is in [reproducing](reproducing.md); what else we measured, in
[findings](findings.md).
"""


def text(table: Published, dataset: str, kept: Sequence[Kept]) -> str:
    """The table for the terminal."""
    columns = table.columns
    cells = [["", *(column.title for column in columns.values()), ""]]
    for side in side_by_side(table, dataset, kept):
        cells.append([side.label, *[""] * len(columns), ""])
        for line in side.lines:
            figures = [_figure(line, name, column) for name, column in columns.items()]
            cells.append([f"  {line.label}", *figures, ""])
            if any(math.isfinite(line.figures[name].low) for name in line.figures):
                ends = [_interval(line, name, column) for name, column in columns.items()]
                cells.append(["    95 % interval", *ends, ""])
    notes = [f"paper: {table.claim}", budget(table, dataset, kept)]
    notes += [f"why ours may differ: {table.reasons}", f"source: {table.source}"]
    return "\n".join([f"{table.title}, on {dataset}", *tables.lines(cells), "", *map(_wrapped, notes)])


def markdown(table: Published, dataset: str, kept: Sequence[Kept], picture: str | None) -> str:
    """The table as a section of a page; `picture` is the path of its figure."""
    titles = [column.title for column in table.columns.values()]
    lines = ["| | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
    for side in side_by_side(table, dataset, kept):
        lines.append(f"| **{side.label}** |" + " |" * len(titles))
        for line in side.lines:
            figures = []
            for name, column in table.columns.items():
                ends = _interval(line, name, column)
                figures.append(_figure(line, name, column) + (f" ({ends})" if ends else ""))
            lines.append(f"| {line.label} | " + " | ".join(figures) + " |")
    said = [f"## {table.title}, on {dataset}", table.claim, "\n".join(lines), budget(table, dataset, kept)]
    if picture:
        said.append(f"![{table.title}, on {dataset}; the table above holds what it shows]({picture})")
    command = f"equipoise reproduce {table.name} --dataset {dataset} --run"
    said += [table.reasons, f"`{command}` is the paper's protocol, with `--quick` a fraction of it. {table.source}"]
    return "\n\n".join(_wrapped(each) for each in said) + "\n"


def values(table: Published, dataset: str, kept: Sequence[Kept]) -> dict[str, Any]:
    """The table for programs."""
    sides = side_by_side(table, dataset, kept)
    rows = [{"label": side.label, "lines": [_values(line) for line in side.lines]} for side in sides]
    return {"table": table.name, "data": dataset, "columns": list(table.columns), "rows": rows}


def budget(table: Published, dataset: str, kept: Sequence[Kept]) -> str:
    """How much of the protocol's training ours have had."""
    runs = [each for of_row in table.runs(dataset, kept).values() for each in of_row]
    if not runs:
        return f"Nothing of ours yet; equipoise reproduce {table.name} --dataset {dataset} --run trains it."
    return f"Ours: {table.trained(runs)}."


def _figure(line: Line, name: str, column: Column) -> str:
    value = line.figures[name].value if name in line.figures else math.nan
    if not math.isfinite(value):
        return "–"
    shown = f"{value:z,.{column.decimals}f}"
    return f"+{shown}" if line.kind == "difference" and value > 0 else shown


def _interval(line: Line, name: str, column: Column) -> str:
    found = line.figures.get(name)
    if found is None or not math.isfinite(found.low):
        return ""
    return f"{found.low:z,.{column.decimals}f}..{found.high:z,.{column.decimals}f}"


def _values(line: Line) -> dict[str, Any]:
    """Value and interval of each column, None where there is none."""
    figures = {
        name: {key: value if math.isfinite(value) else None for key, value in found._asdict().items()}
        for name, found in line.figures.items()
    }
    return {"kind": line.kind, "label": line.label, "figures": figures}


def _wrapped(paragraph: str) -> str:
    """Lines of at most 120 characters, of what is no table, picture or heading."""
    return paragraph if paragraph[0] in "|#!" else textwrap.fill(paragraph, 120, break_on_hyphens=False)
