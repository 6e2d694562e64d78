"""Reproduction of a published table: train its protocol, store runs, write the page of results."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from equipoise.errors import InputError
from equipoise.files import write_bytes, write_text
from equipoise.report.figures.saving import png
from equipoise.study.folder import FILE
from equipoise.study.plan import plan
from equipoise.study.published import formats
from equipoise.study.published.paper import Published
from equipoise.study.published.reader import read_tables
from equipoise.study.published.record import Record, record, write
from equipoise.study.run.sweep import check_data, sweep

ALL = "all"
TABLES = read_tables()


def protocol(table: Published, dataset: str, quick: bool, steps: int | None, seeds: int | None) -> dict[str, Any]:
    """Return the contents of the study file of a table, with its folder."""
    contents: dict[str, Any] = {**table.study[dataset], "out": f"studies/{table.name}-{dataset}"}
    options = {"train.steps": steps, "seeds": seeds}
    changes = (dict(table.quick) if quick else {}) | {key: value for key, value in options.items() if value is not None}
    for key, value in changes.items():
        section, _, setting = key.partition(".")
        contents[section] = contents[section] | {setting: value} if setting else value
    return contents


def train(
    contents: dict[str, Any], workers: int | None, results: Path, progress: bool, without: Collection[str] = ()
) -> int:
    """Sweep the protocol and store the runs that were scored. Returns the number of runs that are not finished.

    Runs whose names are in `without` are not trained and do not count.
    """
    study = plan(contents)
    check_data(study)
    file = study.folder / FILE
    write_text(file, tomli_w.dumps(contents))
    states = sweep(file, workers=workers, without=without, progress=progress)
    for config in study.runs.values():
        run = record(Path(config.out)) if (Path(config.out) / "meta.json").exists() else None
        if run is not None:
            write(run, results)
    return sum(state.stage != "done" for state in states)


def add_runs(table: Published, dataset: str, folders: Sequence[Path], results: Path) -> list[Path]:
    """Store other runs. Raises `InputError`, before any is stored, for one that is not of the table."""
    records = []
    for folder in folders:
        if not (folder / "config.toml").is_file():
            raise InputError(f"{folder} is not a run (it has no config.toml); expected the folder of a training")
        run = record(folder)
        if run is None:
            raise InputError(f"{folder} was not scored yet; equipoise evaluate {folder} scores it")
        if not any(table.runs(dataset, [run]).values()):
            raise InputError(f"{folder} is not a run of {table.name} on {dataset}: its settings fit no row")
        records.append(run)
    return [write(run, results) for run in records]


def write_page(to: Path, pairs: Sequence[tuple[Published, str]], records: Sequence[Record]) -> list[Path]:
    """Write the page and its figures and return their paths."""
    files, sections = [to], []
    for table, dataset in pairs:
        runs = table.runs(dataset, records)
        picture = None
        if table.draw is not None and any(runs.values()):
            picture = to.parent / "images" / f"results-{table.name}-{dataset}.png"
            write_bytes(picture, png(table.draw(table, runs), dpi=110))
            files.append(picture)
        link = f"images/{picture.name}" if picture else None
        sections.append(formats.markdown(table, dataset, records, link))
    write_text(to, "\n".join([formats.HEAD, *sections]))
    return files
