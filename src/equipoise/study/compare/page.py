"""The page of a comparison, one file that loads nothing, and its figures for a paper."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from equipoise.metrics import METRICS
from equipoise.report import figures
from equipoise.report.html import markup, template
from equipoise.study.compare.comparison import Comparison
from equipoise.study.compare.pareto import pareto
from equipoise.study.compare.results import Result
from equipoise.study.compare.statistics import STATISTICS
from equipoise.study.compare.tables import figure, interval, p_value


def files(comparison: Comparison) -> dict[Path, bytes]:
    """Return `compare.html` and `pictures/<data>.svg` and `.png` in the study's folder, by path."""
    pictures, drawings = {}, {}
    for block in comparison.blocks:
        drawing = pareto(block) if block.sets == 1 else None
        if drawing is not None:
            name = f"tradeoff-{re.sub(r'[^A-Za-z0-9.-]+', '-', block.title)}"
            pictures[comparison.folder / "pictures" / f"{name}.svg"] = figures.svg_file(drawing, name)
            pictures[comparison.folder / "pictures" / f"{name}.png"] = figures.png(drawing)
            drawings[block.title] = markup(drawing, name)
    page = template("compare.html").render(
        title=comparison.folder.resolve().name,
        comparison=comparison,
        drawings=drawings,
        methods=list(dict.fromkeys(result.method for result in comparison.results)),
        seeds=len({result.seed for result in comparison.results}),
        METRICS=METRICS,
        STATISTICS=STATISTICS,
        figure=figure,
        interval=interval,
        p_value=p_value,
        zip=zip,
        link=lambda result: _link(comparison.folder, result),
        pictures=[os.path.relpath(path, comparison.folder) for path in pictures],
    )
    return {comparison.folder / "compare.html": page.encode(), **pictures}


def _link(folder: Path, result: Result) -> str:
    """Return the link from the page to the report of a run, with special characters quoted."""
    return quote(os.path.relpath(result.path / "report.html", folder))
