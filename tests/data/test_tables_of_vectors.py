"""Vectors in files as people have them: identifiers, wide tables, bytes, and spectra with numbers in their names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from equipoise.data import export, load_data, tables
from equipoise.data.pairs import neighbours
from equipoise.errors import InputError


def names(source: object) -> tuple[str, ...]:
    scaling = load_data(source).scaling
    assert scaling is not None
    return scaling.names


def test_spectra_are_in_the_natural_order_of_their_names(tmp_path: Path) -> None:
    for number in (1, 2, 9, 10, 11, 100):
        np.save(tmp_path / f"s{number}.npy", np.array([number, number**2, 1.0 / number]))
    vectors = load_data(tmp_path)
    assert vectors.files == [f"s{number}.npy" for number in (1, 2, 9, 10, 11, 100)]
    np.testing.assert_allclose(vectors.vectors()[:, 0], [1, 2, 9, 10, 11, 100], rtol=1e-5)
    assert neighbours(vectors).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]]


def test_identifiers_with_underscores_are_text(tmp_path: Path) -> None:
    text = "sample,x\n" + "".join(f"2020_0{i},{i * i}\n" for i in range(1, 6))
    (tmp_path / "t.csv").write_text(text)
    with pytest.warns(UserWarning, match=r"not read: 1 column \(sample: text\)"):
        assert names(tmp_path / "t.csv") == ("x",)
    with pytest.warns(UserWarning, match=r"not read: 1 column \(sample: text\)"):
        assert names(pd.read_csv(tmp_path / "t.csv", dtype={"sample": str})) == ("x",)


def test_columns_that_are_called_by_numbers_with_underscores_have_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("2020_01,2020_02\n1,2\n3,5\n")
    assert names(tmp_path / "t.csv") == ("2020_01", "2020_02")


def test_a_line_of_a_spectrum_with_an_underscore_is_no_number(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    (tmp_path / "b.csv").write_text("1,2\n3,4_000\n")
    with pytest.raises(InputError, match=r"b\.csv: line 2 is neither a number nor a position and a number"):
        load_data(tmp_path)


def test_positions_of_spectra_are_compared_with_the_step_between_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("4.00e-7,1\n4.01e-7,2\n")
    (tmp_path / "b.csv").write_text("4.05e-7,1\n4.06e-7,3\n")
    with pytest.raises(InputError, match=r"b\.csv has other positions than a\.csv"):
        load_data(tmp_path)
    (tmp_path / "b.csv").write_text("4.00001e-7,2\n4.01e-7,3\n")
    assert len(load_data(tmp_path)) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "1,5\n2,7\n2,9\n",
            "the first numbers of its lines neither rise nor fall throughout, so they are no positions",
        ),
        ("1\t1,500\n2\t2,700\n", "has '1,500', which may be one number or several digits grouped"),
        ("1,500;2\n1,700;3\n", "has '1,500', which may be one number or several digits grouped"),
    ],
)
def test_commas_of_spectra_that_can_be_read_in_two_ways_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=rf"a\.csv.*{sentence}"):
        load_data(tmp_path)


def test_decimal_commas_between_tabs_or_semicolons(tmp_path: Path) -> None:
    for name, first, last in (("a.txt", "1,500", "2,75"), ("b.txt", "1,25", "3,5")):
        (tmp_path / name).write_text(f"wavelength;value\n400;{first}\n402,5;{last}\n")
    vectors = load_data(tmp_path, scaling="none")
    assert names(tmp_path) == ("400", "402.5")
    np.testing.assert_allclose(vectors.vectors(), [[1.5, 2.75], [1.25, 3.5]])


def test_a_folder_of_one_table_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    with pytest.raises(
        InputError, match=r"has one file, a\.csv, and such a folder has one for each vector; for a table"
    ):
        load_data(tmp_path)


def test_an_index_of_a_data_frame_with_the_name_of_a_column_is_refused() -> None:
    frame = pd.DataFrame({"kind": [1.0, 2.0], "x": [3.0, 4.0]}, index=pd.Index(["a", "b"], name="kind"))
    with pytest.raises(InputError, match="the data frame has an index and a column called kind; rename one of them"):
        load_data(frame)


def test_numbers_of_a_wide_table_are_not_read_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 20))).add_prefix("c").assign(kind=["a", "b"] * 25)
    columns: list[str] = []
    texts = tables.texts
    monkeypatch.setattr(tables, "texts", lambda column: columns.append(column.name) or texts(column))
    with pytest.warns(UserWarning, match=r"not read: 1 column \(kind: text\)"):
        load_data(frame)
    assert columns == ["kind"]
    vectors = load_data(frame, factors=["kind"])
    assert vectors.factors is not None
    assert vectors.factors[:, 0].tolist() == [0, 1] * 25


def test_columns_of_numbers_are_no_paths() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, None], "day": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    assert not tables.has_paths(frame)
    for cells in (["A.PNG", "b.jpg"], pd.Categorical(["a.png", "b.png"]), [Path("a.png"), Path("b.tiff")]):
        assert tables.has_paths(frame.assign(path=cells))


def test_bytes_that_are_no_pictures_do_not_make_pictures_of_a_table(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"key": [None, b"\x00\x01", b"\x7f"], "x": [1.0, 2.0, 4.0], "y": [3.0, 1.0, 2.0]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match=r"not read: 1 column \(key: text\)"):
        vectors = load_data(tmp_path / "t.parquet")
    np.testing.assert_allclose(vectors.vectors(), [[1, 3], [2, 1], [4, 2]], rtol=1e-6)


def test_vectors_are_not_written_to_parquet_without_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = load_data(np.random.default_rng(0).normal(size=(5, 3)))
    monkeypatch.setattr(tables, "find_spec", lambda name: None if name == "pandas" else name)
    for write in (lambda path: export.check_path(path, of_vectors=True), lambda path: export.to_path(vectors, path)):
        with pytest.raises(InputError, match=r"v\.parquet needs pandas and pyarrow; pip install .*, or write a \.csv"):
            write(tmp_path / "v.parquet")


def test_an_array_of_which_a_column_was_left_out_is_taken_again_by_the_numbers_of_the_others(tmp_path: Path) -> None:
    for constant, others in ((2, [0, 1]), (0, [1, 2]), (1, [0, 2])):
        values = np.random.default_rng(0).normal(size=(20, 3))
        values[:, constant] = 5
        np.save(tmp_path / "const.npy", values)
        with pytest.warns(UserWarning, match=rf"not read: 1 column \({constant}: one value only\)"):
            vectors = load_data(tmp_path / "const.npy")
        for source in (tmp_path / "const.npy", values, torch.tensor(values)):
            with pytest.warns(UserWarning, match=rf"not read: 1 column \({constant}\)"):
                again = load_data(source, scaling=vectors.scaling)
            np.testing.assert_allclose(again.pixels(range(20)), vectors.pixels(range(20)), rtol=1e-4)
        again = load_data(values[:, others], scaling=vectors.scaling)
        np.testing.assert_allclose(again.pixels(range(20)), vectors.pixels(range(20)), rtol=1e-4)
        with pytest.raises(
            InputError, match=rf"has 1 columns, and the run was trained on 2, numbered up to {others[1]}"
        ):
            load_data(values[:, :1], scaling=vectors.scaling)
    with pytest.raises(InputError, match="array has 4 columns, and the run was trained on 3; give as many"):
        load_data(
            np.zeros((2, 4)),
            scaling=load_data(pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0], "c": [1.0, 4.0]})).scaling,
        )
