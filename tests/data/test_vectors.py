"""Vectors as data: what is read of tables and arrays, how columns are scaled, and what is refused."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from equipoise.data import Images, load_data
from equipoise.data.columns import Scaling
from equipoise.data.export import to_path
from equipoise.errors import InputError

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"a": RNG.normal(500, 20, 30), "b": RNG.normal(0, 1e-3, 30), "c": RNG.integers(0, 4, 30)})
KINDS = ["csv", "tsv", "parquet"]


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def names(images: Images) -> tuple[str, ...]:
    assert images.scaling is not None
    return images.scaling.names


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_a_table_are_standardised_and_come_back_in_its_units(kind: str, tmp_path: Path) -> None:
    vectors = load_data(write(TABLE, tmp_path / f"t.{kind}"))
    assert (len(vectors), vectors.shape, names(vectors)) == (30, (1, 1, 3), ("a", "b", "c"))
    values = vectors.floats(range(30)).reshape(30, 3)
    assert values.dtype == torch.float32
    torch.testing.assert_close(values.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(values.std(0, correction=0), torch.ones(3), atol=1e-5, rtol=0)
    np.testing.assert_allclose(vectors.vectors(), TABLE.to_numpy(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("minmax", 0.0, 1.0), ("none", TABLE.to_numpy().min(0), TABLE.to_numpy().max(0))]
)
def test_other_scalings(kind: str, low: Any, high: Any) -> None:
    vectors = load_data(TABLE, scaling=kind)
    values = vectors.pixels(range(30)).reshape(30, 3)
    np.testing.assert_allclose([values.min(0), values.max(0)], np.broadcast_to([low, high], (2, 3)) if kind == "none"
                               else [[low] * 3, [high] * 3], rtol=1e-6)  # fmt: skip
    np.testing.assert_allclose(vectors.vectors(), TABLE.to_numpy(), rtol=1e-5, atol=1e-8)


def test_a_scaling_survives_json() -> None:
    scaling = load_data(TABLE).scaling
    assert scaling is not None
    again = Scaling.from_dict(scaling.to_dict())
    np.testing.assert_array_equal(again.scale(TABLE.to_numpy()), scaling.scale(TABLE.to_numpy()))


def test_what_is_no_feature_is_left_out_and_named(tmp_path: Path) -> None:
    more = TABLE.assign(
        id=range(30),
        sample_id=range(100, 130),
        kind=["x", "y", "z"] * 10,
        one=1.0,
        day=["2024-03-01", "2024-03-02"] * 15,
    )
    for kind in ("csv", "tsv"):
        with pytest.warns(UserWarning, match="not read: 5 columns") as notes:
            assert names(load_data(write(more, tmp_path / f"t.{kind}"))) == ("a", "b", "c")
        text = str(notes[0].message)
        for about in ("id: row numbers", "sample_id: row numbers", "kind: text", "one: one value only", "day: dates"):
            assert about in text
        assert "data.factors=[NAME]" in text


@pytest.mark.parametrize("kind", KINDS)
def test_columns_of_the_table_itself_may_be_factors(kind: str, tmp_path: Path) -> None:
    path = write(TABLE.assign(kind=["x", "y", "z"] * 10), tmp_path / f"t.{kind}")
    vectors = load_data(path, factors=["kind", "c"])
    assert names(vectors) == ("a", "b")
    assert (vectors.factor_names, vectors.factor_sizes) == (("c", "kind"), (4, 3))
    assert vectors.factor_values["kind"] == ("x", "y", "z")
    np.testing.assert_array_equal(vectors.factors, np.c_[TABLE["c"], [0, 1, 2] * 10])
    with pytest.raises(InputError, match=r"has no column 'kinds', which data.factors names; did you mean kind"):
        load_data(path, factors=["kinds"])


def test_factors_may_be_in_a_table_beside_it(tmp_path: Path) -> None:
    write(TABLE[["c"]], tmp_path / "factors.csv")
    np.save(tmp_path / "v.npy", TABLE[["a", "b"]].to_numpy())
    vectors = load_data(tmp_path / "v.npy", factors=tmp_path / "factors.csv")
    assert (names(vectors), vectors.factor_names) == (("0", "1"), ("c",))


REFUSED: dict[str, tuple[pd.DataFrame, str]] = {
    "empty": (TABLE.assign(a=[None, *TABLE["a"][1:]]), r"(line 2|row 1) has (an empty cell|no value) in the column a"),
    "marker": (TABLE.astype(object).assign(b=["NA", *TABLE["b"][1:]]), "(NA|no value|an empty cell).* in the column b"),
    "infinite": (TABLE.assign(b=[*TABLE["b"][:-1], np.inf]), r"(line 31|row 30) has an infinite value in the column b"),
    "stray": (TABLE.astype(object).assign(b=["high", *TABLE["b"][1:]]), "'high' in the column b"),
    "no numbers": (pd.DataFrame({"a": ["x", "y"], "b": [1, 1]}), r"no column of numbers that vary \(a: text, b: one"),
    "no rows": (TABLE[:0], "has no rows"),
    "no columns": (TABLE[[]], "has no columns"),
    "paths": (
        TABLE.assign(file=[f"{i}.png" for i in range(30)]),
        "the column file names image files; give their folder",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_would_be_misread_is_refused(case: str, kind: str, tmp_path: Path) -> None:
    table, sentence = REFUSED[case]
    if kind == "parquet" and case in ("stray", "marker"):
        table = table.astype(str)
    path = tmp_path / f"t.{kind}"
    with pytest.raises(InputError, match=rf"t\.{kind}.*{sentence}"):
        load_data(write(table, path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2,3\n4,5,6\n", "the first line has numbers; add a line with the names of the columns"),
        ("a,a\n1,2\n3,4\n", "two columns are called a"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells, expected 2"),
    ],
)
def test_a_text_that_is_no_table_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        load_data(tmp_path / "t.csv")


def test_numbers_that_rise_may_name_the_columns_and_decimal_commas_are_read(tmp_path: Path) -> None:
    header = ";".join(str(400 + 2 * j) for j in range(20))
    rows = [";".join(f"{i},{j}" for j in range(20)) for i in range(3)]
    (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    vectors = load_data(tmp_path / "t.csv")
    assert vectors.scaling is not None
    assert vectors.scaling.axis is not None
    assert vectors.scaling.axis[:2].tolist() == [400, 402]
    np.testing.assert_allclose(vectors.vectors()[2, :2], [2.0, 2.1], rtol=1e-5)


def test_arrays_of_two_axes_are_vectors_and_of_three_are_images(tmp_path: Path) -> None:
    np.save(tmp_path / "two.npy", TABLE.to_numpy())
    np.save(tmp_path / "three.npy", np.zeros((5, 8, 8)))
    assert load_data(tmp_path / "two.npy").shape == (1, 1, 3)
    assert load_data(torch.tensor(TABLE.to_numpy())).shape == (1, 1, 3)
    images = load_data(tmp_path / "three.npy")
    assert (images.shape, images.scaling) == ((1, 8, 8), None)
    with pytest.raises(InputError, match="reshape it, or give vectors as floats"):
        load_data(np.zeros((8, 8), np.uint8))  # may be one picture
    with pytest.raises(InputError, match="row 1 has no value in the column 1"):
        load_data(np.array([[1.0, np.nan], [2.0, 3.0]]))


def test_an_npz_of_vectors_has_names_and_factors_and_is_what_is_written(tmp_path: Path) -> None:
    vectors = load_data(TABLE, factors=["c"])
    for kind in ("npz", "csv", *(["parquet"] if find_spec("pyarrow") else [])):
        to_path(vectors, tmp_path / f"v.{kind}")
        again = load_data(tmp_path / f"v.{kind}", factors=None if kind == "npz" else ["c"])
        assert (names(again), again.factor_names, again.factor_sizes) == (("a", "b"), ("c",), (4,))
        np.testing.assert_allclose(again.vectors(), TABLE[["a", "b"]], rtol=1e-5, atol=1e-8)
    to_path(vectors, tmp_path / "v.npy")
    np.testing.assert_allclose(np.load(tmp_path / "v.npy"), TABLE[["a", "b"]], rtol=1e-5, atol=1e-8)
    with pytest.raises(InputError, match=r"vectors are written to a \.csv"):
        to_path(vectors, tmp_path / "v.png")
    np.savez(tmp_path / "two.npz", first=TABLE.to_numpy(), second=TABLE.to_numpy())
    with pytest.raises(InputError, match="cannot tell which array"):
        load_data(tmp_path / "two.npz")
    with pytest.warns(UserWarning, match="second are not read"):
        assert load_data(tmp_path / "two.npz", key="first").shape == (1, 1, 3)


def test_new_rows_take_the_columns_of_a_run_by_name() -> None:
    scaling = load_data(TABLE).scaling
    assert scaling is not None
    expected = scaling.scale(TABLE.to_numpy())
    for table in (TABLE, TABLE[["c", "a", "b"]]):
        np.testing.assert_array_equal(load_data(table, scaling=scaling).pixels(range(30)), expected)
    with pytest.warns(UserWarning, match=r"not read: 1 column \(more\)"):
        more = load_data(TABLE.assign(more=1.0), scaling=scaling)
    np.testing.assert_array_equal(more.pixels(range(30)), expected)
    np.testing.assert_array_equal(load_data(TABLE.to_numpy(), scaling=scaling).pixels(range(30)), expected)
    for wrong, sentence in (
        (TABLE.drop(columns="b"), r"lacks 1 column \(b\) of those that the run was trained on; add it"),
        (TABLE.to_numpy()[:, :2], "array has 2 columns, and the run was trained on 3"),
        (TABLE.assign(b="x"), "the column b has text, and the run was trained on its numbers"),
        (TABLE.assign(b=np.nan), "row 1 has no value in the column b"),
        (TABLE.assign(b=1e9), "has 1e\\+09 in the column b, a million units of data.scaling=standardize away"),
    ):
        with pytest.raises(InputError, match=sentence):
            load_data(wrong, scaling=scaling)


@pytest.mark.parametrize("setting", ["size", "crop", "grey", "range", "skip_damaged"])
def test_settings_of_images_are_refused_for_vectors_and_the_other_way(setting: str) -> None:
    value: Any = {"size": 32, "crop": 16, "range": "0:1"}.get(setting, True)
    with pytest.raises(InputError, match=f"data.{setting}: only for images; remove it"):
        load_data(TABLE, **{setting: value})
    with pytest.raises(InputError, match=r"data\.scaling: only for vectors, such as a table; remove it"):
        load_data(np.zeros((4, 8, 8)), scaling="minmax")
    with pytest.raises(InputError, match=r"robust: no such data\.scaling; choose one of standardize"):
        load_data(TABLE, scaling="robust")


SPECTRA = RNG.normal(size=(4, 20)).round(4)


@pytest.mark.parametrize(
    ("suffix", "line"),
    [
        (".csv", "{0},{1}"),
        (".tsv", "{0}\t{1}"),
        (".txt", "{0}   {1}"),
        (".dat", "{0};{1}"),
        (".txt", "{1}"),
        (".npy", ""),
    ],
)
def test_a_folder_of_spectra_has_a_row_for_each_file(suffix: str, line: str, tmp_path: Path) -> None:
    folder = tmp_path / "spectra"
    folder.mkdir()
    for i, values in enumerate(SPECTRA):
        path = folder / f"s{i}{suffix}"
        if suffix == ".npy":
            np.save(path, values)
            continue
        rows = [line.format(400 + 2.5 * j, value) for j, value in enumerate(values)]
        path.write_text("\n".join(["# made by hand", "wavelength;value", *rows]) + "\n")
    (folder / "factors.csv").write_text("file,kind\n" + "".join(f"s{i}{suffix},{i % 2}\n" for i in (3, 2, 1, 0)))
    vectors = load_data(folder)
    np.testing.assert_allclose(vectors.vectors(), SPECTRA, atol=1e-5)
    assert names(vectors)[:2] == (("400", "402.5") if "{0}" in line else ("0", "1"))
    assert vectors.files == [f"s{i}{suffix}" for i in range(4)]
    np.testing.assert_array_equal(vectors.factors, [[0], [1], [0], [1]])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,2\n3,4\n", r"b\.csv has 2 lines of 2 numbers, and a\.csv 3 of 2; bring all to the same positions"),
        ("1,2\n3,4\n6,6\n", r"b\.csv has other positions than a\.csv"),
        ("1,2\n3,nan\n5,6\n", r"b\.csv has no value in the column 3"),
        ("1,2\n3,high\n5,6\n", r"b\.csv: line 2 is neither a number nor a position and a number"),
        ("1,2,3\n", "line 1 is neither a number"),
        ("\n", "has no numbers"),
    ],
)
def test_spectra_that_do_not_fit_each_other_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,1\n3,5\n5,3\n")
    (tmp_path / "b.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        load_data(tmp_path)


@pytest.mark.extra
@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
def test_anndata_is_read_with_h5py(kind: str, tmp_path: Path) -> None:
    import h5py
    import scipy.sparse

    path, matrix = tmp_path / "cells.h5ad", np.where(RNG.random((12, 5)) < 0.5, 0, RNG.integers(1, 9, (12, 5)))
    matrix[:, 4] = 0
    with h5py.File(path, "w") as file:
        if kind == "dense":
            file["X"] = matrix
        else:
            sparse = getattr(scipy.sparse, f"{kind}_matrix")(matrix)
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = f"{kind}_matrix", matrix.shape
            for name in ("data", "indices", "indptr"):
                group[name] = getattr(sparse, name)
        var, obs = file.create_group("var"), file.create_group("obs")
        var.attrs["_index"], var["gene"] = "gene", [f"gene{j}".encode() for j in range(5)]
        obs.attrs["_index"], obs["_index"] = "_index", [f"cell{i}".encode() for i in range(12)]
        types = obs.create_group("type")
        types["categories"], types["codes"] = [b"B", b"T"], np.array([0, 1] * 6, np.int8)
        file.create_group("obsm")["X_pca"] = matrix[:, :2].astype(float)
    with pytest.warns(UserWarning, match=r"not read: 1 column \(gene4: one value only\)"):
        cells = load_data(path, factors=["type"])
    assert (names(cells), cells.factor_values) == (("gene0", "gene1", "gene2", "gene3"), {"type": ("B", "T")})
    np.testing.assert_allclose(cells.vectors(), matrix[:, :4], atol=1e-5)
    assert load_data(path, key="obsm/X_pca").shape == (1, 1, 2)
    with pytest.raises(InputError, match="has no array of numbers raw/X; expected AnnData, and data"):
        load_data(path, key="raw/X")
    for key in ("obsm", "obs/type", "var/gene"):
        with pytest.raises(InputError, match=rf"cells\.h5ad has no array of numbers {key}; expected AnnData, and data"):
            load_data(path, key=key)
    with h5py.File(path, "a") as file:
        del file["var"]["gene"]
    with pytest.raises(InputError, match=r"cells\.h5ad has no names of the columns in var/gene; write the file again"):
        load_data(path)
    with h5py.File(path, "a") as file:
        del file["obs"]
        file["obs"] = np.array([(b"cell", 1)] * 12, [("index", "S4"), ("type", "i8")])
    with pytest.raises(InputError, match=r"cells\.h5ad has the format of AnnData before 0\.7; read it with"):
        load_data(path, key="obsm/X_pca")


def test_booleans_of_a_text_file_are_numbers_as_in_a_data_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame({"on": [True, False, True], "x": [1.0, 2.0, 4.0]})
    for vectors in (load_data(frame), load_data(write(frame, tmp_path / "t.csv"))):
        np.testing.assert_allclose(vectors.vectors(), [[1, 1], [0, 2], [1, 4]], atol=1e-6)


def test_the_index_of_a_data_frame_is_no_feature() -> None:
    frame = pd.DataFrame({"x": RNG.normal(size=6)}, index=pd.MultiIndex.from_product([[1, 2], [1, 2, 3]]))
    assert names(load_data(frame)) == ("x",)
    frame.index = pd.Index(list("ababab"), name="kind")
    vectors = load_data(frame, factors=["kind"])
    assert names(vectors) == ("x",)
    assert vectors.factors is not None
    assert vectors.factors.tolist() == [[0], [1]] * 3


@pytest.mark.parametrize("name", ["PassengerId", "SampleID", "patient_id"])
def test_numbers_of_rows_are_no_feature_whatever_their_case(name: str) -> None:
    with pytest.warns(UserWarning, match=rf"not read: 1 column \({name}: row numbers\)"):
        assert names(load_data(pd.DataFrame({name: [7, 8, 9], "x": [0.5, 1.0, 2.0]}))) == ("x",)


@pytest.mark.parametrize(
    ("kind", "values"),
    [("standardize", [1e200, 3e200]), ("standardize", [1e-320, 3e-320]), ("minmax", [-1.7e308, 1.7e308])],
)
def test_values_beyond_the_range_of_floats_are_refused(kind: str, values: list[float]) -> None:
    with pytest.raises(InputError, match="the column a has values that are too large or too small to be scaled"):
        load_data(pd.DataFrame({"a": values, "b": [1.0, 2.0]}), scaling=kind)


def test_odd_arrays_are_read_rightly_or_refused() -> None:
    values = RNG.normal(size=(5, 3))
    plain = load_data(values).vectors()
    np.testing.assert_array_equal(load_data(values.view(np.matrix)).vectors(), plain)
    np.testing.assert_array_equal(load_data(torch.from_numpy(values.astype(np.float32)).to_sparse()).vectors(),
                                  load_data(values.astype(np.float32)).vectors())  # fmt: skip
    with pytest.raises(InputError, match=r"array: 1 values are masked; fill them: array\.filled"):
        load_data(np.ma.masked_greater_equal(values, values.max()))
    with pytest.raises(InputError, match=r"which is not dense; give its \.toarray"):
        load_data(scipy.sparse.csr_matrix(values))
    with pytest.raises(InputError, match="has one row; give a table"):
        load_data(values[:1])


def test_why_a_table_has_no_features_is_one_sentence(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": [1, 2, 3], "b": [3, 4, 6]})
    with pytest.raises(InputError, match="no column of numbers that vary beside the factors; add one"):
        load_data(table, factors=["a", "b"])
    with pytest.raises(InputError, match=r"or columns as \[a\]"):
        load_data(table, factors="a")
    with pytest.raises(InputError, match=r"line 3 has 'NA' in the column a, .* leave that row out"):
        load_data(text_file(tmp_path, "a,b\n1,2\nNA,3\n4,5\n"))
    with pytest.warns(UserWarning, match=r"1 column \(c: no values\)"):
        load_data(text_file(tmp_path, "a,b,c\n1,2,\n3,4,\n"))
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match=r"cut\.parquet cannot be read as Parquet .*; save it again"):
        load_data(tmp_path / "cut.parquet")


def text_file(folder: Path, text: str) -> Path:
    (folder / "text.csv").write_text(text)
    return folder / "text.csv"


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_a_column_that_differs_by_rounding_alone_is_constant(kind: type[np.floating[Any]]) -> None:
    values = RNG.normal(size=(30, 3)).astype(kind)
    values[:, 1] = np.where(RNG.random(30) < 0.5, kind(0.3), kind(0.3) * (1 + 2 * np.finfo(kind).eps))
    with pytest.warns(UserWarning, match=r"not read: 1 column \(1: one value only, up to rounding\)"):
        assert names(load_data(values)) == ("0", "2")
    values[:, 1] = 1e4 + RNG.integers(0, 40, 30) * kind(1e-2)  # little of a large value, and no rounding
    assert names(load_data(values)) == ("0", "1", "2")


def test_a_column_of_text_that_differs_by_rounding_alone_is_constant(tmp_path: Path) -> None:
    table = TABLE.assign(total=np.where(TABLE["c"] > 1, 0.1 + 0.2, 0.3))
    with pytest.warns(UserWarning, match=r"total: one value only, up to rounding"):
        assert names(load_data(write(table, tmp_path / "t.csv"))) == ("a", "b", "c")
