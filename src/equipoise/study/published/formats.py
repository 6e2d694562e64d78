"""A published table and ours as text, as Markdown and as JSON values."""

import math
import textwrap
from collections.abc import Sequence
from itertools import chain
from typing import Any

from equipoise.study.compare import tables
from equipoise.study.published.paper import Column, Published
from equipoise.study.published.record import Record
from equipoise.study.published.side_by_side import Line, side_by_side

HEAD = """# Results

The tables of the papers beside our results. `equipoise reproduce all --to docs/results.md` writes this page from the
files in `results/`, one per run with its settings, scores and curves. A row can have three kinds of figures: those of
the paper; means of our seeds at one step, with 95 % intervals over the seeds, which are [too narrow](comparing.md) for
two or three seeds; and, where the paper chose its models by a score, the best of ours by the same rule, with the number
of models it was chosen from. [Reproducing](reproducing.md) describes how to read and extend the tables, and
[findings](findings.md) contains our other measurements.
"""


def text(table: Published, dataset: str, records: Sequence[Record]) -> str:
    """Return the table for the terminal."""
    columns = table.columns
    cells = [["", *(column.title for column in columns.values()), ""]]
    for side in side_by_side(table, dataset, records):
        cells.append([side.label, *[""] * len(columns), ""])
        for line in side.lines:
            cells.append([f"  {line.label}", *(_figure(line, name, column) for name, column in columns.items()), ""])
            if any(math.isfinite(line.figures[name].low) for name in line.figures):
                ends = [_interval(line, name, column) for name, column in columns.items()]
                cells.append(["    95 % interval", *ends, ""])
    notes = [f"paper: {table.claim}", budget(table, dataset, records)]
    notes += [f"possible reasons for differences: {table.reasons}", f"source: {table.source}"]
    return "\n".join([f"{table.title}, on {dataset}", *tables.lines(cells), "", *map(_wrap, notes)])


def markdown(table: Published, dataset: str, records: Sequence[Record], picture: str | None) -> str:
    """Return the table as a section of a page; `picture` is the path of its figure."""
    titles = [column.title for column in table.columns.values()]
    lines = ["| | " + " | ".join(titles) + " |", "|---|" + "---|" * len(titles)]
    for side in side_by_side(table, dataset, records):
        lines.append(f"| **{side.label}** |" + " |" * len(titles))
        for line in side.lines:
            figures = []
            for name, column in table.columns.items():
                ends = _interval(line, name, column)
                figures.append(_figure(line, name, column) + (f" ({ends})" if ends else ""))
            lines.append(f"| {line.label} | " + " | ".join(figures) + " |")
    parts = [f"## {table.title}, on {dataset}", table.claim, "\n".join(lines), budget(table, dataset, records)]
    if picture:
        parts.append(f"![{table.title}, on {dataset}; the table above has the numbers]({picture})")
    command = f"equipoise reproduce {table.name} --dataset {dataset} --run"
    parts += [
        table.reasons,
        f"`{command}` trains the paper's protocol, with `--quick` a fraction of it. Source: {table.source}",
    ]
    return "\n\n".join(_wrap(part) for part in parts) + "\n"


def values(table: Published, dataset: str, records: Sequence[Record]) -> dict[str, Any]:
    """Return the table as JSON values."""
    sides = side_by_side(table, dataset, records)
    rows = [{"label": side.label, "lines": [_values(line) for line in side.lines]} for side in sides]
    return {"table": table.name, "data": dataset, "columns": list(table.columns), "rows": rows}


def budget(table: Published, dataset: str, records: Sequence[Record]) -> str:
    """Return a sentence with the number of images that our runs have seen."""
    runs = list(chain.from_iterable(table.runs(dataset, records).values()))
    if not runs:
        return f"Ours: no runs yet; equipoise reproduce {table.name} --dataset {dataset} --run trains them."
    return f"Ours: {table.images_seen(runs)}."


def _figure(line: Line, name: str, column: Column) -> str:
    value = line.figures[name].value if name in line.figures else math.nan
    if not math.isfinite(value):
        return "–"
    figure = f"{value:z,.{column.decimals}f}"
    return f"+{figure}" if line.kind == "difference" and value > 0 else figure


def _interval(line: Line, name: str, column: Column) -> str:
    estimate = line.figures.get(name)
    if estimate is None or not math.isfinite(estimate.low):
        return ""
    return f"{estimate.low:z,.{column.decimals}f}..{estimate.high:z,.{column.decimals}f}"


def _values(line: Line) -> dict[str, Any]:
    figures = {
        name: {key: value if math.isfinite(value) else None for key, value in estimate._asdict().items()}
        for name, estimate in line.figures.items()
    }
    return {"kind": line.kind, "label": line.label, "figures": figures}


def _wrap(paragraph: str) -> str:
    """Wrap a paragraph at 120 characters, except tables, pictures and headings."""
    return paragraph if paragraph[0] in "|#!" else textwrap.fill(paragraph, 120, break_on_hyphens=False)
