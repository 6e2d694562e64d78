"""What every metric makes of special inputs: NaN, constants, one latent, one factor, continuous and partial factors."""

import math
from typing import Any

import numpy as np
import pytest
from tests.metrics.inputs import BOOSTED, FIT, SIZES, SUPERVISED, evaluate, perfect, toy, value

from equipoise.errors import InputError
from equipoise.metrics import METRICS, ScoreWarning

OF_CODES = [name for name in METRICS if name not in FIT]


@pytest.mark.parametrize("name", OF_CODES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_codes_that_are_not_finite_are_refused_by_column(name: str, bad: float) -> None:
    for array, called in (("codes", "codes"), ("logvar", "logvar"), ("sample", "sample"), ("factors", "factors")):
        if array in (*METRICS[name].needs, *METRICS[name].uses):
            given = toy(60)
            spoilt = given[array].astype(np.float64)
            spoilt[7, 1] = bad
            with pytest.raises(InputError, match=f"{called}, column 1: 1 of 60 values are NaN or infinite"):
                evaluate(name, {**given, array: spoilt})


@pytest.mark.parametrize("name", FIT)
def test_errors_that_are_not_finite_are_refused(name: str) -> None:
    errors = {"sse": np.ones(9), "bce": np.where(np.arange(9) == 3, np.nan, 1.0), "pixels": 4}
    with pytest.raises(InputError, match="recon bce, column 0: 1 of 9 values are NaN"):
        METRICS[name].function(errors)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("smi", {"of": "labels"}),
        ("spn", {"aggregate": "mean"}),
        ("mig", {"normalise": "codes"}),
        ("mig", {"edges": "ranges"}),
        ("mig_sup", {"dead": "zeros"}),
        ("irs", {"factor_bins": 4, "factor_edges": "ranges"}),
    ],
)
def test_unknown_options_are_refused(name: str, params: dict[str, Any]) -> None:
    (key, option), *_ = reversed(params.items())
    with pytest.raises(InputError, match=f"{option}: no such {key};"):
        evaluate(name, toy(60), **params)


def test_a_cross_entropy_is_needed_for_its_score() -> None:
    with pytest.raises(InputError, match="recon has no bce"):
        METRICS["bce"].function({"sse": np.ones(9), "pixels": 4})


def test_robustness_is_negative_where_rows_of_one_value_are_spread_further() -> None:
    codes = np.array([1.0] * 9 + [-1.0] + [-1.0] * 9 + [1.0])[:, None]
    score = METRICS["irs"].function(codes, np.repeat([0, 1], 10)[:, None])
    assert score.value == pytest.approx(-0.8)
    assert METRICS["irs"].range == (-1.0, 1.0)


def test_values_of_one_row_each_have_no_similarity() -> None:
    with pytest.warns(ScoreWarning, match="every value of the factors has one row"):
        score = METRICS["spn"].function(np.arange(8.0)[:, None], np.arange(8)[:, None], of="values")
    assert score.value == 0


@pytest.mark.parametrize("name", SUPERVISED)
def test_factors_of_one_value_each_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="every factor has one value only"):
        evaluate(name, {**toy(60), "factors": np.ones((60, 3), dtype=int)})


# Of codes that say nothing every metric is 0, but: NaN where there is nothing to average, and what follows by formula.
GUESSED = {"dci_informativeness", "dci_hist_informativeness"}  # the share of the commonest value
BY_FORMULA = {"jemmig", "index_code_mi", "total_correlation", "dimension_wise_kl", "kl", "elbo", *GUESSED}


@pytest.mark.parametrize("name", OF_CODES)
def test_codes_that_are_all_constant_say_nothing(name: str) -> None:
    given = toy(300)
    shape = given["codes"].shape
    given |= {"codes": np.full(shape, 0.1), "logvar": np.zeros(shape)}
    given["sample"] = given["codes"] + np.random.default_rng(0).standard_normal(shape)
    if name in SUPERVISED or name in ("mutual_information", "gaussian_tc", "wasserstein", "udr"):
        with pytest.warns(ScoreWarning, match="all latents are constant|every latent has a KL"):
            result = evaluate(name, given)
    else:
        result = evaluate(name, given)
    if name == "modularity":
        assert math.isnan(result.value)
    elif name in GUESSED:
        assert result.value == pytest.approx(result.extra["majority"], abs=0.08)
    elif name in BY_FORMULA:
        assert math.isfinite(result.value)
    else:
        assert result.value == pytest.approx(0, abs=0.1 if name == "beta_vae" else 1e-12)  # up to its draws


NAN_OF_ONE_FACTOR = {"modularity", "infom", "beta_vae", "factor_vae", "z_max"}
NAN_OF_ONE_FACTOR |= {name for name in METRICS if name.endswith("_disentanglement")}
NAN_OF_ONE_LATENT = {"infoc"} | {name for name in METRICS if name.endswith("_completeness")}


@pytest.mark.parametrize("name", SUPERVISED)
def test_metric_that_tells_factors_apart_is_nan_for_one_and_others_are_not(name: str) -> None:
    given = toy(300)
    given["factors"] = given["factors"][:, :1]
    if name in NAN_OF_ONE_FACTOR:
        with pytest.warns(ScoreWarning, match="with one factor there is nothing to tell apart"):
            assert math.isnan(value(name, given))
    else:
        assert 0 <= value(name, given) <= 1.01


@pytest.mark.parametrize("name", OF_CODES)
def test_metric_that_tells_latents_apart_is_nan_for_one_and_others_are_not(name: str) -> None:
    given = toy(300)
    given |= {key: given[key][:, :1] for key in ("codes", "logvar", "sample")}
    if name in NAN_OF_ONE_LATENT:
        with pytest.warns(ScoreWarning, match="with one (active )?latent there is nothing to tell apart"):
            assert math.isnan(value(name, given))
    else:
        assert math.isfinite(value(name, given))


@pytest.mark.parametrize("name", SUPERVISED)
def test_parts_have_the_place_of_their_factor_and_latent(name: str) -> None:
    given = toy(600 if name not in BOOSTED else 300)
    given |= {key: np.insert(given[key], 1, 0.0, axis=1) for key in ("codes", "logvar")}
    noise = np.random.default_rng(1).standard_normal(len(given["codes"]))
    given |= {
        "sample": np.insert(given["sample"], 1, noise, axis=1),
        "factors": np.insert(given["factors"], 0, 4, axis=1),
    }
    with pytest.warns(ScoreWarning, match="factor 0"):
        result = evaluate(name, given)
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
    assert result.n == len(given["codes"])


def close(factors: np.ndarray, noise: float) -> dict[str, Any]:
    """Codes near to the factors scaled to [0, 1], with narrow posteriors."""
    rng = np.random.default_rng(6)
    codes = factors / factors.max(axis=0) + noise * rng.standard_normal(factors.shape)
    logvar = np.full(codes.shape, -8.0)
    sample = codes + np.exp(-4) * rng.standard_normal(codes.shape)
    return {"codes": codes, "factors": factors, "logvar": logvar, "sample": sample}


MORE = {name: {"stages": 60} for name in BOOSTED}  # trees need as many to follow a continuous factor


@pytest.mark.parametrize("name", SUPERVISED)
def test_continuous_factors_are_binned_or_regressed(name: str) -> None:
    factors = np.random.default_rng(5).random((2000 if name not in BOOSTED else 600, 3))
    assert value(name, close(factors, 0.001), **MORE.get(name, {})) > 0.85


@pytest.mark.parametrize("name", SUPERVISED)
def test_continuous_and_discrete_factors_may_stand_side_by_side(name: str) -> None:
    rng = np.random.default_rng(9)
    size = 2000 if name not in BOOSTED else 600
    factors = np.column_stack([rng.random(size), rng.integers(1, 4, size=size)])
    result = evaluate(name, close(factors, 0.001), **MORE.get(name, {}))
    assert 0.8 < result.value < 1.02
    assert result.per_factor is None or np.isfinite(result.per_factor).all()


@pytest.mark.parametrize("name", SUPERVISED)
def test_factors_that_cover_part_of_their_grid_leave_perfect_codes_near_one(name: str) -> None:
    """Four of sixty combinations are missing, one value is rare; a little information is shared then."""
    _, factors = perfect(3000 if name not in BOOSTED else 800)
    keep = (factors @ [20, 5, 1] % 15 != 7) & ((factors[:, 1] != 3) | (np.arange(len(factors)) % 10 == 0))
    given = close(factors[keep], 0.001)
    assert len(np.unique(factors[keep], axis=0)) < math.prod(SIZES)
    assert value(name, given, **({"stages": 20} if name in BOOSTED else {})) > 0.85
