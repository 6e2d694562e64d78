"""DCI: the published values, its formulas by hand, and what must hold of each predictor."""

import io
import math
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Lasso, LassoCV
from tests.metrics.inputs import parameters
from tests.metrics.test_golden import EXPECTED, SETS, cases, load, number, within

from equipoise.errors import InputError
from equipoise.metrics import METRICS, Score, ScoreWarning, dci, dci_hist, dci_lasso, importance, score
from equipoise.metrics.importance import Importance
from equipoise.metrics.inputs import Pair, pair

LASSO, FOREST, BOOSTED = "carbonneau/dci_lasso", "carbonneau/dci_random_forest", "disentanglement_lib/dci_gbt"
PARTS = ("disentanglement", "completeness", "informativeness")
FEW = {"stages": 10}


def three(prefix: str, codes: Any, factors: Any, **params: Any) -> list[Score]:
    """Disentanglement, completeness and informativeness, fitted once."""
    names = [f"{prefix}_{part}" for part in PARTS]
    if not params:
        return list(score(codes, factors, which=names, interval=False).values())
    return [METRICS[name].function(codes, factors, **params) for name in names]


def published(prefix: str, codes: Any, factors: Any, **strict: bool) -> list[Score]:
    """The three numbers as the published programs compute them, for factors that are not predicted too."""
    results = three(prefix, codes, factors)
    for i, part in enumerate(PARTS[:2]):
        results[i] = METRICS[f"{prefix}_{part}"].function(codes, factors, level=1.0, **(strict if i == 0 else {}))
    return results


def toy(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(rows, 2))
    codes = factors @ rng.standard_normal((2, 4)) + 0.3 * rng.standard_normal((rows, 4))
    return codes, factors


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
@pytest.mark.parametrize("name", [name for name, _ in cases({LASSO}) + cases({LASSO}, "edge")])
def test_lasso_equals_the_published_program(name: str) -> None:
    codes, factors = load(name)
    reference = SETS[name]["values"][LASSO]
    if name in ("edge_nan", "edge_inf"):  # any exception there
        with pytest.raises(InputError, match="codes, column 2: 1 of 200 values are NaN or infinite"):
            three("dci_lasso", codes, factors)
        return
    ours = published("dci_lasso", codes, factors, strict=True)
    values = [result.value for result in ours]
    if name == "edge_single_valued_factor":  # left out here, an unpredictable one there
        assert values == [result.value for result in published("dci_lasso", codes, factors[:, [0, 2]])]
    elif name == "edge_few_samples":  # too few for ten folds there
        assert all(0 <= value <= 1 for value in values)
    elif name == "edge_one_latent":  # the logarithm of base 1 divides by 0 there
        assert math.isnan(values[1])
        assert 0 < values[2] < 1
    elif name == "edge_one_factor":
        assert math.isnan(values[0])
        assert 0 < values[2] < 1
    else:
        assert values == pytest.approx(reference["value"], abs=EXPECTED["tolerances"][LASSO]["abs"])


def test_constant_first_latent_stops_the_strict_loop_only() -> None:
    codes, factors = load("dead_dsprites")
    assert SETS["dead_dsprites"]["values"][LASSO]["value"][0] == 0
    assert dci_lasso.dci_lasso_disentanglement(codes, factors).value == pytest.approx(0.996, abs=1e-3)
    live = codes[:, np.ptp(codes, axis=0) > 0]
    without = dci_lasso.dci_lasso_disentanglement(live, factors).value
    assert dci_lasso.dci_lasso_disentanglement(codes, factors).value == pytest.approx(without, abs=1e-12)


def close_to_published(name: str, results: list[Score]) -> None:
    reference = SETS[name]["values"][BOOSTED]
    means = reference.get("mean", reference.get("value"))
    ours = [results[0].value, results[1].value, results[2].extra["train"], results[2].value]
    keys = ("disentanglement", "completeness", "informativeness_train", "informativeness_test")
    for key, value in zip(keys, ours, strict=True):
        reach = max(EXPECTED["tolerances"][BOOSTED]["floor"], 5 * reference.get("std", {}).get(key, 0.0))
        assert value == pytest.approx(number(means[key]), abs=reach, nan_ok=True), key


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, _ in cases({BOOSTED})])
def test_boosted_trees_agree_with_the_published_program(name: str) -> None:
    codes, factors = load(name)
    results = published("dci", codes[:1350], factors[:1350])
    close_to_published(name, results)
    expected = np.array(SETS[name]["values"][BOOSTED]["importance_last_seed"]).T
    np.testing.assert_allclose(results[0].matrix, expected, atol=0.02)


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
@pytest.mark.parametrize("name", [name for name, _ in cases({BOOSTED}, "edge")])
def test_boosted_trees_agree_with_the_published_program_on_edge_cases(name: str) -> None:
    codes, factors = load(name)
    if name in ("edge_nan", "edge_inf"):
        with pytest.raises(InputError, match="codes, column 2: 1 of 200 values are NaN or infinite"):
            three("dci", codes, factors)
    elif name == "edge_single_valued_factor":  # no classifier for one class there
        left_out, without = three("dci", codes, factors), three("dci", codes, factors[:, [0, 2]])
        assert [result.value for result in left_out] == [result.value for result in without]
        assert left_out[0].left_out["factor 1"] == "one value only"
    else:
        close_to_published(name, published("dci", codes, factors))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, _ in cases({FOREST})])
def test_forest_agrees_with_the_published_program(name: str) -> None:
    codes, factors = load(name)
    reference = SETS[name]["values"][FOREST]
    names = [f"dci_{part}" for part in PARTS]
    results = score(codes[:600], factors[:600], which=names, convention="carbonneau", interval=False)
    for i, result in enumerate(results.values()):
        part = {**reference, "mean": reference["mean"][i], "std": reference["std"][i]}
        assert result.value == pytest.approx(part["mean"], abs=within(FOREST, part, 1))


def formulas(matrix: np.ndarray, strict: bool = False) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix [K, L]."""
    factors, latents = matrix.shape
    rng = np.random.default_rng(1)
    data = pair(rng.random((20, latents)), rng.integers(4, size=(20, factors)))
    fitted = Importance(matrix, np.ones(factors), chance=np.zeros(factors), baseline=0.5)
    disentangled = importance.disentanglement(data, fitted, 1e-4, strict)
    return disentangled.value, importance.completeness(data, fitted, 1e-4).value


def test_scores_of_an_importance_matrix_are_those_of_the_definition() -> None:
    assert formulas(np.diag([2.0, 3.0, 4.0])) == (1, 1)
    assert formulas(np.hstack([np.eye(3), np.zeros((3, 2))])) == (1, 1)
    assert formulas(np.hstack([np.eye(3), np.eye(3)])) == pytest.approx((1, 1 - math.log(2) / math.log(6)))
    assert formulas(np.ones((3, 4))) == pytest.approx((0, 0), abs=1e-15)
    assert formulas(np.zeros((3, 4))) == (0, 0)
    # Latent 0 has shares 3/4 and 1/4 and two thirds of the weight, latent 1 counts for the second factor only.
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    disentanglement, completeness = formulas(np.array([[3.0, 0.0], [1.0, 2.0]]))
    assert disentanglement == pytest.approx((4 * (1 - entropy) + 2 * 1) / 6)
    third = -(math.log2(1 / 3) / 3 + 2 * math.log2(2 / 3) / 3)
    assert completeness == pytest.approx((1 + 1 - third) / 2)


def test_strict_disentanglement_stops_at_the_first_latent_without_weight() -> None:
    matrix = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    assert formulas(matrix, strict=True)[0] == 1
    assert formulas(matrix)[0] == pytest.approx(0.5)


@pytest.mark.parametrize("prefix", ["dci", "dci_hist"])
def test_perfect_codes_score_one_and_noise_predicts_no_better_than_the_majority(prefix: str) -> None:
    factors = toy(600)[1]
    assert [result.value for result in three(prefix, factors.astype(float), factors, **FEW)] == pytest.approx([1, 1, 1])
    with pytest.warns(ScoreWarning, match="no factor is predicted better than by chance"):
        noise = three(prefix, np.random.default_rng(3).standard_normal((600, 4)), factors, **FEW)
    assert math.isnan(noise[0].value)
    assert math.isnan(noise[1].value)
    assert noise[2].value == pytest.approx(noise[2].extra["majority"], abs=0.06)
    assert noise[2].baseline == noise[2].extra["majority"]
    assert noise[2].extra["train"] > noise[2].value + 0.2


@pytest.mark.parametrize("prefix", ["dci", "dci_hist"])
def test_continuous_factors_are_regressed(prefix: str) -> None:
    rng = np.random.default_rng(4)
    factors = rng.random((600, 2))
    results = three(prefix, factors + 0.01 * rng.standard_normal(factors.shape), factors, stages=60)
    assert all(result.value > 0.95 for result in results)
    assert results[2].extra["majority"] == 0
    with pytest.warns(ScoreWarning, match="no factor is predicted better than by chance"):
        assert three(prefix, rng.standard_normal((600, 2)), factors, **FEW)[2].value < 0.05


@pytest.mark.parametrize("prefix", ["dci", "dci_hist"])
def test_value_that_was_not_fitted_is_an_error(prefix: str) -> None:
    codes = np.arange(30.0)[:, None] % 2
    factors = np.hstack([codes, np.repeat([0, 1], [20, 10])[:, None]]).astype(int)
    with (
        pytest.warns(ScoreWarning, match="one latent"),
        pytest.warns(ScoreWarning, match="factor 1: 100% of the last third of the rows"),
    ):
        results = three(prefix, codes, factors, **FEW)
    assert results[2].per_factor.tolist() == [1, 0]
    assert results[0].matrix.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("module", "fit"), [(dci, "by_boosting"), (dci_lasso, "by_lasso"), (dci_hist, "by_histograms")]
)
def test_three_numbers_are_fitted_once_in_a_call(module: Any, fit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    once = getattr(module, fit)
    monkeypatch.setattr(module, fit, lambda *args: fits.append(args) or once(*args))
    codes, factors = toy(90)
    three(module.__name__.split(".")[-1], codes, factors)
    assert len(fits) == 1


def test_rows_are_left_out_once_for_all_three_numbers_and_few_times_for_slow_trees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fits = []

    def fit(data: Pair, *_: Any) -> Importance:
        fits.append(len(data.codes))
        return Importance(np.abs(data.factors.T @ data.codes), np.ones(data.size), np.zeros(data.size), baseline=0.5)

    monkeypatch.setattr(dci_hist, "by_histograms", fit)
    names = [f"dci_hist_{part}" for part in PARTS]
    results = score(*toy(90), which=names).values()
    assert fits == [90, *[72] * 5, 45, 45]  # all, without each block of a fifth, halves
    assert all(result.low <= result.value <= result.high for result in results)
    assert [result.baseline for result in results] == [None, None, 0.5]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_counts_the_trees_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for screen in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", screen)
        dci.dci_completeness(*toy(90), **FEW)
        said = screen.getvalue()
        assert ("boosted trees" in said) == ("70/70" in said) == screen.isatty()  # three and four values, ten stages


@pytest.mark.parametrize("alpha", [0.01, 0.2])
def test_importance_by_lasso_is_the_absolute_coefficient(alpha: float) -> None:
    codes, factors = toy()
    x, y = ((columns - columns.min(axis=0)) / np.ptp(columns, axis=0) for columns in (codes, factors))
    matrix = METRICS["dci_lasso_completeness"].function(codes, factors, alphas=(alpha,)).matrix
    for row, target in zip(matrix, y.T, strict=True):
        np.testing.assert_allclose(row, abs(Lasso(alpha=alpha, random_state=0).fit(x, target).coef_), atol=1e-10)


def test_shares_of_what_chance_predicts_are_undefined() -> None:
    factors = np.random.default_rng(0).integers((3, 4), size=(300, 2))
    for seed in range(20):
        noise = np.random.default_rng(seed).standard_normal((300, 4))
        with pytest.warns(ScoreWarning, match="no factor is predicted better than by chance"):
            results = three("dci_lasso", noise, factors)
        assert [math.isnan(result.value) for result in results] == [True, True, False]
        assert results[2].value == pytest.approx(results[2].baseline, abs=0.05)
    straight = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    with pytest.warns(ScoreWarning, match="no factor is predicted"):  # a straight line sees no even function
        folded = three("dci_lasso", np.abs(straight[:, :1] - straight[:, :1].mean()), factors[:, :1])
    assert math.isnan(folded[1].value)


def test_factor_that_is_not_predicted_has_no_importance() -> None:
    rng = np.random.default_rng(1)
    factors = rng.integers((3, 4), size=(500, 2))
    codes = np.column_stack([factors[:, 0], rng.standard_normal((500, 3))])
    for prefix, params in (("dci_lasso", {}), ("dci_hist", FEW)):
        results = three(prefix, codes, factors, **params)
        assert results[0].value > 0.97
        assert results[1].per_factor[0] > 0.9
        assert results[1].per_factor[1] == 0
        assert (results[0].matrix[1] == 0).all()
    everything = dci_hist.dci_hist_completeness(codes, factors, level=1.0, **FEW)
    assert everything.per_factor[1] > 0
    assert (everything.matrix[1] > 0).any()


def test_alpha_is_that_of_the_search_of_scikit_learn() -> None:
    codes, factors = toy(400)
    x, y = ((columns - columns.min(axis=0)) / np.ptp(columns, axis=0) for columns in (codes, factors))
    search = LassoCV(alphas=list(dci_lasso.ALPHAS), cv=10, precompute=True, tol=1e-6, max_iter=10_000, random_state=0)
    expected = [search.fit(x, target).alpha_ for target in y.T]
    assert dci_lasso._best_alphas(x, y, sorted(dci_lasso.ALPHAS, reverse=True)) == expected


def test_scores_by_lasso_are_linear_predictions() -> None:
    codes, factors = toy(1000)
    result = dci_lasso.dci_lasso_informativeness(codes, factors)
    design = np.column_stack([codes, np.ones(len(codes))])
    errors = [np.linalg.lstsq(design, y / y.max(), rcond=None)[1][0] / len(y) for y in factors.T]
    assert result.value == pytest.approx(1 - 12 * np.mean(errors), abs=1e-4)
    shares = np.array(errors) / (factors / factors.max(axis=0)).var(axis=0)
    assert result.extra["r2"] == pytest.approx(1 - shares.mean(), abs=1e-4)
    assert result.extra["nrmse"] == pytest.approx(np.sqrt(shares).mean(), abs=1e-3)


@pytest.mark.parametrize(
    ("name", "params", "match"),
    [
        ("dci_disentanglement", {"predictor": "lasso"}, "lasso: no such predictor; choose one of gbt, forest"),
        ("dci_completeness", {"stages": 0}, "stages = 0"),
        ("dci_informativeness", {"predictor": "forest", "trees": 0}, "trees = 0"),
        ("dci_hist_disentanglement", {"rate": 0.0}, "rate = 0.0"),
        ("dci_lasso_completeness", {"alphas": (0.0,)}, r"alphas = \(0.0,\)"),
        ("dci_lasso_disentanglement", {"level": 0.0}, "level = 0.0: expected a number above 0"),
    ],
)
def test_parameter_out_of_range_is_an_error(name: str, params: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        METRICS[name].function(*toy(30), **params)


@pytest.mark.parametrize("prefix", ["dci", "dci_hist"])
def test_parameters_in_the_result_are_all_that_the_function_has(prefix: str) -> None:
    for part in PARTS:
        function = METRICS[f"{prefix}_{part}"].function
        assert set(function(*toy(60), **FEW).params) == set(parameters(f"{prefix}_{part}")) - {"seed"}


def test_a_lasso_that_does_not_converge_gives_one_warning() -> None:
    rng = np.random.default_rng(0)
    rest = rng.normal(size=(300, 6))
    codes = rng.normal(size=(300, 1)) + 0.01 * rest  # six near copies
    factors = np.stack([np.digitize(rest[:, 0] - rest[:, 1], [-1, 0, 1]), rng.integers(0, 3, 300)], axis=1)
    with pytest.warns(ScoreWarning, match="the lasso of DCI did not converge for 1 of 2 factors") as caught:
        score(codes, factors, which=["dci_lasso_disentanglement"])
    assert [each.category for each in caught] == [ScoreWarning], "none from scikit-learn, and none from the resampling"
