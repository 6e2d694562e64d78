"""The draws, fits and formulas inside the metrics, against plain ones."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics.draws import draw_batches, draw_pairs, groups_by_value
from equipoise.metrics.inputs import pair
from equipoise.metrics.logistic import one_against_rest


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = np.column_stack([rng.integers(3, size=301), np.r_[rng.integers(7, size=300), 99]])
    return rng.standard_normal((301, 4)) + factors[:, :1], factors


def test_pairs_share_a_value_and_are_never_of_one_row(data: tuple[np.ndarray, np.ndarray]) -> None:
    groups = groups_by_value(pair(*data), None)
    assert [len(values) for values in groups] == [3, 7]  # the value of one row is skipped
    for k, values in enumerate(groups):
        one, other = draw_pairs(np.random.default_rng(1), values, 20_000)
        assert len(one) == len(other) == 20_000
        assert np.array_equal(data[1][one, k], data[1][other, k])
        assert (one != other).all()
        shares = np.bincount(data[1][one, k]) / 20_000  # values, not rows, are drawn uniformly
        assert shares == pytest.approx(1 / len(values), abs=0.02)


def test_batches_share_a_value_and_use_its_rows_evenly(data: tuple[np.ndarray, np.ndarray]) -> None:
    values = groups_by_value(pair(*data), None)[1]
    rows = draw_batches(np.random.default_rng(2), values, 400, 50)
    assert rows.shape == (400, 50)
    labels = data[1][rows, 1]
    assert (labels == labels[:, :1]).all()
    for group in values:
        used = np.bincount(rows[labels[:, 0] == data[1][group[0], 1]].ravel(), minlength=301)[group]
        assert used.max() - used.min() <= 1


def test_log_odds_are_those_of_a_tight_fit_of_each_value() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(5, size=4500)
    x = rng.random((4500, 3)) + 0.1 * labels[:, None]
    x[:, 2] = 0  # a constant latent after scaling
    odds = one_against_rest(x, labels, 5)
    for value in range(5):
        fit = LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=1000).fit(x, labels == value)
        np.testing.assert_allclose(odds[value], fit.decision_function(x), atol=1e-5)


def test_regression_of_a_value_of_one_row_converges() -> None:
    rng = np.random.default_rng(4)
    x, labels = rng.random((500, 2)), np.r_[np.zeros(499, dtype=int), 1]
    x[-1] = (1, 0)
    odds = one_against_rest(x, labels, 2)
    fit = LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=1000).fit(x, labels)
    np.testing.assert_allclose(odds[1], fit.decision_function(x), atol=1e-4)


def test_explicitness_of_a_binary_factor_is_the_scaled_area_under_the_curve() -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(400) < 0.3).astype(int)
    codes = np.round(rng.standard_normal((400, 1)) + labels[:, None], 1)  # with ties
    expected = 2 * roc_auc_score(labels, codes[:, 0]) - 1
    assert metrics.explicitness(codes, labels[:, None]).value == pytest.approx(expected, abs=1e-12)


def test_sap_is_the_gap_of_squared_correlations() -> None:
    rng = np.random.default_rng(6)
    factors = rng.integers(10, size=(500, 2))
    codes = np.column_stack([factors + rng.standard_normal((500, 2)), rng.standard_normal(500)])
    squared = np.corrcoef(factors.T, codes.T)[:2, 2:] ** 2
    ordered = np.sort(squared, axis=1)
    result = metrics.sap(codes, factors)
    np.testing.assert_allclose(result.matrix, squared, atol=1e-12)
    np.testing.assert_allclose(result.per_factor, ordered[:, -1] - ordered[:, -2], atol=1e-12)


@pytest.mark.parametrize("scale", [1e-160, 1e-7, 1e160])
def test_sap_does_not_depend_on_scale(scale: float) -> None:
    rng = np.random.default_rng(7)
    factors = rng.integers(10, size=(200, 2))
    codes = factors + rng.standard_normal((200, 2))
    expected = metrics.sap(codes, factors).value
    assert metrics.sap(codes * [1, scale], factors).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("quantile", [0.5, 0.9, 1.0])
def test_robustness_equals_the_definition(data: tuple[np.ndarray, np.ndarray], quantile: float) -> None:
    codes, factors = data
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    robust = np.empty((2, 4))
    for k in range(2):
        groups = [codes[factors[:, k] == value] for value in np.unique(factors[:, k])]
        far = [np.quantile(np.abs(rows - rows.mean(axis=0)), quantile, axis=0) for rows in groups]
        robust[k] = 1 - np.mean(far, axis=0) / largest
    with pytest.warns(metrics.ScoreWarning, match="1 of 11 factor values have one row"):
        result = metrics.irs(codes, factors, quantile=quantile)
    np.testing.assert_allclose(result.matrix, robust, atol=1e-12)
    np.testing.assert_allclose(result.per_latent, robust.max(axis=0), atol=1e-12)
    np.testing.assert_allclose(result.extra["weights"], largest, atol=1e-12)
    assert result.value == pytest.approx(np.average(robust.max(axis=0), weights=largest))


def test_corrected_score_is_the_accuracy_over_chance(data: tuple[np.ndarray, np.ndarray]) -> None:
    for function in (metrics.beta_vae, metrics.factor_vae):
        raw = function(*data, batch=8, train=100, evaluate=100, corrected=False)
        corrected = function(*data, batch=8, train=100, evaluate=100)
        assert raw.value == raw.extra["accuracy"] == corrected.extra["accuracy"]
        assert corrected.value == pytest.approx((raw.value - 1 / 2) / (1 - 1 / 2))


def test_standardized_latents_count_alike_in_the_beta_vae_score() -> None:
    factors = np.random.default_rng(8).integers(5, size=(500, 3))
    codes = factors * [1.0, 1e-6, 1e-6]
    few = {"batch": 16, "train": 500, "evaluate": 250}
    assert metrics.beta_vae(codes, factors, **few).value < 0.6
    assert metrics.beta_vae(codes, factors, **few, standardize=True).value == 1


def test_collapsed_latents_are_pruned_and_listed_by_the_factor_vae_score() -> None:
    rng = np.random.default_rng(9)
    factors = rng.integers(5, size=(500, 2))
    codes = np.column_stack([rng.standard_normal(500) * 0.01, factors])
    result = metrics.factor_vae(codes, factors)
    assert result.value == 1
    assert result.left_out == {"latent 0": "standard deviation below 0.05"}
    assert result.matrix[:, 0].tolist() == [0, 0]
    assert result.matrix.sum() == 800
    with pytest.warns(metrics.ScoreWarning, match="z_max: every latent has a standard deviation below 0.05"):
        assert metrics.factor_vae(codes * 0.01, factors).value == 0


@pytest.mark.parametrize(
    ("name", "params", "match"),
    [
        ("mig", {"bins": 1}, "1 bins: expected 2 to 10,000"),
        ("mig", {"factor_bins": 0}, "0 bins: expected 2 to 10,000"),
        ("irs", {"quantile": 0.0}, "quantile = 0"),
        ("irs", {"factor_bins": 1}, "1 bins"),
        ("explicitness", {"factor_bins": 1}, "1 bins"),
        ("beta_vae", {"train": 19}, "train = 19"),
        ("factor_vae", {"batch": 1}, "batch = 1"),
        ("factor_vae", {"factor_bins": -2}, "-2 bins"),
    ],
)
def test_parameter_out_of_range_is_an_error(
    data: tuple[np.ndarray, np.ndarray], name: str, params: dict[str, float], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        getattr(metrics, name)(*data, **params)
