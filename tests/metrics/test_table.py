"""The tidy table of scores: its columns, its figures, and what it asks of the machine."""

import io
import math
from pathlib import Path

import pandas as pd
import pytest

from equipoise.errors import InputError
from equipoise.metrics import Score, table

SPREAD = ["low", "high", "half", "baseline", "baseline_spread"]
COLUMNS = ["run", "metric", "value", *SPREAD, "attainable", "n", "seconds", "convention"]
SCORES = {
    "mig": Score(1 / 3, low=0.1, high=0.5, n=100, seconds=0.25, attainable=0.9),
    "irs": Score(math.nan, n=100, seconds=0.5, baseline=0.4),
}


def test_every_run_and_metric_has_a_row_of_plain_figures() -> None:
    rows = table.rows(SCORES, "runs/a", "locatello")
    assert [list(row) for row in rows] == [COLUMNS, COLUMNS]
    assert list(rows[0].values()) == ["runs/a", "mig", 1 / 3, 0.1, 0.5, None, None, None, 0.9, 100, 0.25, "locatello"]


def test_frame_has_figures_where_nothing_is_known() -> None:
    bare = {name: Score(score.value, n=score.n) for name, score in SCORES.items()}
    for scores in (SCORES, bare, {}):
        frame = table.frame(table.rows(scores, "a") + table.rows(scores, "b"))
        assert list(frame) == COLUMNS
        assert len(frame) == 2 * len(scores)
        assert {name: kind.kind for name, kind in frame.dtypes.items() if kind.kind in "fi"} == {
            **dict.fromkeys(("value", *SPREAD, "attainable", "seconds"), "f"),
            "n": "i",
        }
    whole = table.frame(table.rows(SCORES, "a"))
    assert whole["baseline"].isna().tolist() == [True, False]


def test_csv_keeps_every_digit_and_leaves_a_cell_empty_where_there_is_none() -> None:
    rows = table.rows(SCORES, "runs/a, the first")
    text = table.contents(Path("scores.csv"), rows).decode()
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert text.splitlines()[1] == '"runs/a, the first",mig,0.3333333333333333,0.1,0.5,,,,0.9,100,0.25,default'
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), table.frame(rows), check_dtype=False)


@pytest.mark.extra
def test_parquet_gives_the_same_frame_back() -> None:
    rows = table.rows(SCORES, "runs/a")
    file = io.BytesIO(table.contents(Path("scores.parquet"), rows))
    pd.testing.assert_frame_equal(pd.read_parquet(file), table.frame(rows), check_dtype=False)


def test_file_that_cannot_be_written_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"scores.xlsx: expected a file that ends in .csv or .parquet"):
        table.check(Path("scores.xlsx"))
    monkeypatch.setattr(table, "find_spec", lambda package: None if package == "pandas" else object())
    table.check(Path("scores.csv"))
    said = r"needs pandas; pip install equipoise\[tables\], or write a .csv, which needs nothing"
    with pytest.raises(InputError, match=rf"scores.parquet {said}"):
        table.check(Path("scores.parquet"))
    with pytest.raises(InputError, match=rf"a data frame {said}"):
        table.frame([])
