"""Scores of one or several runs as a tidy table, one row per run and metric: CSV, pandas or Parquet."""

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
    "half": "float64",
    "baseline": "float64",
    "baseline_spread": "float64",
    "attainable": "float64",
    "n": "int64",
    "seconds": "float64",
    "convention": "str",
}
_NEEDS = {".csv": (), ".parquet": ("pandas", "pyarrow")}  # packages by the suffix of the file


def rows(scores: Mapping[str, Score], run: str, convention: str = "default") -> list[dict[str, Any]]:
    """Return a row for each metric, with the columns of `_TYPES`.

    Interval, baseline and ceiling are None for a score that has none.
    """
    return [
        {"run": run, "metric": name}
        | {column: getattr(score, column) for column in _TYPES if hasattr(score, column)}
        | {"convention": convention}
        for name, score in scores.items()
    ]


def frame(table: Sequence[Mapping[str, Any]]) -> Any:
    """Return `rows`, of one run or several, as a pandas data frame with NaN for None; `InputError` without pandas."""
    _require("a data frame", "pandas")
    import pandas as pd

    return pd.DataFrame(table, columns=list(_TYPES)).astype(_TYPES)


def check(path: Path) -> None:
    """Raise `InputError` if a table cannot be written to this file, because of its suffix or a missing package."""
    if path.suffix not in _NEEDS:
        raise InputError(f"{path}: expected a file that ends in {' or '.join(_NEEDS)}")
    for package in _NEEDS[path.suffix]:
        _require(str(path), package)


def contents(path: Path, table: Sequence[Mapping[str, Any]]) -> bytes:
    """Return `rows` as the content of a .csv or .parquet file, with all digits, and an empty cell for None.

    Raises `InputError` for another suffix, and for Parquet without pandas and pyarrow.
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


def _require(what: str, package: str) -> None:
    """Raise `InputError` if a package is not installed."""
    if find_spec(package) is None:
        raise InputError(f"{what} needs {package}; pip install equipoise[tables], or write a .csv, which needs nothing")
