"""Which column of a table names the images, and which image a cell means."""

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.data import Images, load_data
from equipoise.data.image_names import file_column, finder
from equipoise.data.labels import image_finder
from equipoise.errors import InputError
from equipoise.text_column import is_row_name

DIGITS = ["0.png", "1.png", "2.png", "3.png"]


def column(header: str, *rows: str, images: list[str] | None = None) -> int | None:
    cells = [(f"line {number}", row.split(",")) for number, row in enumerate(rows, 2)]
    return file_column("table.csv", header.split(","), cells, finder(images or DIGITS), has_files=True)


def test_an_image_in_another_folder_is_another_image() -> None:
    find = finder(["test/1.png", "2.png"])
    assert find("test/1.png") == find("data\\test\\1.PNG") == find("1.png") == 0
    assert find("train/1.png") is None
    assert find("any/where/2.png") == 1


def test_a_name_is_found_with_its_accent_as_a_character_of_its_own() -> None:
    composed, decomposed = unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.png")
    assert composed != decomposed
    assert finder([decomposed])(composed) == finder([composed])(decomposed) == 0
    assert finder([composed, decomposed])(decomposed) == 1


def test_the_numbers_that_pandas_writes_before_the_rows_are_no_names() -> None:
    rows = ("0,3.png,a", "1,2.png,b", "2,1.png,a", "3,0.png,b")
    for header in (",name,kind", "Unnamed: 0,name,kind", "index,name,kind"):
        with pytest.warns(UserWarning, match=r"table\.csv: the column name names the images"):
            assert column(header, *rows) == 1


def test_a_column_of_labels_is_not_taken_for_the_names() -> None:
    with pytest.warns(UserWarning, match="the column id names the images"):
        assert column("label,id,kind", "0,3,1", "1,2,0", "0,1,1", "1,0,0") == 1


def test_two_columns_of_other_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"the columns number and id name different images; rename the correct column"):
        column("number,id", "0,3", "1,2", "2,1", "3,0")
    assert column("rank,path", "0,3", "1,2", "2,1", "3,0") == 1
    with pytest.warns(UserWarning, match="the column number names the images"):  # and the column name the same ones
        assert column("number,name", "0,0.png", "1,1.png", "2,2.png", "3,3.png") == 0


@pytest.mark.parametrize("header", ["angle", "", "index", "label"])
def test_whole_numbers_name_images_by_their_header_only(header: str) -> None:
    assert column(f"{header},shade", "3,0", "2,0", "1,1", "0,1") is None
    with pytest.warns(UserWarning, match="the column which names the images"):
        assert column(f"{header},which", "3,0.png", "2,1.png", "1,2.png", "0,3.png") == 1


def test_a_table_without_names_of_columns_is_refused() -> None:
    with pytest.raises(InputError, match="the first line names an image; add a line with the names of the columns"):
        column("0.png,7", "1.png,8", "2.png,7", "3.png,8")


@pytest.mark.parametrize(
    ("factors", "kind"),
    [([], "list"), (3, "int"), (np.arange(2), "ndarray"), (pd.Series([0, 1]), "Series"), ({"a": [0, 1]}, "dict")],
)
def test_factors_of_another_type_are_refused_in_one_sentence(factors: Any, kind: str, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / name)
    with pytest.raises(InputError, match=f"data.factors is a {kind}; expected the path of a table, names of its colum"):
        load_data(tmp_path, factors=factors)


def test_a_number_of_thousands_of_digits_is_no_image() -> None:
    find = image_finder(Images(np.zeros((3, 1, 8, 8), np.uint8), name="three"))
    assert [find("2"), find("3"), find("-1"), find("1" * 5000), find(""), find("02")] == [2, None, None, None, None, 2]


@pytest.mark.parametrize("names", [np.array(["shape"]), pd.Index(["shape"]), ("shape",)])
def test_names_of_columns_may_be_an_array(names: Any, tmp_path: Path) -> None:
    for i in range(4):
        Image.new("L", (8, 8), 60 * i).save(tmp_path / f"{i}.png")
    rows = "".join(f"{i}.png,{i % 2},{i // 2}\n" for i in range(4))
    (tmp_path / "factors.csv").write_text(f"file,scale,shape\n{rows}")
    images = load_data(tmp_path, factors=names)
    assert images.factors is not None
    assert images.factors.tolist() == [[0], [0], [1], [1]]


@pytest.mark.parametrize("header", ["", "Unnamed: 0", "unnamed:_0", "index", "ID", "row "])
def test_headers_of_row_numbers_are_known_in_any_spelling(header: str) -> None:
    assert is_row_name(header)
    assert is_row_name(header, is_unnamed=True) == (header[:1] in ("", "U", "u"))
    assert not is_row_name("file")
    assert not is_row_name("rows")
