"""SAP by classifiers and explicitness: the published values, and the fits behind them."""

from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from tests.metrics.test_golden import EXPECTED, SETS, cases, load

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import METRICS, ScoreWarning
from equipoise.metrics.accuracy import svc_accuracy, tree_accuracy

SVC, MULTINOMIAL = "disentanglement_lib/sap_linear_svc", "disentanglement_lib/explicitness"
LOCATELLO = {key: METRICS[name].conventions["locatello"] for key, name in ((SVC, "sap"), (MULTINOMIAL, "explicitness"))}


def published(key: str) -> list[str]:
    """The sets for which the published program has a value."""
    both = cases({key}) + cases({key}, "edge")
    return [name for name, _ in both if "error" not in SETS[name]["values"][key]]


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
@pytest.mark.parametrize("name", [name for name in published(SVC) if name != "edge_extreme_scale"])
def test_sap_by_support_vectors_equals_the_published_program(name: str) -> None:
    reference = SETS[name]["values"][SVC]
    expected = reference.get("value", reference.get("mean"))
    ours = metrics.sap(*load(name), **LOCATELLO[SVC]).value
    assert ours == pytest.approx(expected, abs=EXPECTED["tolerances"][SVC]["abs"])


def loss(x: np.ndarray, own: np.ndarray, weight: float, slope: float, intercept: float) -> float:
    """What the support vector machine of one value minimises, with C = 0.01."""
    hinge = np.maximum(0, 1 - np.where(own, 1, -1) * (slope * x + intercept))
    return (slope**2 + intercept**2) / 2 + 0.01 * (np.where(own, weight, 1) * hinge**2).sum()


def test_support_vectors_are_those_of_a_converged_fit_where_the_published_one_stops_early() -> None:
    codes, factors = load("edge_extreme_scale")  # at 1e8 its tolerance ends a fit at a loss 53 % too high
    ratios = []
    for column in factors.T:
        train = 2 * len(codes) // 3
        x, labels = codes[:, 1], np.unique(column, return_inverse=True)[1]
        theirs = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=0).fit(
            x[:train, None], labels[:train]
        )
        margins = []
        for value in theirs.classes_:
            own = labels[:train] == value
            weight = train / (len(theirs.classes_) * own.sum())
            at = partial(loss, x[:train], own, weight)
            # In steps of the size of the codes, in which the loss is well conditioned.
            best = minimize(lambda p: at(p[0] / 1e8, p[1]), np.zeros(2), options={"gtol": 1e-9})  # noqa: B023
            margins.append(best.x[0] / 1e8 * x[train:] + best.x[1])
            ratios.append(at(theirs.coef_[value, 0], theirs.intercept_[value]) / best.fun)
        expected = (theirs.classes_[np.argmax(margins, axis=0)] == labels[train:]).mean()
        assert svc_accuracy(x, labels, train, 0.01) == expected
    assert min(ratios) >= 1
    assert max(ratios) > 1.5


@pytest.mark.parametrize("values", [2, 5])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_accuracy_of_support_vectors_is_that_of_a_tight_fit(values: int, shift: float) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(values, size=400)
    x = shift + labels + rng.standard_normal(400)
    fit = LinearSVC(C=0.1, class_weight="balanced", dual=False, tol=1e-12, random_state=0).fit(
        x[:300, None], labels[:300]
    )
    assert svc_accuracy(x, labels, 300, 0.1) == fit.score(x[300:, None], labels[300:])


def test_value_that_only_later_rows_have_is_an_error_of_the_support_vectors() -> None:
    x = np.array([0.0, 1, 2, 3, 0, 1, 2, 3])
    labels = np.array([0, 0, 1, 1, 0, 0, 1, 2])
    assert svc_accuracy(x, labels, 4, 1.0) == 0.75
    assert svc_accuracy(x, labels, 2, 1.0) == pytest.approx(1 / 3)  # one value seen: it is the guess


@pytest.mark.parametrize("scale", [1e-160, 1.0, 1e160])
def test_constant_or_extreme_codes_do_not_break_the_support_vectors(scale: float) -> None:
    rng = np.random.default_rng(1)
    factors = rng.integers(4, size=(300, 2))
    codes = np.column_stack([scale * factors[:, 0], factors[:, 1], np.full(300, scale)])
    result = metrics.sap(codes, factors, predictor="svc")
    assert np.isfinite(result.matrix).all()
    np.testing.assert_allclose(result.matrix[:, 2], 0.25, atol=0.1)


def test_tree_of_one_latent_is_that_of_a_search_over_depths() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(6, size=300)
    x = np.round(labels + rng.standard_normal(300), 1).astype(np.float32).astype(float)
    trees = [DecisionTreeClassifier(max_depth=depth, random_state=0) for depth in range(1, 10)]
    best = trees[int(np.argmax([cross_val_score(tree, x[:, None], labels, cv=10).mean() for tree in trees]))]
    expected = accuracy_score(labels, best.fit(x[:, None], labels).predict(x[:, None]))
    assert tree_accuracy(x, labels) == pytest.approx(expected, abs=1e-12)


def test_tree_needs_ten_rows_of_some_value() -> None:
    with pytest.raises(InputError, match="predictor tree: no value of a factor has 10 rows"):
        metrics.sap(np.arange(9.0)[:, None], np.arange(9)[:, None] % 2, predictor="tree")
    rare = np.append(np.zeros(20, dtype=int), [1, 1, 2])
    assert metrics.sap(rare[:, None].astype(float), rare[:, None], predictor="tree").value > 0.9


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
@pytest.mark.parametrize("name", published(MULTINOMIAL))
def test_explicitness_on_held_out_rows_equals_the_published_program(name: str) -> None:
    expected = SETS[name]["values"][MULTINOMIAL]["value"]
    ours = metrics.explicitness(*load(name), **LOCATELLO[MULTINOMIAL])
    reach = EXPECTED["tolerances"][MULTINOMIAL]["abs"]
    assert ours.value == pytest.approx(expected["test"], abs=reach)
    assert ours.extra["train"] == pytest.approx(expected["train"], abs=reach)


def test_explicitness_on_held_out_rows_leaves_out_what_the_published_program_raises_at() -> None:
    codes, factors = load("dead_dsprites")  # the deviation of a constant latent divides 0 by 0 there
    ours = metrics.explicitness(codes, factors, **LOCATELLO[MULTINOMIAL])
    live = np.ptp(codes, axis=0) > 0
    assert set(ours.left_out) == {"latent 0", "latent 4"}
    assert ours.value == metrics.explicitness(codes[:, live], factors, **LOCATELLO[MULTINOMIAL]).value
    for name in ("edge_few_samples", "edge_singleton_value"):  # a value is in one of the two parts only
        assert "error" in SETS[name]["values"][MULTINOMIAL]
    assert 0.5 < metrics.explicitness(*load("edge_singleton_value"), **LOCATELLO[MULTINOMIAL]).value <= 1
    with pytest.warns(ScoreWarning, match="values that no earlier row has"):
        assert 0.5 < metrics.explicitness(*load("edge_few_samples"), **LOCATELLO[MULTINOMIAL]).value <= 1
    with pytest.warns(ScoreWarning, match="all latents are constant"):
        assert metrics.explicitness(*load("edge_all_constant"), **LOCATELLO[MULTINOMIAL]).value == 0.5
    with pytest.warns(ScoreWarning, match="factor 1"):
        one_value = metrics.explicitness(*load("edge_single_valued_factor"), **LOCATELLO[MULTINOMIAL])
    codes, factors = load("edge_single_valued_factor")
    assert one_value.value == metrics.explicitness(codes, factors[:, [0, 2]], **LOCATELLO[MULTINOMIAL]).value


@pytest.mark.parametrize("key", [SVC, MULTINOMIAL])
@pytest.mark.parametrize("name", ["edge_nan", "edge_inf"])
def test_codes_that_are_not_finite_are_refused(name: str, key: str) -> None:
    function = metrics.sap if key == SVC else metrics.explicitness
    with pytest.raises(InputError, match="codes, column 2: 1 of 200 values are NaN or infinite"):
        function(*load(name), **LOCATELLO[key])


def test_explicitness_of_rows_that_cannot_be_ranked_is_that_of_chance() -> None:
    codes, labels = np.arange(9.0)[:, None], np.array([0] * 6 + [1] * 3)[:, None]
    with pytest.warns(ScoreWarning, match="values that no earlier row has"):
        assert metrics.explicitness(codes, labels, model="multinomial").value == 0


def test_rows_in_the_order_of_a_factor_are_reported() -> None:
    factors = np.repeat(np.arange(6), 50)[:, None]
    with pytest.warns(ScoreWarning, match="factor 0: 100% .* shuffle codes and factors together"):
        metrics.sap(factors + 0.0, factors, predictor="svc")
    shuffled = np.random.default_rng(0).permutation(factors)
    assert metrics.sap(shuffled + 0.0, shuffled, predictor="svc").value == pytest.approx(1, abs=0.5)


def test_uncorrected_explicitness_is_the_area_itself() -> None:
    codes, factors = load("edge_negative_labels")
    for model in ("one-vs-rest", "independent", "multinomial"):
        raw = metrics.explicitness(codes, factors, model=model, corrected=False)
        corrected = metrics.explicitness(codes, factors, model=model)
        assert corrected.value == pytest.approx(2 * raw.value - 1)


@pytest.mark.parametrize(
    ("name", "params", "match"),
    [
        ("sap", {"predictor": "lasso"}, "lasso: no such predictor; choose one of regression, svc, tree"),
        ("sap", {"predictor": "svc", "cost": 0.0}, "cost = 0.0"),
        ("sap", {"predictor": "svc", "cost": float("nan")}, "cost is nan; expected a finite number"),
        ("explicitness", {"model": "linear"}, "linear: no such model; choose one of"),
    ],
)
def test_unknown_predictor_is_an_error(name: str, params: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        getattr(metrics, name)(*load("edge_one_factor"), **params)
