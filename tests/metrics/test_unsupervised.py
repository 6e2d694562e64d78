"""Dependence between latents: laws, values worked out by hand and those of the published program."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import ScoreWarning

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
KEY = "disentanglement_lib/unsupervised"
VALUES = {name: content["values"][KEY] for name, content in EXPECTED["sets"].items() if KEY in content["values"]}
ALL = ["gaussian_tc", "wasserstein", "mutual_information"]


def load(name: str) -> np.ndarray:
    """Codes of a set, as float64."""
    file, key = ("edge_cases.npz", f"{name}.codes") if name.startswith("edge_") else (f"{name}.npz", "codes")
    with np.load(GOLDEN / file) as arrays:
        return arrays[key].astype(np.float64)


def mixed(rows: int = 3000) -> np.ndarray:
    """Four dependent latents of unequal scale and one that is independent."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((rows, 5))
    codes[:, :4] = codes[:, :4] @ rng.standard_normal((4, 4)) * [0.1, 1, 10, 3]
    return codes


@pytest.mark.filterwarnings("ignore:fewer rows than bins")
@pytest.mark.parametrize("name", [name for name, reference in VALUES.items() if "value" in reference])
def test_dependence_equals_that_of_the_published_program(name: str) -> None:
    codes = load(name)
    live = np.ptp(codes, axis=0) > 0
    if live.any():
        tc, distance, information = (getattr(metrics, function)(codes) for function in ALL)
    else:
        with pytest.warns(ScoreWarning, match="all latents are constant"):
            tc, distance, information = (getattr(metrics, function)(codes) for function in ALL)
    expected = {key: float(value) for key, value in VALUES[name]["value"].items()}
    if math.isnan(expected["gaussian_total_correlation"]):  # the logarithm of a variance of 0, which is left out here
        assert name in ("dead_dsprites", "edge_all_constant")
        expected["gaussian_total_correlation"] = metrics.gaussian_tc(codes[:, live]).value if live.any() else 0.0
    assert list(tc.left_out) == list(distance.left_out) == [f"latent {j}" for j in np.flatnonzero(~live)]
    ours = {
        "gaussian_total_correlation": tc.value,
        "gaussian_wasserstein_correlation": distance.value,
        "gaussian_wasserstein_correlation_norm": distance.extra["normalised"],
        "mutual_info_score": information.value,
    }
    assert ours == pytest.approx(expected, rel=0, abs=EXPECTED["tolerances"][KEY]["abs"])


@pytest.mark.parametrize("function", ALL)
def test_codes_that_the_published_program_cannot_take(function: str) -> None:
    raises = {name for name, reference in VALUES.items() if "error" in reference}
    assert raises == {"edge_nan", "edge_inf", "edge_one_latent"}
    for name in ("edge_nan", "edge_inf"):
        with pytest.raises(InputError, match="codes, column 2: 1 of 200 values are NaN or infinite"):
            getattr(metrics, function)(load(name))
    assert getattr(metrics, function)(load("edge_one_latent")).value == 0


@pytest.mark.parametrize("function", ALL)
def test_order_sign_and_place_of_latents_change_nothing(function: str) -> None:
    codes = mixed()
    expected = getattr(metrics, function)(codes).value
    assert expected > 0.02
    others = [codes[:, [3, 1, 4, 0, 2]], codes * [1, -1, -1, 1, -1], codes + np.arange(5), codes[::-1]]
    for other in others:
        assert getattr(metrics, function)(other).value == pytest.approx(expected, rel=1e-9)
    if function != "mutual_information":  # which counts it among the pairs, as published
        dead = np.insert(codes, 2, 0.1, axis=1)
        assert getattr(metrics, function)(dead).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("function", ALL)
def test_independent_latents_are_near_zero(function: str) -> None:
    codes = np.random.default_rng(1).random((20_000, 4))
    assert 0 <= getattr(metrics, function)(codes).value < 0.015


@pytest.mark.parametrize("function", ["gaussian_tc", "mutual_information"])
@pytest.mark.parametrize("scale", [1e-160, 1e-7, 1e160])
def test_scale_of_a_latent_changes_nothing(function: str, scale: float) -> None:
    codes = mixed()
    expected = getattr(metrics, function)(codes).value
    assert getattr(metrics, function)(codes * [1, scale, 1, 1, 1]).value == pytest.approx(expected, rel=1e-9)


def test_two_correlated_latents_have_the_values_of_the_formulas() -> None:
    codes = mixed()[:, :2]
    covariance = np.cov(codes.T)
    correlation = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
    assert metrics.gaussian_tc(codes).value == pytest.approx(-0.5 * math.log(1 - correlation**2), rel=1e-10)
    # The root of a 2 x 2 matrix M has the trace sqrt(tr M + 2 sqrt(det M)).
    product = covariance @ np.diag(np.diag(covariance))
    root = math.sqrt(np.trace(product) + 2 * math.sqrt(np.linalg.det(product)))
    result = metrics.wasserstein(codes)
    assert result.value == pytest.approx(2 * np.trace(covariance) - 2 * root, rel=1e-9)
    assert result.extra["normalised"] == pytest.approx(result.value / np.trace(covariance), rel=1e-12)
    shares = np.linalg.eigvalsh(covariance) / np.trace(covariance)
    assert result.extra["effective_rank"] == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-9)


def test_copied_latent_is_infinitely_dependent() -> None:
    codes = mixed()
    copied = np.column_stack([codes, 3 * codes[:, 1] - 2])
    summed = np.column_stack([codes, codes[:, 1] + codes[:, 4]])
    assert metrics.gaussian_tc(copied).value == metrics.gaussian_tc(summed).value == math.inf
    assert metrics.gaussian_tc(codes[:5]).value == math.inf  # as many rows as latents
    assert metrics.score(copied, which="gaussian_tc")["gaussian_tc"].low is None
    assert metrics.wasserstein(copied).extra["effective_rank"] < 6


def test_mutual_information_is_that_of_every_pair() -> None:
    codes = mixed(500)
    codes[:, 3] = codes[:, 0]
    result = metrics.mutual_information(codes, bins=8)
    expected = np.zeros((5, 5))
    for i in range(5):
        for j in range(5):
            if i != j:
                joint = np.histogram2d(codes[:, i], codes[:, j], 8)[0] / 500
                outer = np.outer(joint.sum(axis=1), joint.sum(axis=0))
                expected[i, j] = (joint[joint > 0] * np.log(joint[joint > 0] / outer[joint > 0])).sum()
    np.testing.assert_allclose(result.matrix, expected, atol=1e-12)
    np.testing.assert_allclose(result.per_latent, expected.sum(axis=1) / 4, atol=1e-12)
    assert result.value == pytest.approx(expected.sum() / 20)
    assert result.params == {"bins": 8}
    with pytest.raises(InputError, match="1 bins: expected 2 to 10,000"):
        metrics.mutual_information(codes, bins=1)
