"""`equipoise compare`: the runs of a study side by side, as a table, a page and files for a paper."""

from collections.abc import Sequence
from pathlib import Path

from equipoise.files import replacing
from equipoise.outcome import Outcome
from equipoise.study import page, tables
from equipoise.study.comparison import comparison
from equipoise.study.results import rows


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
    beside = [str(path) for path in files if path != folder / "compare.html"]
    text = f"{tables.text(found)}\nwrote {', '.join(beside)} and the page; open {folder / 'compare.html'}"
    return Outcome({**tables.values(found), "wrote": [str(path) for path in files]}, text)
