import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.data import factor_table, load_data, tables
from equipoise.data.labels import read_labels
from equipoise.errors import InputError

NAMES = ["a.png", "sub/b.png", "sub/c.png", "d.png"]


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def column(folder: Path, *cells: str) -> tuple[Any, int]:
    """One factor of as many images, and its size."""
    path = csv(folder, "factor", *(f'"{cell}"' for cell in cells))
    table = factor_table.read(path, len(cells))
    return table.values[:, 0].tolist(), table.sizes[0]


def test_rows_find_their_images_by_the_paths_in_any_order(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,file,shape", "3,d.png,square", "1,sub/b.png,heart", "2,./sub/c.png,square", "1,a.png,heart")
    table = factor_table.read(path, NAMES)
    assert table.names == ("x", "shape")
    assert table.words == {"x": ["1", "2", "3"], "shape": ["heart", "square"]}
    assert table.sizes == (3, 2)
    assert table.values.dtype == np.int64
    assert table.values.tolist() == [[0, 0], [0, 0], [1, 1], [2, 1]]


def test_without_files_row_i_is_of_image_i(tmp_path: Path) -> None:
    table = factor_table.read(csv(tmp_path, "x,y", "5,b", "7,a", "5,a"), 3)
    assert table.values.tolist() == [[0, 1], [1, 0], [0, 0]]


def test_whole_numbers_become_codes_in_the_order_of_their_size(tmp_path: Path) -> None:
    assert column(tmp_path, "10", "9", "-2", "9") == ([2, 1, 0, 1], 3)
    assert column(tmp_path, "1", "2", "3", "4") == ([0, 1, 2, 3], 4)  # though all differ
    assert column(tmp_path, "01", "1", "2") == ([0, 0, 1], 2)


def test_words_become_codes_in_the_order_of_the_alphabet(tmp_path: Path) -> None:
    assert column(tmp_path, "pear", "apple", "pear") == ([1, 0, 1], 2)
    assert column(tmp_path, "10", "x", "y") == ([0, 1, 2], 3)  # most are words
    assert column(tmp_path, "3_4", "2", "3_4") == ([1, 0, 1], 2)  # not the number 34


def test_an_accent_may_be_a_character_of_its_own(tmp_path: Path) -> None:
    assert column(tmp_path, "caf\u00e9", "cafe\u0301", "bar", "cafe") == ([2, 2, 0, 1], 3)


def test_numbers_with_decimal_commas_or_a_unit_are_numbers(tmp_path: Path) -> None:
    assert column(tmp_path, "2,5", "10,5", "100", "2,5") == ([2.5, 10.5, 100, 2.5], 0)
    assert column(tmp_path, "2,5", "1,500", "30") == ([2.5, 1.5, 30], 0)
    assert column(tmp_path, "0,125", "0,250", "-,5") == ([0.125, 0.25, -0.5], 0)
    assert column(tmp_path, "5%", "10%", "100%", "5 %") == ([0, 1, 2, 0], 3)
    assert column(tmp_path, "12.5 cm", "9 cm", "100 cm") == ([12.5, 9, 100], 0)
    assert column(tmp_path, "2,5%", "10%", "1%") == ([2.5, 10, 1], 0)
    assert column(tmp_path, "\u22122", "10", "-30") == ([1, 2, 0], 3)  # the minus sign of typesetters
    assert column(tmp_path, "1a", "1b", "2a") == ([0, 1, 2], 3)


def test_numbers_with_a_currency_or_a_power_of_a_unit_are_numbers(tmp_path: Path) -> None:
    for cells in (["$1.50", "$2.25", "$10"], ["$1,50", "$2,25", "$10"], ["USD 1.5", "USD 2.25", "USD 10"],
                  ["1.5 m2", "2.25 m2", "10 m2"], ["$1.5/kg", "$2.25/kg", "$10/kg"]):  # fmt: skip
        assert column(tmp_path, *cells) == ([1.5, 2.25, 10], 0)
    assert column(tmp_path, "-$5", "$3", "$-10") == ([1, 2, 0], 3)
    assert column(tmp_path, "EUR", "USD", "EUR") == ([0, 1, 0], 2)


GROUPED = {
    "$1,500": ["$900", "$1,500", "$2,000"],
    "USD 1,500": ["USD 900", "USD 1,500", "USD 2,000"],
    "1,500 m": ["900 m", "1,500 m", "2,000 m"],
    "1,500 m2": ["900 m2", "1,500 m2", "2,000 m2"],
    "1 500 m": ["900 m", "1 500 m", "2 000 m"],
    "1\u2009500 m": ["900 m", "1\u2009500 m"],
    "1'500 CHF": ["900 CHF", "1'500 CHF", "2'000 CHF"],
    "₹1,50,000": ["₹900", "₹1,50,000"],
    "1.500 €": ["900 €", "1.500 €", "2.000 €"],
    "1.500\u00a0€": ["900,5\u00a0€", "1.500\u00a0€"],
    "1.500 m": ["900 m", "1.500 m", "2.000 m"],
    "€1.500": ["€1.500", "€2.500"],  # prices rarely have three decimals
    "1.500.000 €": ["1.500.000 €", "900.000 €"],
    "$1,500.50": ["$1,500.50", "$900.25", "$2,000.00"],
}


@pytest.mark.parametrize("text", GROUPED)
def test_numbers_with_a_unit_whose_digits_may_be_grouped_are_refused(text: str, tmp_path: Path) -> None:
    place = f"line {GROUPED[text].index(text) + 2} has {re.escape(repr(text))} in the column factor"
    with pytest.raises(InputError, match=f"{place}, which may be one number or several digits grouped; write"):
        column(tmp_path, *GROUPED[text])


def test_points_that_no_group_of_digits_has_are_decimal(tmp_path: Path) -> None:
    assert column(tmp_path, "1.500 m", "2.250 m", "1.125 m") == ([1.5, 2.25, 1.125], 0)
    assert column(tmp_path, "0.500 m", "2 m", "1.125 m") == ([0.5, 2, 1.125], 0)
    assert column(tmp_path, "1.500 kg", "20 kg", "2.5 kg") == ([1.5, 20, 2.5], 0)
    assert column(tmp_path, "33.333%", "50%", "66.667%") == ([33.333, 50, 66.667], 0)


def test_words_with_decimals_are_in_the_order_of_these(tmp_path: Path) -> None:
    assert column(tmp_path, "x0.5", "x0.25", "x1", "x0.25") == ([1, 0, 2, 0], 3)
    assert column(tmp_path, "x1", "x1.5", "x10", "x1.25") == ([0, 2, 3, 1], 4)
    assert column(tmp_path, "v1.10", "v1.9", "v2.0") == ([1, 0, 2], 3)
    assert column(tmp_path, *["a 1.5-2", "a 1.25-3", "a 1.25-10"] * 2) == ([2, 0, 1] * 2, 3)


UNITS = {
    "1 cm, 5 mm, 20 mm": ["5 mm", "1 cm", "20 mm"],
    "1h, 30m, 90m": ["1h", "90m", "30m"],
    "1h30m, 45m": ["1h30m", "45m"],
    "1/2, 1/4": ["1/2", "1/4"],
    "$5, €3": ["$5", "€3"],
    "1 m, 2, 5 mm": ["1 m", "2", "5 mm"],
}


@pytest.mark.parametrize("order", UNITS)
def test_numbers_with_different_units_are_words_and_a_note_shows_their_order(order: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="different units") as notes:
        codes, size = column(tmp_path, *UNITS[order], *UNITS[order])
    assert [str(note.message).partition("table.csv: ")[2] for note in notes] == [
        "the column factor has numbers with different units or denominators, which are ordered as words: "
        f"{order}; write all with the same unit"
    ]
    words = order.split(", ")
    assert (codes, size) == ([words.index(cell) for cell in UNITS[order]] * 2, len(words))


MISSING = ["NA", "na", "N/A", "#N/A", "null", "NULL", "None", "<NA>", "-nan", "-", "--", "?", "none", "missing", "."]


@pytest.mark.parametrize("marker", MISSING)
def test_a_marker_of_a_missing_value_among_numbers_is_refused_with_its_row(marker: str, tmp_path: Path) -> None:
    for cells in (["9", "10", marker, "100", "2"], ["0,5", "1,5", marker, "2,5"], ["5%", marker, "7%"], ["1", marker]):
        place = f"line {cells.index(marker) + 2} has '{re.escape(marker)}' in the column factor, which marks a missing"
        with pytest.raises(InputError, match=rf"table\.csv: {place} value; fill it in, or leave that image out"):
            column(tmp_path, *cells)


@pytest.mark.parametrize(("table", "marker"), [("na", "NA"), ("dash", "-")])
def test_tables_with_a_missing_number_are_refused(table: str, marker: str) -> None:
    path = Path(__file__).parent / "files" / "tables" / f"{table}.csv"
    with pytest.raises(
        InputError, match=rf"{table}\.csv: line 4 has '{marker}' in the column a, which marks a missing"
    ):
        factor_table.read(path, [f"img{i}.png" for i in range(8)])


def test_markers_among_words_are_missing_unless_they_may_be_a_word(tmp_path: Path) -> None:
    for marker in ("NA", "null", "None", "n/a"):
        with pytest.raises(
            InputError, match=f"line 3 has '{marker}' in the column factor, which marks a missing value"
        ):
            column(tmp_path, "round", marker, "square")
    assert column(tmp_path, "none", "partial", "full") == ([1, 2, 0], 3)
    assert column(tmp_path, "+", "-", "+") == ([0, 1, 0], 2)


MIXED = {
    "a word": (["10", "9", "x"], "line 4 has 'x' .*, where 2 of 3 cells are numbers written in another way"),
    "a bound": (["1.5", "<0.1", "2.5", "3"], "line 3 has '<0.1' .*, where 3 of 4 cells"),
    "a bound and a unit": (["1.5 m", "<0.1 m", "3 m"], "line 3 has '<0.1 m' .*, where 2 of 3 cells"),
    "a percent sign": (["5", "10%", "100"], "line 3 has '10%' .*, where 2 of 3 cells .*; write that cell like them"),
    "a unit": (["5", "10", "100 mm"], "line 4 has '100 mm' .*, where 2 of 3 cells"),
    "a decimal comma": (["2.5", "10,5", "100.5"], "line 3 has '10,5' .*, where 2 of 3 cells"),
    "a group": (["900", "1,500", "2000"], "line 3 has '1,500' .*, where 2 of 3 cells"),
    "groups and none": (["1,500", "900", "2,000"], "line 2 has '1,500' .*, which may be one number or several"),
    "groups": (["1,500", "2,000", "3,250"], "line 2 has '1,500' .*, which may be one number or several digits grouped"),
    "an underscore": (["3_4", "2", "3"], "line 2 has '3_4' .*, where 2 of 3 cells"),
}


@pytest.mark.parametrize("case", MIXED)
def test_numbers_with_a_few_other_cells_are_refused_not_made_into_words(case: str, tmp_path: Path) -> None:
    cells, sentence = MIXED[case]
    with pytest.raises(InputError, match=rf"table\.csv: {sentence}"):
        column(tmp_path, *cells)


def test_numbers_that_repeat_become_codes_and_those_that_differ_stay(tmp_path: Path) -> None:
    assert column(tmp_path, "0.5", "0.25", "0.5", "0.25") == ([1, 0, 1, 0], 2)
    assert column(tmp_path, "0.5", "0.25", "1e-3", "0.25") == ([0.5, 0.25, 0.001, 0.25], 0)
    assert column(tmp_path, "1", "2.5", "3") == ([1, 2.5, 3], 0)


def test_codes_beside_continuous_factors_keep_their_sizes(tmp_path: Path) -> None:
    table = factor_table.read(csv(tmp_path, "angle,shape", "0.1,b", "0.2,a", "0.35,b"), 3)
    assert table.sizes == (0, 2)
    assert table.values.tolist() == [[0.1, 1], [0.2, 0], [0.35, 1]]


def test_a_spreadsheet_is_read_with_its_mark_and_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "table.CSV"
    path.write_bytes('\ufefffile,größe\r\na.png, 1 \r\n\r\n"sub/b.png",2\r\n'.encode())
    table = factor_table.read(path, NAMES[:2])
    assert table.names == ("größe",)
    assert table.values.tolist() == [[0], [1]]


def test_folders_are_a_factor(tmp_path: Path) -> None:
    table = factor_table.of_folders(tmp_path, ["cat/1.png", "dog/old/1.png", "cat/2.png"])
    assert table == (pytest.approx(np.array([[0], [1], [0]])), ("folder",), (2,), {"folder": ["cat", "dog"]})
    assert factor_table.of_folders(tmp_path, ["10/a.png", "9/a.png"]).values.tolist() == [[1], [0]]
    with pytest.raises(InputError, match=r"data\.factors=folders: .*x\.png is in no sub-folder; move it"):
        factor_table.of_folders(tmp_path, ["cat/1.png", "x.png"])


CLASSES = {
    "a continent": ["EU", "NA", "US"],
    "a word": ["1", "2", "none"],
    "others": ["1", "2", "3", "other"],
    "markers": ["-", "nan", "null"],
    "units": ["5", "10 mm", "x"],
    "infinity": ["1", "2", "inf"],
    "decimals": ["x0.25", "x0.5", "x10"],
}


@pytest.mark.parametrize("case", CLASSES)
def test_folders_of_classes_are_words(case: str, tmp_path: Path) -> None:
    names = CLASSES[case]
    table = factor_table.of_folders(tmp_path, [f"{name}/{i}.png" for i in range(3) for name in names[::-1]])
    assert table.words == {"folder": names}
    assert table.values[:, 0].tolist() == [*range(len(names))][::-1] * 3


def test_folders_of_numbers_are_numbers(tmp_path: Path) -> None:
    for names in (["-5", "0", "10"], ["0.5", "2", "10"], ["5%", "50%", "100%"], ["2 mm", "10 mm"]):
        table = factor_table.of_folders(tmp_path, [f"{name}/{i}.png" for i in range(3) for name in names[::-1]])
        assert table.values[:, 0].tolist() == [*range(len(names))][::-1] * 3
        assert [float(word) for word in table.words["folder"]] == [float(re.split("[ %]", name)[0]) for name in names]
    with pytest.raises(InputError, match=r"'1,500 m' in the column folder, which may be one number or several digits"):
        factor_table.of_folders(tmp_path, ["900 m/1.png", "1,500 m/1.png"])
    with pytest.warns(UserWarning, match=r"different units .* ordered as words: 1 cm, 5 mm; write"):
        factor_table.of_folders(tmp_path, ["5 mm/1.png", "1 cm/1.png"])


ROWS = ["a.png,1", "sub/b.png,1", "sub/c.png,2", "d.png,2"]
WRONG = {
    "missing row": (["file,x", *ROWS[:3]], r"1 image \(d\.png\) without a row; add it"),
    "missing rows": (["file,x", ROWS[0]], r"3 images \(sub/b\.png, sub/c\.png, d\.png\) without a row"),
    "stray row": (["file,x", *ROWS, "e.png,1"], r"1 row \(e\.png\) without an image; remove the row"),
    "second row": (["file,x", *ROWS, "./a.png,2"], r"line 6 is a second row for a\.png; leave one of them"),
    "empty cell": (["file,x", *ROWS[:3], "d.png, "], r"line 5 has an empty cell in the column x; fill it in"),
    "no number": (["file,x", *ROWS[:3], "d.png,NaN"], r"line 5 has an empty cell in the column x"),
    "infinite": (["file,x", *ROWS[:3], "d.png,inf"], r"the column x contains an infinite value"),
    "short row": (["file,x", *ROWS[:3], "d.png"], r"line 5 has 1 cells, expected 2; correct that row"),
    "long row": (["file,x", *ROWS[:3], "d.png,1,2"], r"line 5 has 3 cells, expected 2"),
    "no file": (["name,x", "cat,1", "dog,2"], r"has no column 'file' but name, x, and none that names the images; add"),
    "nothing": ([""], r"has no column 'file' but none at all"),
    "no factor": (["file", "a.png"], r"has no factor columns; add a column for each factor"),
    "no name": (["file,", *ROWS], r"a column has no name; give each column"),
    "same name": (["file,x,x", "a.png,1,1"], r"two columns are called x; give each column"),
    "open quote": (["file,x", 'a.png,"1'], r"cannot be read as CSV \(.+\); save it in UTF-8, with a comma, semicolon"),
}


@pytest.mark.parametrize("case", WRONG)
def test_table_that_does_not_fit_is_refused_with_its_reason(case: str, tmp_path: Path) -> None:
    lines, sentence = WRONG[case]
    with pytest.raises(InputError, match=rf"table\.csv:? .*{sentence}"):
        factor_table.read(csv(tmp_path, *lines), NAMES)


def test_many_images_without_a_row_are_counted_and_some_named(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(1000)]
    with pytest.raises(InputError, match=r"999 images \(1\.png, 2\.png, 3\.png, 4\.png, 5\.png and 994 more\)"):
        factor_table.read(csv(tmp_path, "file,x", "0.png,1"), names)


def test_table_of_an_array_needs_a_row_for_each_image_and_no_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 image \(image 2\) without a row"):
        factor_table.read(csv(tmp_path, "x", "1", "2"), 3)
    with pytest.raises(InputError, match=r"1 row \(line 3\) without an image"):
        factor_table.read(csv(tmp_path, "x", "1", "2"), 1)
    with pytest.raises(InputError, match=r"has a column 'file', but the images are not files"):
        factor_table.read(csv(tmp_path, "file,x", "a.png,1"), 1)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.factors: .*a\.xlsx is not a kind of table that is read; give a \.csv"):
        factor_table.read(tmp_path / "a.xlsx", NAMES)
    with pytest.raises(InputError, match=r"data\.factors: there is no file .*a\.csv; check the path"):
        factor_table.read(tmp_path / "a.csv", NAMES)
    (tmp_path / "a.csv").write_bytes(b"file,x\na.png,\xff\n")
    with pytest.raises(InputError, match=r"a\.csv cannot be read as CSV .*; save it in UTF-8"):
        factor_table.read(tmp_path / "a.csv", NAMES)


def test_two_tables_beside_the_images_are_one_too_many(tmp_path: Path) -> None:
    assert factor_table.find_table(tmp_path) is None
    (tmp_path / "factors.csv").touch()
    assert factor_table.find_table(tmp_path) == tmp_path / "factors.csv"
    (tmp_path / "factors.parquet").touch()
    with pytest.raises(InputError, match=r"factors\.csv and factors\.parquet; choose one of them"):
        factor_table.find_table(tmp_path)


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(tables, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(
        InputError, match=r"a\.parquet needs pandas and pyarrow; pip install equipoise\[tables\], or save .* \.csv"
    ):
        factor_table.read(tmp_path / "a.parquet", NAMES)


@pytest.mark.extra
def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame(
        {
            "file": NAMES,
            "shape": ["b", "a", "b", "a"],
            "x": [10, 9, 10, 9],
            "angle": [0.1, 0.25, 1e-9, 3.0],
            "lit": [True, False, True, True],
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame[::-1].to_parquet(tmp_path / "a.parquet")  # keeps the turned index as a column of its own
    expected, found = (factor_table.read(tmp_path / f"a.{kind}", NAMES) for kind in ("csv", "parquet"))
    assert found.names == expected.names == ("shape", "x", "angle", "lit")
    assert found.sizes == expected.sizes == (2, 2, 0, 2)
    assert np.array_equal(found.values, expected.values)

    frame.loc[2, "angle"] = np.nan
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"row 3 has an empty cell in the column angle"):
        factor_table.read(tmp_path / "a.parquet", NAMES)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"a\.parquet cannot be read as Parquet"):
        factor_table.read(tmp_path / "a.parquet", NAMES)


@pytest.mark.parametrize("header", ["", "index", "id"])
@pytest.mark.parametrize("numbers", ["201", "312"])
def test_rows_that_are_numbered_in_another_order_are_refused(header: str, numbers: str, tmp_path: Path) -> None:
    path = csv(tmp_path, f"{header},x", *(f"{number},{cell}" for number, cell in zip(numbers, "cab", strict=True)))
    with pytest.raises(InputError, match="numbers the rows in another order than theirs, and row i is taken for image"):
        factor_table.read(path, 3)
    table = factor_table.read(path, 3, ["x", header] if header else ["x", ""])
    assert table.values[:, -1].tolist() == [2, 0, 1], "unless the column is chosen as a factor"


@pytest.mark.filterwarnings("ignore:.*row numbers")
def test_row_numbers_in_order_and_those_of_other_rows_leave_row_i_with_image_i(tmp_path: Path) -> None:
    for numbers in ((0, 1, 2), (1, 2, 3), (7, 2, 5)):  # the last of a part of a larger table
        path = csv(tmp_path, "index,x", *(f"{number},{cell}" for number, cell in zip(numbers, "cab", strict=True)))
        assert factor_table.read(path, 3).values.tolist() == [[2], [0], [1]]


@pytest.mark.filterwarnings("ignore:.*row numbers")
def test_rows_of_a_table_of_vectors_belong_to_themselves_whatever_numbers_them(tmp_path: Path) -> None:
    path = csv(tmp_path, "id,a,x", "2,0.5,c", "0,1.5,a", "1,0.25,b")
    vectors = load_data(path, factors=["x"])
    assert vectors.factors is not None
    assert vectors.factors.tolist() == [[2], [0], [1]]
    labels = csv(tmp_path, "index,id,x", "0,3,b", "1,1,a", "2,2,b")
    assert read_labels(labels, vectors).table.values[:, -1].tolist() == [1, 0, 1]
