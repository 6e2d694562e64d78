"""Bins, labels, tables and information against the plain definitions."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from equipoise.metrics import ScoreWarning, score
from equipoise.metrics.discretise import binned, encoded, entropy, factor_labels, gap, mutual_information, tables
from equipoise.metrics.inputs import pair


def searched(column: np.ndarray, bins: int, edges: str) -> np.ndarray:
    """Bins by search, in the arithmetic of scikit-learn's scaler and of NumPy's histogram."""
    if edges == "unit":
        scale = 1 / (np.ptp(column) or 1)
        column = column * scale + (0 - column.min() * scale)
        cuts = np.linspace(0, 1, bins + 1)
    else:
        half = 0 if np.ptp(column) else 0.5
        cuts = np.linspace(column.min() - half, column.max() + half, bins + 1)
    return np.digitize(column, cuts[:-1]) - 1


COLUMNS = {
    "normal": np.random.default_rng(0).standard_normal(2000),
    "six levels": np.random.default_rng(1).integers(6, size=2000) / 5,
    "forty levels": np.random.default_rng(2).integers(40, size=2000) * np.pi / 39 - 1,
    "constant": np.full(50, 0.1),
    "large": 1e8 + np.random.default_rng(3).integers(30, size=2000) * 1e-7,
    "tiny": np.random.default_rng(4).random(2000) * 1e-300,
    "two neighbours": np.array([1.0, np.nextafter(1, 2)] * 10),
    "skewed": np.random.default_rng(5).standard_cauchy(2000),
}


@pytest.mark.parametrize("edges", ["unit", "range"])
@pytest.mark.parametrize("bins", [2, 10, 20, 33])
@pytest.mark.parametrize("name", COLUMNS)
def test_bins_equal_a_search_for_values_on_edges_too(name: str, bins: int, edges: str) -> None:
    column = COLUMNS[name]
    both = np.column_stack([column, column[::-1]])
    found = binned(both, bins, edges)
    assert np.array_equal(found[:, 0], searched(column, bins, edges))
    assert np.array_equal(found[:, 1], found[::-1, 0])
    assert found.min() >= 0
    assert found.max() < bins


def test_labels_are_counted_from_zero_in_order_of_value() -> None:
    for column in (np.array([7, -2, 7, 10**12]), np.array([0.5, -1.5, 0.5, 3.0]), np.array([3, 1, 3, 9])):
        labels, values = encoded(column)
        assert labels.tolist() == [1, 0, 1, 2]
        assert values == 3


def test_only_fractions_of_many_values_are_continuous() -> None:
    rng = np.random.default_rng(0)
    codes = rng.random((3600, 2))
    columns = [np.arange(3600) % 60, np.arange(3600) % 61 / 61, rng.random(3600)]
    kinds = factor_labels(pair(codes, np.column_stack(columns)), None)
    assert [values for _, values in kinds] == [60, 10, 10]  # sqrt(3600) = 60 values are still labels


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64])
def test_whole_numbers_are_labels_in_every_type_of_array(dtype: type) -> None:
    """360 degrees with a warning, as many pixels as rows as a continuous factor."""
    codes = np.random.default_rng(0).random((3000, 2))
    degrees, pixels = np.arange(3000) % 360, np.arange(3000) % 1600
    with pytest.warns(ScoreWarning, match="factor 1 has 360 whole-number values for 3000 rows") as caught:
        kinds = factor_labels(pair(codes, np.column_stack([pixels, degrees]).astype(dtype)), None)
    assert [values for _, values in kinds] == [10, 360]
    assert len(caught) == 1
    cut = factor_labels(pair(codes, degrees[:, None].astype(dtype)), 20)
    assert [values for _, values in cut] == [20]


def test_one_set_of_factors_has_one_score() -> None:
    rng = np.random.default_rng(0)
    factors = np.column_stack([rng.integers(0, 360, 1000), rng.integers(0, 3, 1000)])
    codes = factors / [360, 1] + 0.05 * rng.normal(size=(1000, 2))
    found = []
    for dtype in (np.int64, np.float64):
        with pytest.warns(ScoreWarning, match="factor 0 has 335 whole-number values"):
            scores = score(codes, factors.astype(dtype), which=("mig", "dcimig", "irs", "factor_vae"), interval=False)
        found.append({name: result.value for name, result in scores.items()})
    assert found[0] == found[1]


def test_information_equals_the_definition() -> None:
    rng = np.random.default_rng(1)
    labels, codes = rng.integers(4, size=3000), rng.standard_normal((3000, 3))
    codes[:, 1] += labels
    bins = binned(codes, 7, "range")
    counts = tables(labels, 4, bins, 7)
    assert counts.sum(axis=(0, 2)).tolist() == [3000] * 3
    expected = [mutual_info_score(labels, column) for column in bins.T]
    np.testing.assert_allclose(mutual_information(counts), expected, atol=1e-14)
    share = np.bincount(labels) / 3000
    assert entropy(np.bincount(labels)) == pytest.approx(-(share * np.log(share)).sum())


def test_tables_of_many_rows_are_added_up_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    labels, bins = rng.integers(3, size=1000), rng.integers(5, size=(1000, 4))
    whole = tables(labels, 3, bins, 5)
    monkeypatch.setattr("equipoise.metrics.discretise._CHUNK", 333)
    assert np.array_equal(tables(labels, 3, bins, 5), whole)


def test_information_of_unrelated_columns_is_never_below_zero() -> None:
    labels, bins = np.repeat([0, 1], 50), np.tile([[0], [1]], (50, 1))
    assert mutual_information(tables(labels, 2, bins, 2)) == pytest.approx(0, abs=1e-15)
    assert mutual_information(tables(labels, 2, bins, 2)) >= 0


def test_gap_of_one_value_is_the_value() -> None:
    assert gap(np.array([[0.3, 0.9, 0.5], [0.2, 0.2, 0.1]])).tolist() == pytest.approx([0.4, 0.0])
    assert gap(np.array([[0.3]])).tolist() == [0.3]


@pytest.mark.parametrize("edges", ["unit", "range"])
def test_a_range_whose_inverse_is_infinite_is_binned_as_a_wider_one(edges: str) -> None:
    column = np.arange(64.0)[:, None]
    assert np.array_equal(binned(column * 2.0**-1060, 16, edges), binned(column, 16, edges))
