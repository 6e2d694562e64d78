"""The command `reproduce`: a published table beside our runs, which it can train first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from equipoise.errors import InputError, choose
from equipoise.files import replacing, write_text
from equipoise.outcome import Outcome
from equipoise.report import figures
from equipoise.study.folder import FILE
from equipoise.study.plan import plan
from equipoise.study.published import formats
from equipoise.study.published.paper import Published
from equipoise.study.published.reader import read_tables
from equipoise.study.published.record import Record, read_all, record, write
from equipoise.study.run.sweep import check_data, sweep

ALL = "all"
TABLES = read_tables()


def reproduce(
    name: str,
    dataset: str | None = None,
    *,
    run: bool = False,
    quick: bool = False,
    steps: int | None = None,
    seeds: int | None = None,
    workers: int | None = None,
    add: Sequence[Path] = (),
    results: Path = Path("results"),
    to: Path | None = None,
    progress: bool = True,
) -> Outcome:
    """Return a published table beside the runs stored in `results`; `name` is a table or "all".

    run: first train the protocol in studies/<name>-<dataset>, or resume it, and store its scores in `results`. quick,
    steps, seeds: a fraction of the budget, another number of steps or seeds. add: folders of other runs to store. to: a
    .md file for the tables as a page, with figures in images/ beside it.

    Raises `InputError` for an unknown table, options that exclude each other, or a run that is not of the table.
    """
    choose("table", name, [*TABLES, ALL])
    if (quick or steps or seeds or workers) and not run:
        raise InputError("--quick, --steps, --seeds and --workers change the training; add --run, or remove them")
    if to is not None and to.suffix != ".md":
        raise InputError(f"--to is {to}; give a file that ends in .md")
    if name == ALL and (run or add or dataset):
        raise InputError("all only shows stored runs; name one table to train it, to add runs or to choose its data")
    if name == ALL:
        pairs = [(table, data) for table in TABLES.values() for data in table.rows]
    else:
        table = TABLES[name]
        pairs = [(table, choose("data set of this table", dataset or next(iter(table.rows)), table.rows))]
    files, unfinished = _add(pairs[0], add, results), 0
    if run:
        contents = protocol(*pairs[0], quick, steps, seeds)
        unfinished = _train(contents, workers, results, progress)
        files.append(results)
    records = read_all(results)
    if name == ALL:
        pairs = [pair for pair in pairs if any(pair[0].runs(pair[1], records).values())]
    text = "\n\n".join(formats.text(*pair, records) for pair in pairs) or f"{results} has no runs of these tables"
    if to is not None:
        files += _write(to, pairs, records)
    paths = [str(path) for path in files]
    if unfinished:
        text += f"\n{unfinished} runs are not finished; the same command resumes them"
    if paths:
        text += f"\nwrote {', '.join(paths)}"
    tables = [formats.values(*pair, records) for pair in pairs]
    return Outcome({"tables": tables, "wrote": paths, "done": not unfinished}, text)


def protocol(table: Published, dataset: str, quick: bool, steps: int | None, seeds: int | None) -> dict[str, Any]:
    """Return the contents of the study file of a table, with its folder."""
    contents: dict[str, Any] = {**table.study[dataset], "out": f"studies/{table.name}-{dataset}"}
    own = {"train.steps": steps, "seeds": seeds}
    changes = (dict(table.quick) if quick else {}) | {key: value for key, value in own.items() if value is not None}
    for key, value in changes.items():
        section, _, setting = key.partition(".")
        contents[section] = contents[section] | {setting: value} if setting else value
    return contents


def _train(contents: dict[str, Any], workers: int | None, results: Path, progress: bool) -> int:
    """Sweep the protocol and store the runs that were scored. Returns the number of runs that are not finished."""
    study = plan(contents)
    check_data(study)
    file = study.folder / FILE
    write_text(file, tomli_w.dumps(contents))
    states = sweep(file, workers=workers, progress=progress)
    for config in study.runs.values():
        of_run = record(Path(config.out)) if (Path(config.out) / "meta.json").exists() else None
        if of_run is not None:
            write(of_run, results)
    return sum(state.stage != "done" for state in states)


def _add(pair: tuple[Published, str], folders: Sequence[Path], results: Path) -> list[Path]:
    """Store other runs. Raises `InputError`, before any is stored, for one that is not of the table."""
    table, dataset = pair
    records = []
    for folder in folders:
        if not (folder / "config.toml").is_file():
            raise InputError(f"{folder} is not a run (it has no config.toml); expected the folder of a training")
        of_run = record(folder)
        if of_run is None:
            raise InputError(f"{folder} was not scored yet; equipoise evaluate {folder} scores it")
        if not any(table.runs(dataset, [of_run]).values()):
            raise InputError(f"{folder} is not a run of {table.name} on {dataset}: its settings fit no row")
        records.append(of_run)
    return [write(each, results) for each in records]


def _write(to: Path, pairs: Sequence[tuple[Published, str]], records: Sequence[Record]) -> list[Path]:
    """Write the page and its figures and return their paths."""
    files, sections = [to], []
    for table, dataset in pairs:
        runs = table.runs(dataset, records)
        picture = None
        if table.draw is not None and any(runs.values()):
            picture = to.parent / "images" / f"results-{table.name}-{dataset}.png"
            with replacing(picture) as file:
                file.write(figures.png(table.draw(table, runs), dpi=110))
            files.append(picture)
        link = f"images/{picture.name}" if picture else None
        sections.append(formats.markdown(table, dataset, records, link))
    write_text(to, "\n".join([formats.HEAD, *sections]))
    return files
