"""Scores of one or many runs as one tidy table: a row for each run and metric, as CSV, pandas or Parquet."""

import csv
import io
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from equipoise.errors import InputError
from equipoise.metrics.result import Score

_TYPES = {
    "run": "str",
    "metric": "str",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "baseline": "float64",
    "attainable": "float64",
    "n": "int64",
    "seconds": "float64",
    "convention": "str",
}
_NEEDS = {".csv": (), ".parquet": ("pandas", "pyarrow")}  # by the ending of the file


def rows(scores: Mapping[str, Score], run: str, convention: str = "default") -> list[dict[str, Any]]:
    """A row for each metric: run, metric, value, low, high, baseline, attainable, n, seconds, convention.

    None where a score has no interval, baseline or ceiling.
    """
    return [
        {"run": run, "metric": name}
        | {column: getattr(score, column) for column in _TYPES if hasattr(score, column)}
        | {"convention": convention}
        for name, score in scores.items()
    ]


def frame(table: Sequence[Mapping[str, Any]]) -> Any:
    """A pandas data frame of `rows`, of one run or several; NaN where there is none. Needs pandas."""
    _need("a data frame", "pandas")
    import pandas as pd

    return pd.DataFrame(table, columns=list(_TYPES)).astype(_TYPES)


def check(path: Path) -> None:
    """Raises `InputError` if a table cannot be written to such a file, for its ending or for want of a package."""
    if path.suffix not in _NEEDS:
        raise InputError(f"{path}: expected a file that ends in {' or '.join(_NEEDS)}")
    for package in _NEEDS[path.suffix]:
        _need(str(path), package)


def contents(path: Path, table: Sequence[Mapping[str, Any]]) -> bytes:
    """What a file of this name, .csv or .parquet, holds for `rows`: figures in full, an empty cell where there is none.

    Parquet needs pandas and pyarrow.
    """
    check(path)
    if path.suffix == ".parquet":
        whole: bytes = frame(table).to_parquet(index=False, engine="pyarrow")
        return whole
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_TYPES), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()


def _need(what: str, package: str) -> None:
    if find_spec(package) is None:
        raise InputError(f"{what} needs {package}; pip install equipoise[tables], or write a .csv, which needs nothing")
