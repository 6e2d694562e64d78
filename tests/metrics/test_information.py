"""The family of mutual information, against values worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import METRICS, ScoreWarning

FAMILY = ["mig", "mig_sup", "dcimig", "jemmig", "modularity"]
OVER_LATENTS = ["mig_sup", "modularity"]


def grid(*sizes: int, times: int = 1) -> np.ndarray:
    """Every combination of factor values, so often: empirical information of independent things is exactly 0."""
    return np.tile(np.indices(sizes).reshape(len(sizes), -1).T, (times, 1))


def parts(name: str, codes: Any, factors: Any, **params: Any) -> list[float]:
    score = METRICS[name].function(codes, factors, **params)
    return (score.per_latent if score.per_factor is None else score.per_factor).tolist()


@pytest.mark.parametrize("name", FAMILY)
def test_codes_equal_to_the_factors_score_one(name: str) -> None:
    factors = grid(3, 4, 5)
    score = METRICS[name].function(factors * [1.0, -2.0, 0.1], factors)
    assert score.value == pytest.approx(1)
    assert np.diag(score.matrix) == pytest.approx(np.log([3, 4, 5]))


def test_mean_of_two_factors_is_told_by_the_formulas() -> None:
    factors = grid(2, 4, times=3)
    codes = np.column_stack([4 * factors[:, 0] + factors[:, 1], factors[:, 1]])  # one latent tells both, one the second
    small, large, both = math.log(2), math.log(4), math.log(8)
    assert parts("mig", codes, factors) == pytest.approx([1, 0])
    assert parts("mig_sup", codes, factors) == pytest.approx([(large - small) / both, 1])
    assert parts("modularity", codes, factors) == pytest.approx([1 - (small / large) ** 2, 1])
    # Both latents tell most of the second factor: the gap of the first is log 4 - log 2, that of the second log 4.
    assert parts("dcimig", codes, factors) == pytest.approx([0, 1])
    assert metrics.dcimig(codes, factors).value == pytest.approx(large / both)
    # The first factor has the first latent with joint entropy log 8; of the second's two latents, which tell all of
    # it, the second has the smaller joint entropy, log 4.
    first = 1 - (both - small) / (small + math.log(20))
    second = 1 - (large - large + large) / (large + math.log(20))
    assert parts("jemmig", codes, factors) == pytest.approx([first, second])


def test_copies_lower_what_compares_latents_and_noise_what_averages_them() -> None:
    factors = grid(3, 4, times=50)
    noise = np.random.default_rng(0).integers(20, size=(len(factors), 2))
    perfect, copied, noisy = factors, np.hstack([factors, -factors]), np.hstack([factors, noise])
    for name in ("mig", "jemmig"):
        value = METRICS[name].function(copied, factors).value
        assert value < METRICS[name].function(perfect, factors).value - 0.2
        assert METRICS[name].function(noisy, factors).value > 0.9
    for name in OVER_LATENTS:
        assert METRICS[name].function(copied, factors).value == pytest.approx(1)
        assert METRICS[name].function(noisy, factors).value < 0.9
    assert metrics.dcimig(copied, factors).value == pytest.approx(1)
    assert metrics.dcimig(noisy, factors).value > 0.9


@pytest.mark.parametrize("name", OVER_LATENTS)
def test_constant_latents_are_left_out_count_as_zero_or_spoil_the_score(name: str) -> None:
    factors = grid(3, 4, times=2)
    codes = np.column_stack([factors, np.full(24, 0.1)])
    score = METRICS[name].function(codes, factors)
    assert score.value == pytest.approx(1)
    assert score.left_out == {"latent 2": "constant"}
    zero = METRICS[name].function(codes, factors, dead="zero")
    assert zero.value == pytest.approx(2 / 3)
    assert zero.left_out == {}
    assert zero.per_latent == pytest.approx([1, 1, 0])
    assert math.isnan(METRICS[name].function(codes, factors, strict=True).value)
    assert METRICS[name].function(factors, factors, strict=True).value == pytest.approx(1)


@pytest.mark.filterwarnings("ignore:all latents are constant")
def test_codes_that_never_move() -> None:
    factors = grid(3, 4, times=2)
    codes = np.full((24, 2), 0.1)
    for name in ("mig", "mig_sup", "dcimig"):
        assert METRICS[name].function(codes, factors).value == 0
    assert math.isnan(metrics.modularity(codes, factors).value)
    assert metrics.modularity(codes, factors, dead="zero").value == 0
    floor = 1 - np.log([3, 4]) / (np.log([3, 4]) + math.log(20))
    assert parts("jemmig", codes, factors) == pytest.approx(floor)


def test_latent_that_tells_nothing_has_no_modularity() -> None:
    factors = grid(3, 4, 2)
    score = metrics.modularity(factors, factors[:, :2])
    assert score.per_latent == pytest.approx([1, 1, 0])
    assert score.left_out == {}


def test_one_factor_has_nothing_to_be_told_from() -> None:
    factors = grid(4, 3, times=2)
    for dead in ("omit", "zero"):
        with pytest.warns(ScoreWarning, match="modularity: with one factor there is nothing to tell apart"):
            score = metrics.modularity(factors, factors[:, :1], dead=dead)
        assert math.isnan(score.value)
    assert parts("mig_sup", factors, factors[:, :1]) == pytest.approx([1, 0])
    assert metrics.dcimig(factors, factors[:, :1]).value == pytest.approx(1)


@pytest.mark.parametrize("name", ["jemmig", "modularity"])
def test_floor_that_is_not_zero_is_the_baseline_of_shuffled_codes(name: str) -> None:
    factors = grid(3, 6, 8, times=20)
    result = metrics.score(factors + 0.0, factors, which=name)[name]
    assert result.value > 0.95
    assert 0.05 < result.baseline < 0.8


@pytest.mark.parametrize("name", ["mig", "dcimig", "jemmig"])
def test_bins_that_merge_values_lower_what_is_attainable(name: str) -> None:
    factors = grid(3, 40, times=10)
    result = metrics.score(factors + 0.0, factors, which=name, interval=False)[name]
    assert result.attainable == result.value < 0.97
    fine = METRICS[name].function(factors, factors, bins=40)
    assert fine.value == pytest.approx(1)


@pytest.mark.parametrize("name", FAMILY)
def test_fewer_rows_than_bins_are_said(name: str) -> None:
    with pytest.warns(ScoreWarning, match=r"fewer rows than bins \(12 < 20\)"):
        METRICS[name].function(grid(3, 4), grid(3, 4))
    with pytest.raises(InputError, match="1 bins: expected 2 to 10,000"):
        METRICS[name].function(grid(3, 4), grid(3, 4), bins=1)
