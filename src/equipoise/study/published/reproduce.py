"""`equipoise reproduce`: a published table beside ours, trained first if that is asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w

from equipoise import study
from equipoise.errors import InputError, choose
from equipoise.files import replacing, write_text
from equipoise.outcome import Outcome
from equipoise.report import figures
from equipoise.study.published import TABLES, kept, written
from equipoise.study.published.kept import Kept
from equipoise.study.published.paper import Published

ALL = "all"


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
    """What a paper reports beside what the runs kept in `results` give; `name` is a table or "all".

    run: train the protocol first, or what of it is still to do, in studies/<name>-<dataset>, and keep its scores in
    `results`. quick, steps, seeds: a fraction of its budget, other lengths and numbers of seeds. add: folders of runs
    made elsewhere, to be kept too. to: a .md for the tables as a page, with their figures in images/ beside it.
    """
    choose("table", name, [*TABLES, ALL])
    if (quick or steps or seeds or workers) and not run:
        raise InputError("--quick, --steps, --seeds and --workers say how to train; add --run, or leave them out")
    if to is not None and to.suffix != ".md":
        raise InputError(f"--to is {to}; give a file that ends in .md")
    if name == ALL and (run or add or dataset):
        raise InputError("all only shows what is kept; name one table to train it, to add runs or to choose its data")
    if name == ALL:
        pairs = [(table, data) for table in TABLES.values() for data in table.rows]
    else:
        table = TABLES[name]
        pairs = [(table, choose("data set of this table", dataset or next(iter(table.rows)), table.rows))]
    wrote, left = _add(pairs[0], add, results), 0
    if run:
        left = _train(*pairs[0], quick, steps, seeds, workers, results, progress)
        wrote.append(results)
    found = kept.read_all(results)
    if name == ALL:
        pairs = [pair for pair in pairs if any(pair[0].runs(pair[1], found).values())]
    said = "\n\n".join(written.text(*pair, found) for pair in pairs) or f"nothing is kept in {results}"
    if to is not None:
        wrote += _write(to, pairs, found)
    paths = [str(path) for path in wrote]
    if left:
        said += f"\n{left} runs are not finished; the same command goes on"
    if paths:
        said += f"\nwrote {', '.join(paths)}"
    tables = [written.values(*pair, found) for pair in pairs]
    return Outcome({"tables": tables, "wrote": paths, "done": not left}, said)


def protocol(table: Published, dataset: str, quick: bool, steps: int | None, seeds: int | None) -> dict[str, Any]:
    """The contents of the study file of a table, with its folder."""
    said = table.study(dataset) | {"out": f"studies/{table.name}-{dataset}"}
    own = {"train.steps": steps, "seeds": seeds}
    changes = (dict(table.quick) if quick else {}) | {key: value for key, value in own.items() if value is not None}
    for key, value in changes.items():
        section, _, setting = key.partition(".")
        said[section] = said[section] | {setting: value} if setting else value
    return said


def _train(
    table: Published,
    dataset: str,
    quick: bool,
    steps: int | None,
    seeds: int | None,
    workers: int | None,
    results: Path,
    progress: bool,
) -> int:
    """Sweeps the protocol and keeps what was scored; how many runs are not finished."""
    said = protocol(table, dataset, quick, steps, seeds)
    plan = study.plan.plan(said)
    study.expect_data(plan)
    file = plan.folder / study.FILE
    write_text(file, tomli_w.dumps(said))
    states = study.sweep(file, workers=workers, progress=progress)
    for config in plan.runs.values():
        run = kept.taken(Path(config.out)) if (Path(config.out) / "meta.json").exists() else None
        if run is not None:
            kept.write(run, results)
    return sum(state.stage != "done" for state in states)


def _add(pair: tuple[Published, str], folders: Sequence[Path], results: Path) -> list[Path]:
    """Keeps runs that were made elsewhere. Raises `InputError` before any is kept for one that is none of the table."""
    table, dataset = pair
    found = []
    for folder in folders:
        if not (folder / "config.toml").is_file():
            raise InputError(f"{folder} is not a run (it has no config.toml); expected the folder of a training")
        run = kept.taken(folder)
        if run is None:
            raise InputError(f"{folder} was not scored yet; equipoise evaluate {folder} does that")
        if not any(table.runs(dataset, [run]).values()):
            raise InputError(f"{folder} is none of {table.name} on {dataset}: its settings fit no row")
        found.append(run)
    return [kept.write(run, results) for run in found]


def _write(to: Path, pairs: Sequence[tuple[Published, str]], found: Sequence[Kept]) -> list[Path]:
    wrote, sections = [to], []
    for table, dataset in pairs:
        runs = table.runs(dataset, found)
        picture = None
        if table.draw is not None and any(runs.values()):
            picture = to.parent / "images" / f"results-{table.name}-{dataset}.png"
            with replacing(picture) as file:
                file.write(figures.png(table.draw(table, runs), dpi=110))
            wrote.append(picture)
        shown = f"images/{picture.name}" if picture else None
        sections.append(written.markdown(table, dataset, found, shown))
    write_text(to, "\n".join([written.HEAD, *sections]))
    return wrote
