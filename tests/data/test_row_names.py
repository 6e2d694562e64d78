"""Vectors and their table of factors are joined by the names of their rows, if both have them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from equipoise.data import load_data
from equipoise.errors import InputError

RNG = np.random.default_rng(0)
ORDER = RNG.permutation(40)
VECTORS = pd.DataFrame(RNG.normal(size=(40, 3)), columns=list("abc"))
FACTORS = pd.DataFrame({"f": np.arange(40) // 4, "g": np.sin(np.arange(40))})
IDS = {
    "id": [*range(100, 140)],
    "sample": [f"s{i}" for i in range(40)],
    "patient_id": [*range(40)],
    "name": [*range(7, 47)],
    "where": [f"{'ab'[i % 2]}/{i}" for i in range(40)],
}


def factors(source: Any, table: Any, **how: Any) -> list[list[float]]:
    vectors = load_data(source, factors=table, **how)
    assert vectors.scaling is not None
    assert vectors.scaling.names == ("a", "b", "c")
    assert vectors.factor_names == ("f", "g")
    assert vectors.factors is not None
    rows: list[list[float]] = vectors.factors.tolist()
    return rows


@pytest.mark.parametrize("key", IDS)
@pytest.mark.filterwarnings("ignore:.*not read. 1 column")
def test_rows_in_another_order_are_joined_by_the_column_that_names_them(key: str, tmp_path: Path) -> None:
    VECTORS.assign(**{key: IDS[key]}).to_csv(tmp_path / "v.csv", index=False)
    table = FACTORS.assign(**{key: IDS[key]}).iloc[ORDER]
    table.to_csv(tmp_path / "f.csv", index=False)
    with pytest.warns(UserWarning, match=rf"f\.csv: the column {key} joins the rows with those of .*v\.csv"):
        assert factors(tmp_path / "v.csv", tmp_path / "f.csv") == FACTORS.to_numpy().tolist()
    with pytest.warns(UserWarning, match=rf"the data frame: the column {key} joins the rows with those of the data"):
        assert factors(VECTORS.assign(**{key: IDS[key]}), table) == FACTORS.to_numpy().tolist()


@pytest.mark.filterwarnings("ignore:.*not read. 1 column")
def test_an_index_of_words_joins_the_rows_of_data_frames_and_of_the_files_of_these(tmp_path: Path) -> None:
    for name in (None, "sample"):
        index = pd.Index(IDS["sample"], name=name)
        vectors, table = VECTORS.set_index(index), FACTORS.set_index(index).iloc[ORDER]
        with pytest.warns(UserWarning, match="joins the rows"):
            assert factors(vectors, table) == FACTORS.to_numpy().tolist()
        vectors.to_csv(tmp_path / "v.csv")
        table.to_csv(tmp_path / "f.csv")
        with pytest.warns(UserWarning, match="joins the rows"):
            assert factors(tmp_path / "v.csv", tmp_path / "f.csv") == FACTORS.to_numpy().tolist()
        with pytest.warns(UserWarning, match="joins the rows"):  # headers of names of rows, which differ
            assert factors(vectors, table.reset_index(names="name")) == FACTORS.to_numpy().tolist()
    with pytest.warns(UserWarning, match="joins the rows"):
        vectors = load_data(VECTORS.assign(id=IDS["id"]), factors=FACTORS.assign(id=IDS["id"])[::-1])
    assert vectors.factor_names == ("f", "g")


@pytest.mark.filterwarnings("ignore:.*not (read|used as factors)")
def test_rows_without_common_names_are_in_order() -> None:
    expected = FACTORS.to_numpy().tolist()
    assert factors(VECTORS, FACTORS) == expected
    assert factors(VECTORS.assign(id=IDS["id"]), FACTORS) == expected
    assert factors(VECTORS.assign(id=range(1000, 1040)), FACTORS.assign(id=range(40))) == expected
    assert factors(VECTORS.iloc[ORDER], FACTORS) == expected  # an index of whole numbers is of places
    table = FACTORS.assign(a=VECTORS["a"].to_numpy()[ORDER])  # numbers that name no rows
    assert load_data(VECTORS, factors=table[["f", "a"]]).factors[:, 0].tolist() == FACTORS["f"].tolist()  # type: ignore[index]


@pytest.mark.filterwarnings("ignore:.*not (read|used as factors)")
def test_names_that_overlap_or_contradict_each_other_are_refused(tmp_path: Path) -> None:
    VECTORS.assign(sample=IDS["sample"]).to_csv(tmp_path / "v.csv", index=False)
    for names, sentence in (
        ([*IDS["sample"][:-1], "t"], r"2 rows \(s39, t\) are in one of the two only"),
        (IDS["sample"][:-1], r"1 row \(s39\) is in one of the two only"),
    ):
        FACTORS[: len(names)].assign(sample=names).to_csv(tmp_path / "f.csv", index=False)
        with pytest.raises(
            InputError, match=rf"f\.csv: the column sample names the rows as in .*v\.csv, but {sentence}"
        ):
            load_data(tmp_path / "v.csv", factors=tmp_path / "f.csv")
    both = {"id": IDS["id"], "sample": IDS["sample"]}
    with pytest.raises(InputError, match=r"the columns id and sample join the rows with those of the data frame in"):
        load_data(VECTORS.assign(**both), factors=FACTORS.assign(id=IDS["id"], sample=IDS["sample"][::-1]))
    numbered = {"row": range(40), "sample": IDS["sample"]}  # anew, after the rows were put in another order
    with pytest.warns(UserWarning, match="the column sample joins"):
        found = load_data(
            VECTORS.assign(**numbered),
            factors=FACTORS.assign(**numbered).iloc[ORDER].assign(row=range(40))[["row", "sample", "f"]],
        )
    assert found.factors is not None
    assert found.factors[:, 0].tolist() == FACTORS["f"].tolist()


@pytest.mark.extra
def test_cells_of_anndata_are_joined_by_their_names(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "cells.h5ad", "w") as file:
        file["X"] = VECTORS.to_numpy()
        var, obs = file.create_group("var"), file.create_group("obs")
        var["_index"], obs["_index"] = [b"a", b"b", b"c"], [name.encode() for name in IDS["sample"]]
    FACTORS.set_index(pd.Index(IDS["sample"])).iloc[ORDER].to_csv(tmp_path / "f.csv")
    with pytest.warns(UserWarning, match="the first column joins the rows"):
        assert factors(tmp_path / "cells.h5ad", tmp_path / "f.csv") == FACTORS.to_numpy().tolist()
