"""A table of evidence: the study whose runs it needs, the records of those that are finished, and its page."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from equipoise.config import Config
from equipoise.files import replacing, write_text
from equipoise.study.compare import tables
from equipoise.study.plan import plan
from equipoise.study.published import reproduce
from equipoise.study.published.record import Record, read_all, record_name


class Size(NamedTuple):
    """How much is trained: a reduced study, or other numbers of steps and seeds than the table's own."""

    quick: bool = False
    steps: int | None = None
    seeds: int | None = None

    def steps_of(self, table: int) -> int:
        """Return the training steps, of which a quick table has a third."""
        return self.steps if self.steps is not None else table // 3 if self.quick else table


class Page(NamedTuple):
    """The content of a table: as text for the terminal, as Markdown with figures, and as values for JSON."""

    title: str
    text: str
    markdown: Sequence[str]  # lines
    values: Mapping[str, Any]
    is_complete: bool
    figures: Mapping[str, Figure] = MappingProxyType({})  # by description; they follow the first paragraph


class Evidence(NamedTuple):
    """A table: `studies` returns the contents of its study files, and `page` reads the records in a folder of results.

    The studies of a table have the same folder.
    """

    name: str
    studies: Callable[[Size], Sequence[dict[str, Any]]]
    page: Callable[[Path, Size], Page]
    prepare: Callable[[Mapping[str, Any]], None] | None = None  # writes the images that the study reads
    collect: Callable[[Mapping[str, Any], Path], None] | None = None  # stores more than the records, from the runs
    collected: Callable[[Path], Collection[str]] | None = None  # the records of which that is stored


class StudyRun(NamedTuple):
    """A run of a study, with its record if it is finished."""

    config: Config
    record: Record | None

    @property
    def method(self) -> str:
        """Name and preset of its method."""
        return f"{self.config.method.name} {self.config.preset or ''}".strip()

    @property
    def data(self) -> str:
        """Name of its data set."""
        return Path(self.config.data.name).stem

    @property
    def scores(self) -> Mapping[str, float]:
        """Its final scores; none before it is finished."""
        return {} if self.record is None else self.record.scores.get(self.config.train.steps, {})


def train(table: Evidence, size: Size, results: Path, workers: int | None, progress: bool) -> None:
    """Train the runs that have no record, and store the records of those that are finished.

    A record counts wherever its run was trained. So a table can be continued on another machine from its records.
    """
    for contents in table.studies(size):
        if table.prepare is not None:
            table.prepare(contents)
        stored = _stored(table, contents, results)
        names = {Path(run.config.out).name for run in stored}
        with warnings.catch_warnings():  # other studies have runs in the same folder
            warnings.filterwarnings("ignore", ".* that the file does not describe", UserWarning)
            reproduce.train(contents, workers, folder(contents, results), progress, without=names)
        if table.collect is not None:
            table.collect(contents, results)


def count_missing(table: Evidence, size: Size, results: Path) -> int:
    """Return the number of runs of a table that `train` would train."""
    return sum(
        len(read(contents, results)) - len(_stored(table, contents, results)) for contents in table.studies(size)
    )


def _stored(table: Evidence, contents: Mapping[str, Any], results: Path) -> list[StudyRun]:
    """Return the runs of a study of which everything is stored that the table needs."""
    runs = [run for run in read(contents, results) if run.record is not None]
    if table.collected is None:
        return runs
    records = table.collected(results)
    return [run for run in runs if run.record is not None and run.record.run in records]


def read(contents: Mapping[str, Any], results: Path) -> list[StudyRun]:
    """Return the runs of a study, with the records of those that are finished."""
    records = {record.run: record for record in read_all(folder(contents, results))}
    runs = []
    for config in plan(contents).runs.values():
        record = records.get(record_name(config))
        is_finished = record is not None and config.train.steps in record.scores
        runs.append(StudyRun(config, record if is_finished else None))
    return runs


def folder(contents: Mapping[str, Any], results: Path) -> Path:
    """Return the folder of the records of a study: one in `results` with the name of the study's folder."""
    return results / Path(contents["out"]).name


def one_table(
    title: str,
    summary: str,
    grid: Sequence[Sequence[str]],
    values: Mapping[str, Any],
    is_complete: bool,
    figures: Mapping[str, Figure] = MappingProxyType({}),
) -> Page:
    """Return the page of a summary and a table, whose first row is its heading."""
    text = "\n".join([*tables.lines(grid), "", summary])
    return Page(title, text, [summary, "", *tables.markdown(grid)], values, is_complete, figures)


def write(page: Page, path: Path) -> list[Path]:
    """Write a page as Markdown with its figures beside it, and return all paths."""
    pictures = {}
    for number, (description, figure) in enumerate(page.figures.items()):
        picture = path.with_name(f"{path.stem}{f'-{number + 1}' if number else ''}.svg")
        # The salt makes the ids, and so the file, reproducible.
        with replacing(picture) as stream, rc_context({"svg.hashsalt": picture.stem}):
            figure.savefig(stream, format="svg", metadata={"Date": None})
        pictures[picture] = f"![{description}]({picture.name})"
    summary, *lines = page.markdown
    links = [line for link in pictures.values() for line in ("", link)]
    write_text(path, "\n".join([f"# {page.title}", "", summary, *links, *lines, ""]))
    return [path, *pictures]
