"""What must hold of every metric of codes and factors, whatever its formula."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_limits

from equipoise.metrics import METRICS, Score, ScoreWarning, score

SIZES = (3, 4, 5)
BOOSTED = ("dci_disentanglement", "dci_completeness", "dci_informativeness")  # and dci_hist_*: laws in test_dci.py
SUPERVISED = [
    name
    for name, metric in METRICS.items()
    if tuple(metric.needs) == ("codes", "factors") and name not in BOOSTED and not name.startswith("dci_hist")
]
RANDOM = [name for name in SUPERVISED if METRICS[name].repeats]
EXACT = [name for name in SUPERVISED if not METRICS[name].repeats]
FEW: dict[str, dict[str, Any]] = {"beta_vae": {"batch": 32, "train": 1000, "evaluate": 500}}
SAME = {"beta_vae": 0.01}  # its iterative fit may tip single points where nothing but the order of sums changes
SAME |= {f"dci_lasso_{part}": 1e-4 for part in ("disentanglement", "completeness", "informativeness")}  # as do these
LINEAR = ("explicitness", "infoe", "dci_lasso_informativeness")  # a linear model of all latents undoes a rotation
# Shares of next to nothing are shares too: with few latents of noise these are anything, test_dci.py, test_infomec.py.
OF_SHARES = ("dci_lasso_disentanglement", "infom", "infoc")


def toy(rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Codes [N, 5] that mix the factors, with noise; factors [N, 3]."""
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(rows, 3))
    codes = factors / (np.array(SIZES) - 1) @ rng.standard_normal((3, 5))
    return codes + 0.2 * rng.standard_normal(codes.shape), factors


def value(name: str, codes: Any, factors: Any, **params: Any) -> float:
    return METRICS[name].function(codes, factors, **FEW.get(name, {}), **params).value


def perfect(rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    factors = np.random.default_rng(1).integers(SIZES, size=(rows, 3))
    return factors.astype(float), factors


@pytest.mark.parametrize("name", SUPERVISED)
def test_order_and_sign_of_latents_change_nothing(name: str) -> None:
    codes, factors = toy()
    expected = value(name, codes, factors)
    assert 0.05 < expected < 0.999
    for other in (codes[:, [3, 1, 4, 0, 2]], codes * [1, -1, -1, 1, -1]):
        assert value(name, other, factors) == pytest.approx(expected, abs=SAME.get(name, 1e-9))


@pytest.mark.parametrize("name", SUPERVISED)
def test_order_of_factors_and_of_rows_changes_nothing(name: str) -> None:
    codes, factors = toy()
    expected = value(name, codes, factors)
    order = np.random.default_rng(2).permutation(len(codes))
    tolerance = 0.06 if name in RANDOM else 1e-9  # the same seed draws other points
    assert value(name, codes, factors[:, [2, 0, 1]]) == pytest.approx(expected, abs=tolerance)
    assert value(name, codes[order], factors[order]) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("name", SUPERVISED)
def test_labels_may_be_any_numbers(name: str) -> None:
    codes, factors = toy()
    params = {"factor_bins": None} if name == "z_max" else {}  # else it bins them, and rounding moves those on an edge
    expected = value(name, codes, factors, **params)
    for other in (3 * factors - 7, factors * 10_000_000, factors * 0.5 - 1, factors.astype(np.int8)):
        assert value(name, codes, other, **params) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", SUPERVISED)
def test_constant_latent_does_no_harm(name: str) -> None:
    codes, factors = toy()
    dead = np.insert(codes, 2, np.full(len(codes), 0.1), axis=1)
    result = METRICS[name].function(dead, factors, **FEW.get(name, {}))
    expected = value(name, codes, factors)
    if name == "dci_lasso_completeness":  # the base of its entropy is the number of latents
        expected = 1 - (1 - expected) * np.log(5) / np.log(6)
    assert result.value == pytest.approx(expected, abs=SAME.get(name, 1e-9))
    assert set(result.left_out) <= {"latent 2"}


@pytest.mark.parametrize(
    ("name", "convention"), [(name, way) for name in SUPERVISED for way in (None, *METRICS[name].conventions)]
)
def test_perfect_codes_score_one(name: str, convention: str | None) -> None:
    params = {**METRICS[name].conventions.get(convention or "", {}), **FEW.get(name, {})}
    floor = 0.97 if name == "explicitness" else 0.995  # a straight line cannot rank the middle values of a factor
    if (name, convention) == ("sap", "locatello"):  # nor can a linear machine of one latent tell them
        floor = 0.55
    if name in ("infom", "infoc"):  # distances between equal codes are those of the noise that parts them
        floor = 0.99
    assert floor <= METRICS[name].function(*perfect(), **params).value <= 1 + 1e-12


@pytest.mark.parametrize("name", [name for name in SUPERVISED if name not in OF_SHARES])
def test_noise_scores_near_chance(name: str) -> None:
    factors = perfect(4000)[1]
    codes = np.random.default_rng(3).standard_normal((len(factors), 4))
    result = score(codes, factors, which=name, interval=METRICS[name].shuffles)[name]
    assert result.value == pytest.approx(result.baseline if METRICS[name].shuffles else 0, abs=0.05)


@pytest.mark.parametrize("name", SUPERVISED)
def test_mixing_two_latents_lowers_the_score(name: str) -> None:
    codes, factors = perfect()
    codes = codes / codes.std(axis=0) + 0.01 * np.random.default_rng(4).standard_normal(codes.shape)
    angle = np.pi / 4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    before, after = value(name, codes, factors), value(name, codes @ turn, factors)
    if name in LINEAR:
        assert after == pytest.approx(before, abs=0.02)
    else:
        assert after < before - 0.15


@pytest.mark.parametrize("name", ["mig", "mig_sup", "dcimig", "jemmig", "modularity", "sap", "irs"])
def test_doubling_all_rows_changes_nothing(name: str) -> None:
    codes, factors = toy()
    doubled = value(name, np.tile(codes, (2, 1)), np.tile(factors, (2, 1)))
    assert doubled == pytest.approx(value(name, codes, factors), abs=1e-9)


@pytest.mark.parametrize("name", SUPERVISED)
def test_same_seed_gives_the_same_bits_on_one_thread_and_on_two(name: str) -> None:
    codes, factors = toy(3000)
    results = []
    for threads in (1, 2, 2):
        with threadpool_limits(threads):
            results.append(score(codes, factors, which=name, seed=5, interval=False)[name].to_dict() | {"seconds": 0})
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", RANDOM)
def test_seed_chooses_the_draws_and_may_be_a_generator(name: str) -> None:
    codes, factors = perfect() if name in OF_SHARES else toy()  # noise counts where codes are equal
    params = FEW.get(name, {})
    first, other = (METRICS[name].function(codes, factors, **params, seed=seed) for seed in (0, 1))
    drawn = METRICS[name].function(codes, factors, **params, seed=np.random.default_rng(0))
    assert not np.array_equal(first.matrix, other.matrix)
    assert np.array_equal(first.matrix, drawn.matrix)
    assert (first.seed, drawn.seed) == (0, None)


@pytest.mark.parametrize("name", SUPERVISED)
def test_every_kind_of_array_gives_the_same_value_and_is_left_as_it_was(name: str) -> None:
    codes, factors = toy()
    codes = codes.astype(np.float32)
    expected = value(name, codes.astype(np.float64), factors)
    wide = np.zeros((len(codes), 10), dtype=np.float32)
    wide[:, ::2] = codes
    kinds = [
        (codes, factors),
        (wide[:, ::2], np.asfortranarray(factors)),
        (pd.DataFrame(codes), pd.DataFrame(factors)),
        (torch.tensor(codes, requires_grad=True), torch.tensor(factors, dtype=torch.uint8)),
        (codes.tolist(), factors.tolist()),
    ]
    for given, labels in kinds:
        assert value(name, given, labels) == expected
    assert np.array_equal(wide[:, ::2], codes)
    assert not wide[:, 1::2].any()


@pytest.mark.parametrize("name", SUPERVISED)
def test_half_precision_codes_are_taken(name: str) -> None:
    codes, factors = toy()
    half = torch.tensor(codes).bfloat16().requires_grad_()
    assert value(name, half, factors) == value(name, half.detach().double().numpy(), factors)


@pytest.mark.parametrize("name", SUPERVISED)
def test_parts_have_the_place_of_their_factor_and_latent(name: str) -> None:
    codes, factors = toy()
    codes = np.insert(codes, 1, 0.0, axis=1)
    factors = np.insert(factors, 0, 4, axis=1)
    with pytest.warns(ScoreWarning, match="factor 0"):
        result: Score = METRICS[name].function(codes, factors, **FEW.get(name, {}))
    if result.per_factor is not None:
        assert result.per_factor.shape == (4,)
        assert np.flatnonzero(np.isnan(result.per_factor)).tolist() == [0]
    if result.per_latent is not None:
        assert result.per_latent.shape == (6,)
        assert np.flatnonzero(np.isnan(result.per_latent)).tolist() == [1]
    if result.matrix is not None:
        assert result.matrix.shape == (4, 6)
        assert np.isnan(result.matrix[0]).all()
        assert np.isfinite(result.matrix[1:, [0, 2, 3, 4, 5]]).all()
    assert result.left_out["factor 0"] == "one value only"
    assert result.n == len(codes)


@pytest.mark.parametrize("name", SUPERVISED)
def test_continuous_factors_are_binned(name: str) -> None:
    rng = np.random.default_rng(6)
    factors = rng.random((2000, 3))
    assert value(name, factors + 0.001 * rng.standard_normal(factors.shape), factors) > 0.85
    assert name in OF_SHARES or value(name, rng.standard_normal(factors.shape), factors) < 0.45


@pytest.mark.parametrize("name", [name for name in SUPERVISED if METRICS[name].attains])
def test_attainable_is_what_perfect_codes_reach(name: str) -> None:
    factors = np.random.default_rng(7).integers((3, 40), size=(5000, 2))
    result = score(factors.astype(float), factors, which=name, interval=False)[name]
    assert result.attainable == result.value < 0.95
    assert score(-(factors**1.0), factors + 3, which=name, interval=False)[name].attainable == result.attainable


def test_table_says_of_every_metric_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert metric.function.__name__ == name
        assert metric.function.__doc__
        assert metric.summary
        assert metric.citation
        assert set(metric.needs) <= {"codes", "factors", "logvar", "sample", "recon", "sampled", "group"}
        assert set(metric.conventions) <= {"carbonneau", "locatello"}
