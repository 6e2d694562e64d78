"""The RF-VAE score where it differs from the FactorVAE score, whose draws and votes it shares."""

import math

import numpy as np
import pytest

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import ScoreWarning
from equipoise.metrics.draws import groups_by_the_others
from equipoise.metrics.inputs import pair


def grid(rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Codes that are the factors themselves, on (3, 3, 3) values."""
    factors = np.random.default_rng(0).integers(3, size=(rows, 3))
    return factors.astype(float), factors


def test_rows_of_a_group_differ_in_one_factor_alone() -> None:
    codes, factors = grid(300)
    factors[:, 1] *= 1000
    groups = groups_by_the_others(pair(codes, factors), None, 5)
    for k, combinations in enumerate(groups):
        others = [j for j in range(3) if j != k]
        counts = np.unique(factors[:, others], axis=0, return_counts=True)[1]
        assert sorted(map(len, combinations)) == sorted(counts[counts >= 5])
        assert any(len(np.unique(factors[rows, k])) > 1 for rows in combinations)
        for rows in combinations:
            assert (factors[rows][:, others] == factors[rows[0], others]).all()


@pytest.mark.filterwarnings("ignore:factor .* whole-number values")
def test_many_factors_of_many_values_do_not_overflow() -> None:
    factors = np.random.default_rng(1).integers(10_000, size=(200, 30))
    factors[100:] = factors[:100]
    groups = groups_by_the_others(pair(factors, factors), None, 2)
    assert [len(combinations) for combinations in groups] == [100] * 30


def test_latent_that_follows_the_free_factor_gets_its_votes() -> None:
    codes, factors = grid()
    score = metrics.z_max(codes[:, [2, 0, 1]], factors)
    assert score.value == 1
    assert score.matrix.argmax(axis=1).tolist() == [1, 2, 0]
    assert (score.matrix > 0).sum() == 3


def test_latents_of_noise_defeat_the_score_but_not_that_of_the_factor_vae() -> None:
    codes, factors = grid()
    noisy = np.hstack([codes, np.random.default_rng(2).standard_normal((len(codes), 3))])
    assert metrics.z_max(noisy, factors).value < 0.4
    assert metrics.factor_vae(noisy, factors).value > 0.99


def test_factor_without_two_rows_that_share_the_others_makes_it_undefined() -> None:
    factors = np.array([[0, 0], [1, 0], [0, 1], [1, 2], [2, 3], [0, 3]])
    codes = factors.astype(float)
    codes[:, 1] += 0.1
    assert math.isfinite(metrics.z_max(codes, factors, factor_bins=None, train=50, evaluate=50).value)
    with pytest.warns(ScoreWarning, match="no batch for factor 0: too few rows share the fixed values"):
        assert math.isnan(metrics.z_max(codes, factors, factor_bins=None, min_rows=3).value)


def test_batch_of_one_row_is_refused() -> None:
    with pytest.raises(InputError, match="min_rows = 1: expected at least 2"):
        metrics.z_max(*grid(), min_rows=1)
    with pytest.raises(InputError, match="batch = 1, train = 800, evaluate = 800: expected at least 2, 1 and 1"):
        metrics.z_max(*grid(), batch=1)
