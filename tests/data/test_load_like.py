"""Images and vectors that are loaded as those of a run: `data.key` chooses the same array or column again."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from equipoise.data import load_data
from equipoise.data.load import load_like
from equipoise.data.settings import Data
from equipoise.errors import InputError

FIRST, SECOND = (np.random.default_rng(seed).integers(0, 256, (4, 8, 8), np.uint8) for seed in (0, 1))


def png(array: np.ndarray) -> bytes:
    file = BytesIO()
    Image.fromarray(array).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("name", ["v2.npz", "V2.NPZ"])
@pytest.mark.filterwarnings("ignore:.*are not read")
def test_the_array_of_a_run_is_read_again(name: str, tmp_path: Path) -> None:
    with open(tmp_path / name, "wb") as file:
        np.savez(file, images=FIRST, masks=SECOND)
    data = Data(name=str(tmp_path / name), key="masks")
    images = load_like(tmp_path / name, data, (1, 8, 8), None)
    assert np.array_equal(images.pixels(range(4))[:, 0], SECOND)


def test_the_column_of_a_run_is_read_again(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"image": [png(array) for array in FIRST], "mask": [png(array) for array in SECOND]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "two.parquet")
    data = Data(name=str(tmp_path / "two.parquet"), key="mask")
    expected = load_data(data.name, key="mask").pixels(range(4))
    assert np.array_equal(expected[:, 0], SECOND)
    assert np.array_equal(load_like(data.name, data, (1, 8, 8), None).pixels(range(4)), expected)
    # New pictures in a folder have no column.
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.png").write_bytes(png(FIRST[0]))
    assert np.array_equal(load_like(tmp_path / "new", data, (1, 8, 8), None).pixels([0])[0, 0], FIRST[0])


def test_the_factors_of_a_run_come_with_its_own_data_only(tmp_path: Path) -> None:
    for folder in ("own", "other"):
        (tmp_path / folder).mkdir()
        for number, array in enumerate(FIRST):
            (tmp_path / folder / f"{number}.png").write_bytes(png(array))
    table = tmp_path / "table.csv"
    table.write_text("file,kind\n" + "".join(f"{number}.png,{number % 2}\n" for number in range(4)))
    data = Data(name=str(tmp_path / "own"), factors=str(table))
    factors = load_like(tmp_path / "own", data, (1, 8, 8), None).factors
    assert factors is not None
    assert factors[:, 0].tolist() == [0, 1, 0, 1]
    assert load_like(tmp_path / "other", data, (1, 8, 8), None).factors is None


@pytest.mark.filterwarnings("ignore:.*are not read")
def test_the_array_of_a_run_of_vectors_is_read_again(tmp_path: Path) -> None:
    first, second = (np.random.default_rng(seed).normal(size=(9, 3)) for seed in (0, 1))
    np.savez(tmp_path / "two.npz", first=first, second=second)
    data = Data(name=str(tmp_path / "two.npz"), key="second")
    vectors = load_data(data.name, key="second")
    again = load_like(data.name, data, (1, 1, 3), None, vectors.scaling)
    np.testing.assert_array_equal(again.pixels(range(9)), vectors.pixels(range(9)))
    np.savez(tmp_path / "other.npz", third=first, fourth=second)
    with pytest.raises(InputError, match="the run was trained on vectors in the array second; give a table, or an arr"):
        load_like(tmp_path / "other.npz", data, (1, 1, 3), None, vectors.scaling)
