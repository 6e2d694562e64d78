"""Data frames and series of pandas as sources, and as factors: cells belong to images by position."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from equipoise.data import load_data, stored_shapes
from equipoise.errors import InputError

ORDER = [3, 1, 0, 5, 4, 2]
SHADES = [2, 2, 1, 1, 0, 0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures, 0.png to 5.png, with the values 0, 40, .. 200."""
    for i in range(6):
        Image.new("L", (8, 8), 40 * i).save(tmp_path / f"{i}.png")
    return tmp_path


def factors() -> pd.DataFrame:
    """The number of an image is also an angle, in falling order."""
    return pd.DataFrame({"angle": range(5, -1, -1), "shade": SHADES})


def test_a_column_of_whole_numbers_of_a_frame_is_a_factor(folder: Path) -> None:
    images = load_data(folder, factors=factors())
    assert images.factor_names == ("angle", "shade")
    assert images.factors is not None
    assert images.factors.tolist() == [[5, 2], [4, 2], [3, 1], [2, 1], [1, 0], [0, 0]]


def test_a_column_of_whole_numbers_of_a_table_does_not_name_the_images(folder: Path) -> None:
    factors().to_csv(folder / "factors.csv", index=False)
    with pytest.raises(InputError, match=r"factors\.csv has no column 'file' but angle, shade, and none that names"):
        load_data(folder)
    factors().assign(which=[f"{i}.png" for i in ORDER]).to_csv(folder / "factors.csv", index=False)
    with pytest.warns(UserWarning, match=r"factors\.csv: the column which names the images"):
        images = load_data(folder)
    assert images.factor_names == ("angle", "shade")
    assert images.factors is not None
    assert images.factors[ORDER].tolist() == factors().to_numpy().tolist()


def test_columns_beside_the_paths_of_a_frame_are_factors_of_their_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # paths such as 5.png, which the cell 5 names without the suffix
    for path in ("path", "which"):
        frame = factors().assign(**{path: [f"{i}.png" for i in ORDER]})
        images = load_data(frame)
        assert images.pixels(range(6))[:, 0, 0, 0].tolist() == [40 * i for i in ORDER]
        assert images.factor_names == ("angle", "shade")
        assert images.factors is not None
        assert images.factors.tolist() == factors().to_numpy().tolist()
        chosen = load_data(frame, factors=["shade"])
        assert chosen.factor_names == ("shade",)
        assert chosen.factors is not None
        assert chosen.factors[:, 0].tolist() == SHADES


def test_columns_beside_the_paths_that_are_no_factors_do_not_keep_the_pictures_from_being_read(folder: Path) -> None:
    paths = [str(folder / f"{i}.png") for i in range(6)]
    with pytest.warns(UserWarning, match="the data frame: note: not used as factors, since values are missing"):
        images = load_data(pd.DataFrame({"path": paths, "note": [*"abcab", None], "shade": SHADES}))
    assert images.factor_names == ("shade",)
    with pytest.warns(UserWarning, match=r"the data frame has no factor columns \(note \(one value only\)\)"):
        assert load_data(pd.DataFrame({"path": paths, "note": ["a"] * 6})).factors is None


def test_a_series_of_paths_is_read_by_position(folder: Path) -> None:
    paths = [str(folder / f"{i}.png") for i in range(6)]
    for series in (pd.Series(paths, index=ORDER), pd.Series(paths, index=list("abcdef"))):
        images = load_data(series)
        assert images.files == paths
        assert images.pixels(range(6))[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160, 200]
    assert load_data(pd.Series(paths)[2:]).files == paths[2:]
    arrays = pd.Series([np.full((8, 8), value, np.uint8) for value in (90, 30, 200)], index=[2, 1, 0])
    assert load_data(arrays).pixels(range(3))[:, 0, 0, 0].tolist() == [90, 30, 200]


def test_shapes_of_the_pictures_of_a_frame_are_those_of_their_files(folder: Path) -> None:
    frame = factors().assign(path=[str(folder / f"{i}.png") for i in ORDER])
    assert list(stored_shapes(frame)) == [(1, 8, 8)] * 6
    assert list(stored_shapes(frame["path"])) == [(1, 8, 8)] * 6
    assert list(stored_shapes(factors())) == [(1, 1, 2)]  # vectors
