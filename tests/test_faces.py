"""The example that draws cartoon faces: a folder of images and the table of their factors."""

import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import equipoise as eq

FACES = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "faces.py"))


@pytest.mark.parametrize("factor", range(6))
def test_each_factor_changes_its_part_of_the_face(factor: int) -> None:
    rows = {"skin": (10, 60), "hair": (0, 45), "width": (0, 64), "eyes": (20, 35), "mouth": (35, 56), "brows": (15, 30)}
    first, last = list(rows.values())[factor]
    values = [[value if k == factor else 0.5 for k in range(6)] for value in (0.0, 0.5, 1.0)]
    drawings = [np.asarray(FACES["face"](*row), dtype=float) for row in values]
    assert drawings[0].shape == (64, 64, 3)
    for one, other in pairwise(drawings):
        changed = np.abs(one - other).max((1, 2)) > 8
        assert changed.sum() > 3
        assert not changed[:first].any()
        assert not changed[last:].any()


def test_the_table_names_the_factors_of_each_file(tmp_path: Path) -> None:
    FACES["main"].__globals__["IMAGES"] = 3
    FACES["main"](tmp_path)
    images = eq.load_data(tmp_path / "faces", factors=tmp_path / "faces.csv")
    assert images.shape == (3, 64, 64)
    assert images.factor_names == FACES["FACTORS"]
    assert images.factors is not None
    again = FACES["face"](*np.loadtxt(tmp_path / "faces.csv", delimiter=",", skiprows=1, usecols=range(1, 7))[2])
    # The table has four digits, so smooth edges may differ a little.
    np.testing.assert_allclose(images.pixels([2])[0].transpose(1, 2, 0), np.asarray(again), atol=2)
