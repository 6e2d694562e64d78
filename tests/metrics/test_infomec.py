"""InfoMEC: the published values, the estimator of mutual information behind it, and its edges."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score
from tests.metrics.test_golden import EXPECTED, SETS, cases, load, number

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import ScoreWarning, infomec, score
from equipoise.metrics.neighbours import _closer, with_labels

CONTINUOUS, DISCRETE = "infomec/continuous", "infomec/discrete"
TOLERANCE = EXPECTED["tolerances"][CONTINUOUS]


@pytest.mark.parametrize(("name", "key"), cases({CONTINUOUS, DISCRETE}))
def test_infomec_agrees_with_the_published_program(name: str, key: str) -> None:
    codes, factors = load(name)
    reference, discrete = SETS[name]["values"][key], key == DISCRETE
    active = [f"latent {j}" for j in np.flatnonzero(np.logical_not(reference["active_latents"]))]
    for part in ("infom", "infoc"):
        ours = getattr(metrics, part)(codes, factors, discrete_latents=discrete, level=1.0, strict=True)
        mean, spread = number(reference[part]["mean"]), number(reference[part]["std"])
        reach = max(TOLERANCE["floor"], 0 if math.isnan(spread) else 5 * spread)
        assert ours.value == pytest.approx(mean, abs=reach, nan_ok=True)
        assert [latent for latent, reason in ours.left_out.items() if reason == "inactive"] == active
        if reference["nmi_seed0"] is not None:
            live = np.ptp(codes, axis=0) > 0
            expected = np.array(reference["nmi_seed0"])[:, live]
            atol = 0.01 if name == "identity_dsprites" else 0.003  # all ties there, parted by noise
            np.testing.assert_allclose(ours.matrix[:, live], expected, rtol=0, atol=atol)
    explicit = metrics.infoe(codes, factors, discrete_latents=discrete).value
    assert explicit == pytest.approx(reference["infoe"], abs=0.02)  # as the rule of the file says


def test_latent_that_tells_of_no_factor_is_left_out_unless_strict() -> None:
    codes, factors = load("permscale_mpi3d")
    assert math.isnan(metrics.infom(codes, factors, strict=True).value)
    ours = metrics.infom(codes, factors, level=1.0)
    silent = [int(latent.split()[1]) for latent, reason in ours.left_out.items() if reason == "no information"]
    assert silent
    assert np.isnan(ours.per_latent[silent]).all()
    kept = np.delete(np.arange(codes.shape[1]), silent)
    assert ours.value == pytest.approx(ours.per_latent[kept].mean())
    assert (ours.matrix[:, silent] == 0).all()


@pytest.mark.parametrize("neighbours", [3, 10])
def test_information_by_neighbours_is_that_of_the_definition_and_of_scikit_learn(neighbours: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(5, size=700)
    labels[:4] = [5, 5, 5, 6]  # values with fewer rows than neighbours, one with a single row
    codes = np.column_stack([labels + rng.standard_normal(700), rng.standard_normal(700), rng.random(700) ** 8])
    ours = with_labels(codes, labels, 7, neighbours)
    expected = mutual_info_classif(codes, labels, discrete_features=False, n_neighbors=neighbours, random_state=0)
    np.testing.assert_allclose(ours, expected, atol=5e-5)  # it compares squares, whose rounding lets single rows in
    repeated = np.flatnonzero(np.bincount(labels)[labels] > 1)
    for code, information in zip(codes[repeated].T, ours, strict=True):
        terms = []
        for value, label in zip(code, labels[repeated], strict=True):
            same = np.sort(np.abs(code[labels[repeated] == label] - value))
            k = min(neighbours, len(same) - 1)
            closer = (np.abs(code - value) < same[k]).sum()
            terms.append(digamma(len(code)) + digamma(k) - digamma(len(same)) - digamma(closer))
        assert information == pytest.approx(max(0, np.mean(terms)), abs=1e-12)


def test_neighbours_are_counted_as_differences() -> None:
    rng = np.random.default_rng(1)
    points = np.sort(rng.integers(50, size=300) / 10 + 1e-16)
    radii = rng.integers(1, 20, size=300) / 10
    expected = (np.abs(points[:, None] - points[None, :]) < radii[:, None]).sum(axis=1)
    assert np.array_equal(_closer(points, points, radii), np.maximum(expected, 1))
    assert _closer(points, points, np.zeros(300)).tolist() == [1] * 300


def test_discrete_latents_are_counted_by_value() -> None:
    rng = np.random.default_rng(2)
    factors = rng.integers(4, size=(500, 2))
    codes = np.column_stack([factors[:, 0] % 3, factors.sum(axis=1), rng.integers(6, size=500)])
    result = metrics.infoc(codes * 0.5 - 1, factors, discrete_latents=True)
    for k in range(2):
        entropy = mutual_info_score(factors[:, k], factors[:, k])
        expected = [mutual_info_score(factors[:, k], code) / entropy for code in codes.T]
        np.testing.assert_allclose(result.matrix[k], expected, atol=1e-12)
    shares = result.matrix.max(axis=1) / result.matrix.sum(axis=1)
    assert result.value == pytest.approx(((shares - 1 / 3) / (2 / 3)).mean())


@pytest.mark.parametrize("name", ["infom", "infoc"])
def test_shares_of_the_information_of_noise_are_undefined(name: str) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        factors = rng.integers((3, 4, 5), size=(500, 3))
        with pytest.warns(
            ScoreWarning, match=r"no latent has more information about a factor than by chance: .*\(NaN\)"
        ):
            result = score(rng.standard_normal((500, 5)), factors, which=name)[name]
        assert math.isnan(result.value)
        assert result.low is result.baseline is None
    assert getattr(metrics, name)(rng.standard_normal((500, 5)), factors, level=1.0).value > 0.1


def test_latents_and_factors_without_information_count_for_nothing() -> None:
    rng = np.random.default_rng(3)
    factors = rng.integers((3, 4, 5), size=(1000, 3))
    codes = np.column_stack([factors[:, :2] + 0.1 * rng.standard_normal((1000, 2)), rng.standard_normal((1000, 3))])
    modular, compact = metrics.infom(codes, factors), metrics.infoc(codes, factors)
    assert [latent for latent, reason in modular.left_out.items() if reason == "no information"] == [
        "latent 2",
        "latent 3",
        "latent 4",
    ]
    assert modular.value > 0.98
    assert compact.per_factor[2] == 0
    assert (compact.per_factor[:2] > 0.9).all()
    assert metrics.infoe(rng.standard_normal((1000, 4)), factors).value == pytest.approx(0, abs=0.02)


def test_information_is_estimated_once_for_both_metrics_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    estimated = []
    estimate = infomec._by_neighbours
    monkeypatch.setattr(infomec, "_by_neighbours", lambda *args: estimated.append(args) or estimate(*args))
    score(*load("edge_negative_labels"), which=["infom", "infoc"], interval=False)
    assert len(estimated) == 1


def test_latent_of_small_range_is_inactive() -> None:
    rng = np.random.default_rng(4)
    factors = rng.integers(4, size=(400, 2))
    codes = np.column_stack([factors[:, 0], 0.04 * factors[:, 1]]) + 1e-4 * rng.standard_normal((400, 2))
    with pytest.warns(ScoreWarning, match="one active latent"):
        compact = metrics.infoc(codes, factors)
    assert math.isnan(compact.value)
    assert compact.left_out == {"latent 1": "inactive"}
    modular = metrics.infom(codes, factors)
    assert modular.value > 0.95
    assert np.isnan(modular.per_latent[1])
    assert metrics.infoc(codes, factors, active=0.0).value > 0.95
    assert metrics.infoc(codes, factors, discrete_latents=True).left_out == {}


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scale_of_the_codes_does_not_matter(scale: float) -> None:
    """Squares of these codes underflow or overflow."""
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(300, 2))
    codes = factors + 0.3 * rng.standard_normal((300, 2))
    for name in ("infom", "infoc", "infoe"):
        expected = getattr(infomec, name)(codes, factors).value
        assert getattr(infomec, name)(scale * codes, factors).value == pytest.approx(expected, abs=1e-4), name


def test_edges_of_infomec() -> None:
    codes, factors = load("edge_one_factor")
    with pytest.warns(ScoreWarning, match="with one factor there is nothing to tell apart"):
        assert math.isnan(metrics.infom(codes, factors).value)
    with pytest.warns(ScoreWarning, match="all latents are constant"):
        still = score(*load("edge_all_constant"), which=["infom", "infoc", "infoe"], interval=False)
    assert [result.value for result in still.values()] == [0, 0, 0]
    assert still["infom"].left_out == {f"latent {j}": "inactive" for j in range(4)}
    for name in ("infom", "infoc", "infoe"):
        with pytest.raises(InputError, match="codes, column 2: 1 of 200 values are NaN or infinite"):
            getattr(metrics, name)(*load("edge_nan"))


def test_linear_information_of_equal_weights_can_be_worse_than_none() -> None:
    labels = np.repeat([1, 0, 0], [100, 100, 1800])[:, None]
    codes = np.repeat([1.0, 5.0, 0.0], [100, 100, 1800])[:, None]  # those at 5 pull the line to the wrong side
    assert metrics.infoe(codes, labels).value < -0.05
    assert metrics.infoe(labels.astype(float), labels).value > 0.99


@pytest.mark.parametrize(
    ("name", "params", "match"),
    [
        ("infom", {"neighbours": 0}, "neighbours = 0"),
        ("infoc", {"active": 1.0}, "active = 1.0"),
        ("infoe", {"iterations": 0}, "iterations = 0"),
    ],
)
def test_parameter_out_of_range_is_an_error(name: str, params: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        getattr(metrics, name)(*load("edge_one_factor"), **params)
