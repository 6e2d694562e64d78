"""Tables as people have them: delimiters, names of images, columns that are no factors, and data frames."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.config import parse, resolve
from equipoise.data import factor_table, load_data
from equipoise.data.labels import read_labels
from equipoise.errors import InputError
from equipoise.metrics import score
from equipoise.metrics.inputs import words_as_codes

NAMES = ["a.png", "sub/b.png", "sub/C.PNG", "d.jpg"]
SIZES = ["2.5", "10", "30", "2.5"]
VALUES = [[2.5], [10], [30], [2.5]]


def read(folder: Path, text: str, images: Sequence[str] | int = NAMES, chosen: Sequence[str] = ()) -> Any:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return factor_table.read(path, images, chosen)


def rows(names: Sequence[str], values: Sequence[str] = SIZES, sign: str = ",", header: str = "file") -> str:
    return f"{header}{sign}size\n" + "".join(f"{n}{sign}{v}\n" for n, v in zip(names, values, strict=True))


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(sign: str, tmp_path: Path) -> None:
    assert read(tmp_path, rows(NAMES, sign=sign)).values.tolist() == VALUES
    assert read(tmp_path, f"sep={sign}\n" + rows(NAMES, sign=sign)).values.tolist() == VALUES
    if sign != ",":
        values = ["2,5", "10", "30", "2,5"]
        assert read(tmp_path, rows(NAMES, values, sign=sign)).values.tolist() == VALUES


def test_a_delimiter_in_a_header_or_a_number_divides_nothing(tmp_path: Path) -> None:
    text = "Kraft;Weg, mm\n57;12,34\n58;12,5\n57;3,25\n"
    table = read(tmp_path, text, 3)
    assert (table.names, table.values.tolist()) == (("Kraft", "Weg, mm"), [[0, 12.34], [1, 12.5], [0, 3.25]])
    table = read(tmp_path, "Kraft;Weg, mm;Zeit, s\n57;12,34;1,5\n58;12,5;2,5\n57;3,25;1,5\n", 3)
    assert table.names == ("Kraft", "Weg, mm", "Zeit, s")
    assert table.values.tolist() == [[0, 12.34, 1.5], [1, 12.5, 2.5], [0, 3.25, 1.5]]
    for sign in "|\t":
        assert read(tmp_path, text.replace(";", sign), 3).names == ("Kraft", "Weg, mm")
    assert read(tmp_path, 'x,"a;b"\n1,2\n2,1\n', 2).names == ("x", "a;b")
    assert read(tmp_path, "x,y;z,t\n1,2,3\n2,1,4\n", 2).names == ("x", "y;z", "t")  # most cells are not most rows
    for header in ("Kraft\tWeg, mm", "Kraft, a; b\tWeg, mm; x, y"):
        (tmp_path / "t.tsv").write_text(f"{header}\n57\t12,34\n58\t12,5\n57\t3,25\n")
        table = factor_table.read(tmp_path / "t.tsv", 3)
        assert (table.names, table.values.tolist()) == (tuple(header.split("\t")), [[0, 12.34], [1, 12.5], [0, 3.25]])
    vectors = load_data(tmp_path / "t.tsv")
    assert vectors.scaling is not None
    assert vectors.scaling.names == tuple(header.split("\t"))


def test_rows_that_two_delimiters_divide_are_refused_and_one_short_row_is_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table\.csv: the delimiter may be ';' or '\|', which all rows have equally"):
        read(tmp_path, "a;b|c\n1;2|3\n4;5|6\n", 2)
    assert read(tmp_path, "sep=;\na;b|c\n1;2|3\n4;5|4\n", 2).names == ("a", "b|c")
    with pytest.raises(InputError, match=r"table\.csv: line 3 has 1 cells, expected 2"):
        read(tmp_path, "Kraft;Weg, mm\n57;12,34\n58\n", 2)


def test_unicode_text_and_tsv_of_spreadsheets_are_read(tmp_path: Path) -> None:
    for name, encoding in (("a.tsv", "utf-8"), ("b.csv", "utf-16"), ("c.tsv", "utf-16"), ("d.csv", "utf-8-sig")):
        (tmp_path / name).write_text(rows(NAMES, sign="\t"), encoding=encoding)
        assert factor_table.read(tmp_path / name, NAMES).values.tolist() == VALUES


NAMED = {
    "full path": ["/data/images/a.png", "/data/images/sub/b.png", "/data/images/sub/C.PNG", "/data/images/d.jpg"],
    "backslashes": ["a.png", "sub\\b.png", "sub\\C.PNG", "d.jpg"],
    "drive": ["C:\\x\\a.png", "C:\\x\\sub\\b.png", "C:\\x\\sub\\C.PNG", "C:\\x\\d.jpg"],
    "other case": ["A.PNG", "Sub/B.png", "sub/c.png", "D.JPG"],
    "no suffix": ["a", "sub/b", "sub/C", "d"],
    "no folder": ["a.png", "b.png", "C.PNG", "d.jpg"],
    "dot": ["./a.png", "./sub/b.png", "./sub/C.PNG", "./d.jpg"],
    "spaces": [" a.png", "sub/b.png ", " sub/C.PNG ", "d.jpg"],
}


@pytest.mark.parametrize("case", NAMED)
def test_cells_that_nearly_name_an_image_are_understood(case: str, tmp_path: Path) -> None:
    assert read(tmp_path, rows(NAMED[case])).values.tolist() == VALUES


HEADERS = ["filename", "File", "file_name", "image", "Image Path", "path"]


@pytest.mark.parametrize("header", HEADERS)
def test_the_column_of_files_is_known_by_its_header(header: str, tmp_path: Path) -> None:
    table = read(tmp_path, rows(NAMES, header=header))
    assert (table.names, table.values.tolist()) == (("size",), VALUES)


@pytest.mark.parametrize("header", ["name", "which one"])
def test_a_column_of_files_that_is_known_by_its_cells_is_named(header: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=rf"table\.csv: the column {header} names the images"):
        table = read(tmp_path, rows(NAMES, header=header))
    assert (table.names, table.values.tolist()) == (("size",), VALUES)


def test_cells_that_may_mean_several_images_are_refused(tmp_path: Path) -> None:
    images = ["x/a.png", "y/a.png", "b.png", "b.jpg"]
    with pytest.raises(InputError, match=r"2 rows \(a\.png, b\) without an image"):
        read(tmp_path, rows(["x/a.png", "a.png", "b.png", "b"]), images)
    with pytest.raises(InputError, match=r"line 5 is a second row for b\.png"):
        read(tmp_path, rows(["x/a.png", "y/a.png", "b.png", "B.png"]), images)


LEFT_OUT = {
    "one value": (["5"] * 6, "one value only"),
    "dates": ([f"2024-01-0{i}" for i in (1, 1, 2, 2, 3, 3)], "dates"),
    "times": ([f"0{i}.05.2024 12:30" for i in range(1, 7)], "dates"),
    "free text": ([f"taken on day {i}" for i in range(6)], "a text for each image"),
    "other files": ([f"masks/{i}.png" for i in range(6)], "a text for each image"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_columns_that_are_no_factors_are_left_out_and_named(case: str, tmp_path: Path) -> None:
    cells, why = LEFT_OUT[case]
    text = "size,note\n" + "".join(f"{i % 3},{cell}\n" for i, cell in enumerate(cells))
    with pytest.warns(
        UserWarning, match=rf"table\.csv: not used as factors: note \({why}\)\. data\.factors chooses columns"
    ):
        table = read(tmp_path, text, 6)
    assert (table.names, table.sizes) == (("size",), (3,))
    table = read(tmp_path, text, 6, ["note"])  # chosen all the same
    assert table.names == ("note",)
    assert table.sizes == (len(set(cells)),)
    with pytest.raises(InputError, match=rf"has no factor columns \(note \({why}\)\)"):
        read(tmp_path, "note\n" + "\n".join(cells) + "\n", 6)


@pytest.mark.parametrize("header", ["", "Unnamed: 0", "index", "id"])
def test_a_column_of_row_numbers_is_left_out(header: str, tmp_path: Path) -> None:
    text = f"{header},file,size\n" + "".join(f"{i},{NAMES[i]},{SIZES[i]}\n" for i in range(4))
    with pytest.warns(UserWarning, match=rf"not used as factors: {header or 'the first column'} \(row numbers\)"):
        table = read(tmp_path, text)
    assert (table.names, table.values.tolist()) == (("size",), VALUES)


def test_words_of_many_images_are_factors_if_they_repeat(tmp_path: Path) -> None:
    words = [f"kind {i % 5}" for i in range(30)]
    assert read(tmp_path, "kind\n" + "\n".join(words), 30).sizes == (5,)
    assert read(tmp_path, "kind\nnone\npartial\nfull\n", 3).sizes == (3,)


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    for i in range(4):
        Image.fromarray(np.full((8, 8), 60 * i, np.uint8)).save(tmp_path / f"{i}.png")
    text = "file,a,b,c\n" + "".join(f"{i}.png,{i},{i % 2},x\n" for i in range(4))
    (tmp_path / "factors.csv").write_text(text)
    (tmp_path / "other.csv").write_text(text.replace("a,b,c", "p,q,r"))
    assert load_data(tmp_path, factors=["b"]).factor_names == ("b",)
    assert load_data(tmp_path, factors=("c", "a")).factor_names == ("a", "c")  # in the order of the table
    assert load_data(tmp_path, factors=[str(tmp_path / "other.csv"), "q"]).factor_names == ("q",)
    with pytest.raises(InputError, match=r"has no column 'bb', which data\.factors names; "):
        load_data(tmp_path, factors=["bb"])
    (tmp_path / "factors.csv").unlink()
    with pytest.raises(InputError, match=r"data\.factors names the columns b, and there is no factors\.csv"):
        load_data(tmp_path, factors=["b"])
    for text in ("[a, b]", '["a","b"]'):
        assert resolve({"data": "x", **parse([f"data.factors={text}"])}).data.factors == ("a", "b")
    assert resolve({"data": "x", "data.factors": ["a"]}).data.factors == ("a",)
    assert resolve({"data": "x", "data.factors": "a.csv"}).data.factors == "a.csv"


# --- data frames ----------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    names = [str(tmp_path / f"{i}.png") for i in range(4)]
    for i, name in enumerate(names):
        Image.fromarray(np.full((8, 8), 60 * i, np.uint8)).save(name)
    return names


def frame(files: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "file": files,
            "angle": [0.1, 0.25, 1e-9, 3.0],
            "kind": pd.Categorical(["b", "a", "b", "a"]),
            "n": [10, 9, 10, 9],
            "lit": [True, False, True, True],
        }
    )


EXPECTED = [[0.1, 1, 1, 1], [0.25, 0, 0, 0], [1e-9, 1, 1, 1], [3.0, 0, 0, 1]]


def test_a_data_frame_follows_the_rules_of_a_csv(files: list[str], tmp_path: Path) -> None:
    table = frame(files)
    shuffled = table.iloc[[2, 0, 3, 1]]
    table.to_csv(tmp_path / "t.csv", index=False)
    sources = {
        "csv": tmp_path / "t.csv",
        "frame": table,
        "shuffled": shuffled,
        "by index": shuffled.set_index("file"),
    }
    for name, factors in sources.items():
        images = load_data(tmp_path, factors=factors)
        assert images.factors is not None
        assert images.factors.tolist() == EXPECTED, name
        assert (images.factor_names, images.factor_sizes) == (("angle", "kind", "n", "lit"), (0, 2, 2, 2))
    array = np.stack([np.full((8, 8), 60 * i, np.uint8) for i in range(4)])
    images = load_data(array, factors=table.drop(columns="file"))
    assert images.factors is not None
    assert images.factors.tolist() == EXPECTED


@pytest.mark.parametrize(
    ("column", "cells", "sentence"),
    [
        ("n", [1, None, 2, 3], "row 2 has an empty cell in the column n"),
        ("n", ["1", "NA", "2", "3"], "row 2 has 'NA' in the column n, which marks a missing value"),
        ("n", ["1", "-", "2", "3"], "row 2 has '-' in the column n, which marks a missing value"),
        ("angle", [0.1, np.nan, 0.2, 0.3], "row 2 has an empty cell in the column angle"),
        ("angle", ["1.5", "<0.1", "2.5", "3"], "row 2 has '<0.1' in the column angle"),
    ],
)
def test_a_data_frame_refuses_what_a_csv_refuses(
    column: str, cells: list[Any], sentence: str, files: list[str], tmp_path: Path
) -> None:
    table = frame(files)
    table[column] = cells
    with pytest.raises(InputError, match=sentence):
        load_data(tmp_path, factors=table)
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(InputError, match=sentence.replace("row 2", "line 3")):
        load_data(tmp_path, factors=tmp_path / "t.csv")


def test_a_data_frame_of_paths_is_a_source(files: list[str]) -> None:
    table = frame(files).iloc[[2, 0, 3, 1]]
    for source in (table, table.rename(columns={"file": "which"}), table.set_index("file")):
        images = load_data(source)
        assert images.files == [files[i] for i in (2, 0, 3, 1)]
        assert images.pixels(range(4))[:, 0, 0, 0].tolist() == [120, 0, 180, 60]
        assert images.factors is not None
        assert images.factors.tolist() == [EXPECTED[i] for i in (2, 0, 3, 1)]
    assert load_data(table[["file"]]).factors is None
    vectors = load_data(table[["angle"]])  # without paths, a frame is a table of numbers
    assert vectors.scaling is not None
    assert vectors.scaling.names == ("angle",)


SIZES_IN_ORDER = pd.CategoricalDtype(["small", "medium", "large", "none"], ordered=True)


def test_ordered_categories_keep_their_order(files: list[str], tmp_path: Path) -> None:
    sizes = pd.Series(["large", "small", "none", "medium"], dtype=SIZES_IN_ORDER)
    expected = ("small", "medium", "large", "none"), [[2], [0], [3], [1]]
    table = pd.DataFrame({"file": files, "size": sizes})
    vectors = pd.DataFrame({"x": [0.5, 1.0, 2.0, 4.0], "size": sizes})
    sources: list[tuple[Any, Any]] = [
        (tmp_path, table), (tmp_path, table.set_index("file")), (table, None), (vectors, ["size"]),
        (vectors[["x"]], vectors[["size"]]), (np.zeros((4, 8, 8)), vectors[["size"]]),
    ]  # fmt: skip
    if find_spec("pyarrow"):
        table.to_parquet(tmp_path / "t.parquet")
        vectors.to_parquet(tmp_path / "v.parquet")
        sources += [(tmp_path, tmp_path / "t.parquet"), (tmp_path / "v.parquet", ["size"])]
    for source, factors in sources:
        images = load_data(source, factors=factors)
        assert images.factors is not None
        assert (images.factor_values["size"], images.factors.tolist()) == expected
    labels = read_labels(table, load_data(tmp_path))
    assert (tuple(labels.table.words["size"]), labels.table.values.tolist()) == expected
    numbers = pd.DataFrame({"file": files, "size": pd.Categorical([30, 7, 7, 9], [9, 30, 7], ordered=True)})
    assert load_data(tmp_path, factors=numbers).factors.tolist() == [[1], [2], [2], [0]]  # type: ignore[union-attr]
    table.loc[1, "size"] = None
    with pytest.raises(InputError, match="row 2 has an empty cell in the column size; fill it in"):
        load_data(tmp_path, factors=table)


def test_scores_take_ordered_categories_in_their_order() -> None:
    sizes = pd.Series(["large", "small", "none", "medium"] * 3, dtype=SIZES_IN_ORDER)
    found = words_as_codes(pd.DataFrame({"size": sizes, "kind": ["b", "a"] * 6}))
    assert found[:4].tolist() == [[2, 1], [0, 0], [3, 1], [1, 0]]
    sizes[3] = None
    with pytest.raises(InputError, match="factors: row 4 has an empty cell in the column size; fill it in"):
        score(np.zeros((12, 2)), pd.DataFrame({"size": sizes}), which=("mig",), interval=False)


def test_words_in_a_frame_or_an_array_are_scored_as_those_of_a_table() -> None:
    rng = np.random.default_rng(0)
    kind, size = rng.integers(0, 3, 500), rng.normal(size=500)
    codes = np.c_[kind, size] + 0.1 * rng.normal(size=(500, 2))
    words = np.array(["disc", "square", "star"])[kind]
    expected = score(codes, np.c_[kind, size], which=("mig", "sap"), interval=False)
    for factors in (
        pd.DataFrame({"kind": words, "size": size}),
        pd.DataFrame({"kind": pd.Categorical(words), "size": size}, index=words),
        np.c_[words, size.astype(str)],
    ):
        scores = score(codes, factors, which=("mig", "sap"), interval=False)
        assert {name: s.value for name, s in scores.items()} == {name: s.value for name, s in expected.items()}
    with pytest.raises(InputError, match=r"factors: row 3 has 'NA' in the column kind, which marks a missing value"):
        score(codes, pd.DataFrame({"kind": ["disc", "star", "NA", *words[3:]]}), which=("mig",))
