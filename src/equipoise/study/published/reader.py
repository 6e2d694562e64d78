"""Reading published tables from the TOML files in `papers/`.

Keys of a file hold for all of its [[tables]], and a key of a table replaces that of the file; `study` and `where` are
merged. A file or table has `name`, `title`, `source`, `claim`, `reasons`, `budget`, `selection` and `apart`, described
in `Published`, and:

    study     the protocol as the contents of a study file
    quick     settings, by dotted key, of a shorter protocol
    datasets  values of each data set by name: a string "{value}" elsewhere stands for one of them, in a label
              "{value:g}" is formatted; "{dataset}" is the name of the data set
    where     settings, by dotted key, of all runs of the table; `where` of a row adds its own
    columns   in the file a table by name with the fields of `Column`, by default the metric of that name; in a table
              a list of names
    rows      `label`, `where`, and `paper`: by data set the paper's figures, as a list in the order of the columns or
              as a table by column
    figure    `kind` and the arguments of the function of this name in `figures`
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from importlib import resources
from typing import Any

from matplotlib.figure import Figure

from equipoise.study.published import figures
from equipoise.study.published.paper import Column, Draw, Published, Row

PAPERS = ("lvae", "isa", "progressive", "controllers")
FIGURES: Mapping[str, Callable[..., Figure]] = {"scatter": figures.scatter, "trajectories": figures.trajectories}

Table = Mapping[str, Any]


def read_tables() -> dict[str, Published]:
    """Return the published tables by name."""
    tables: dict[str, Published] = {}
    for paper in PAPERS:
        path = resources.files(__package__) / "papers" / f"{paper}.toml"
        file = tomllib.loads(path.read_text(encoding="utf-8"))
        tables |= {table["name"]: _published(file, table) for table in file["tables"]}
    return tables


def _published(file: Table, table: Table) -> Published:
    keys = {**file, **table}
    fields = ("name", "title", "source", "claim", "quick", "budget", "reasons", "selection", "apart")
    study = {**file.get("study", {}), **table.get("study", {})}
    columns = {name: Column(**({"title": name, "metric": name} | column)) for name, column in file["columns"].items()}
    columns = {name: columns[name] for name in table.get("columns", columns)}
    values = {dataset: {"dataset": dataset, **own} for dataset, own in file["datasets"].items()}
    return Published(
        **{key: keys[key] for key in fields if key in keys},
        study={dataset: _fill(study, values[dataset]) for dataset in values},
        columns=columns,
        rows={dataset: [_row(file, row, columns, values[dataset]) for row in table["rows"]] for dataset in values},
        draw=_draw(**keys["figure"]) if "figure" in keys else None,
    )


def _row(file: Table, row: Table, columns: Mapping[str, Column], values: Table) -> Row:
    where = _fill({**file.get("where", {}), **row["where"]}, values)
    paper = row.get("paper", {}).get(values["dataset"], {})
    figures = paper if isinstance(paper, dict) else dict(zip(columns, paper, strict=False))
    return Row(row["label"].format(**values), where, figures)


def _draw(kind: str, **arguments: Any) -> Draw:
    return partial(FIGURES[kind], **arguments)


def _fill(value: Any, values: Table) -> Any:
    """Replace strings such as "{net}" by the values of a data set, at any depth."""
    if isinstance(value, dict):
        return {key: _fill(entry, values) for key, entry in value.items()}
    if isinstance(value, list):
        return [_fill(entry, values) for entry in value]
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return values[value[1:-1]]
    return value
