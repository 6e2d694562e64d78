"""Every value of the published programs for the metrics we have, within its tolerance; where we rule otherwise, why."""

import json
import math
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import METRICS, Score, ScoreWarning
from equipoise.metrics.discretise import binned, entropy

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
SETS = EXPECTED["sets"]

UNIT = {"edges": "unit", "normalise": "code"}
RANGE_20 = {"factor_bins": 20, "factor_edges": "range"}
CONT, DISC = {"factor_bins": 10}, {"factor_bins": None}
OF_TABLES = ("mig_sup", "dcimig", "jemmig", "modularity")

# What our functions are called with to give the value of each key.
DETERMINISTIC: dict[str, tuple[str, dict[str, Any]]] = {
    "carbonneau/mig/cont": ("mig", METRICS["mig"].conventions["carbonneau"]),
    "carbonneau/mig/disc": ("mig", {**UNIT, **DISC, "bins": 10}),
    "carbonneau/mig_bins20/cont": ("mig", {**UNIT, "bins": 20, "factor_bins": 20}),
    "carbonneau/mig_bins20/disc": ("mig", {**UNIT, **DISC, "bins": 20}),
    "disentanglement_lib/mig_bins20": ("mig", METRICS["mig"].conventions["locatello"]),
    **{f"carbonneau/{name}/cont": (name, METRICS[name].conventions["carbonneau"]) for name in OF_TABLES},
    **{f"carbonneau/{name}/disc": (name, {**METRICS[name].conventions["carbonneau"], **DISC}) for name in OF_TABLES},
    "disentanglement_lib/modularity_bins20": ("modularity", METRICS["modularity"].conventions["locatello"]),
    "carbonneau/sap_regression": ("sap", METRICS["sap"].conventions["carbonneau"]),
    "disentanglement_lib/sap_continuous": ("sap", {"min_variance": 1e-12}),
    "carbonneau/irs_q1.00/cont": ("irs", METRICS["irs"].conventions["carbonneau"]),
    "carbonneau/irs_q1.00/disc": ("irs", {"quantile": 1.0}),
    "carbonneau/irs_q0.99/cont": ("irs", {**CONT, "quantile": 0.99}),
    "carbonneau/irs_q0.99/disc": ("irs", {"quantile": 0.99}),
    "disentanglement_lib/irs_q0.99_bins20": ("irs", METRICS["irs"].conventions["locatello"]),
    "disentanglement_lib/irs_q1.00_bins20": ("irs", {**RANGE_20, "quantile": 1.0}),
    "disentanglement_lib/irs_q0.99_nobins": ("irs", {"quantile": 0.99}),
    "disentanglement_lib/irs_q1.00_nobins": ("irs", {"quantile": 1.0}),
    "carbonneau/explicitness_impl1/cont": ("explicitness", METRICS["explicitness"].conventions["carbonneau"]),
    "carbonneau/explicitness_impl1/disc": ("explicitness", {}),
    "carbonneau/explicitness_impl2/cont": ("explicitness", {**CONT, "model": "independent"}),
    "carbonneau/explicitness_impl2/disc": ("explicitness", {"model": "independent"}),
    "carbonneau/sap_classification/cont": ("sap", {**CONT, "predictor": "tree"}),
    "carbonneau/sap_classification/disc": ("sap", {"predictor": "tree"}),
}
RANDOM: dict[str, tuple[str, dict[str, Any]]] = {
    "carbonneau/z_diff/cont": ("beta_vae", METRICS["beta_vae"].conventions["carbonneau"]),
    "carbonneau/z_diff/disc": ("beta_vae", {}),
    "carbonneau/z_min_var_std0.05/cont": ("factor_vae", METRICS["factor_vae"].conventions["carbonneau"]),
    "carbonneau/z_min_var_std0.05/disc": ("factor_vae", {}),
    "carbonneau/z_min_var_std0.02/cont": ("factor_vae", {**CONT, "threshold": 0.02}),
    "carbonneau/z_min_var_std0.02/disc": ("factor_vae", {"threshold": 0.02}),
    "carbonneau/z_max_var_bins3/cont": ("z_max", METRICS["z_max"].conventions["carbonneau"]),
    "carbonneau/z_max_var_bins10/cont": ("z_max", CONT),
}
ON_DEMAND = {
    "disentanglement_lib/beta_vae_on_demand": "beta_vae",
    "disentanglement_lib/factor_vae_on_demand": "factor_vae",
}
ELSEWHERE = {
    "carbonneau/matrix",
    "disentanglement_lib/matrix",
    "disentanglement_lib/factor_vae_on_demand_noprune",
    "disentanglement_lib/unsupervised",  # of codes alone: test_unsupervised.py
    "disentanglement_lib/explicitness",  # of two parts of the rows: test_predictor.py
    "disentanglement_lib/sap_linear_svc",
    "carbonneau/dci_lasso",  # of three numbers each: test_dci.py, test_infomec.py
    "carbonneau/dci_random_forest",
    "disentanglement_lib/dci_gbt",
    "infomec/continuous",
    "infomec/discrete",
}
SEEDS = {"beta_vae": 1, "factor_vae": 5, "z_max": 5}


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes and factors of a set, cast as `input_rule` says."""
    file, prefix = (f"{name}.npz", "") if not name.startswith("edge_") else ("edge_cases.npz", f"{name}.")
    with np.load(GOLDEN / file) as arrays:
        codes, factors = arrays[f"{prefix}codes"], arrays[f"{prefix}factors"]
    return codes.astype(np.float64), factors.astype(np.float64 if factors.dtype.kind == "f" else np.int64)


def cases(table: Container[str], kind: str = "codes") -> list[tuple[str, str]]:
    """Set and key of all values in the file that the table knows."""
    sets = {name: content["values"] for name, content in SETS.items() if content["meta"]["kind"] == kind}
    return [(name, key) for name, values in sets.items() for key in values if key in table]


def number(value: Any) -> float:
    return float(value)  # the file writes "nan" and "-inf" as strings


def tolerance(name: str, key: str) -> float:
    """The absolute tolerance of a deterministic value; that of a set, where it has its own, before that of the key."""
    return EXPECTED["overrides"].get(name, {}).get(key, EXPECTED["tolerances"][key])["abs"]


def within(key: str, reference: dict[str, Any], seeds: int) -> float:
    """The tolerance of a stochastic value, as the file's rule gives it."""
    spread = reference["std"]["eval_accuracy"] if isinstance(reference["std"], dict) else reference["std"]
    return max(EXPECTED["tolerances"][key]["floor"], 4 * spread * math.sqrt(1 / reference["seeds"] + 1 / seeds))


def test_every_value_of_the_file_is_tested() -> None:
    keys = {
        key for content in SETS.values() if content["meta"]["kind"] in ("codes", "edge") for key in content["values"]
    }
    assert keys == {*DETERMINISTIC, *RANDOM, *ON_DEMAND, *ELSEWHERE}


@pytest.mark.parametrize(("name", "key"), cases(DETERMINISTIC))
def test_deterministic_metric_equals_the_published_program(name: str, key: str) -> None:
    function, params = DETERMINISTIC[key]
    codes, factors = load(name)
    if key.endswith("nobins"):  # "factor values used as they are": continuous ones too
        factors = np.stack([np.unique(column, return_inverse=True)[1] for column in factors.T], axis=1)
    expected = number(SETS[name]["values"][key]["value"])
    if math.isnan(expected):  # a constant latent divides 0 by 0
        assert name == "dead_dsprites"
        assert math.isnan(getattr(metrics, function)(codes, factors, **params, strict=True).value)
        ours = getattr(metrics, function)(codes, factors, **params)
        live = np.ptp(codes, axis=0) > 0
        assert ours.value == getattr(metrics, function)(codes[:, live], factors, **params).value
        assert set(ours.left_out) == {"latent 0", "latent 4"}
        return
    if name == "continuous_uniform" and key.endswith("nobins"):
        with pytest.warns(ScoreWarning, match="one row"):
            value = metrics.irs(codes, factors, factor_bins=len(factors), **params).value  # a bin for each value
    else:
        value = getattr(metrics, function)(codes, factors, **params).value
    assert value == pytest.approx(expected, abs=tolerance(name, key))


@pytest.mark.parametrize(("name", "key"), cases(RANDOM))
def test_random_metric_agrees_with_the_published_program(name: str, key: str) -> None:
    function, params = RANDOM[key]
    codes, factors = load(name)
    reference, seeds = SETS[name]["values"][key], SEEDS[function]
    values = [getattr(metrics, function)(codes, factors, **params, seed=seed).value for seed in range(seeds)]
    assert np.mean(values) == pytest.approx(reference["mean"], abs=within(key, reference, seeds))


PHI: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "id": lambda x: x,
    "exp": np.exp,
    "cube": lambda x: x**3,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
}


def encoded_anew(name: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes of factors drawn uniformly on the grid, by the stored rule with fresh noise."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        sizes, rule = arrays["factor_sizes"], {key: arrays[key] for key in arrays.files if key.startswith("enc_")}
    assert not rule["enc_heavy"].any()
    assert not rule["enc_quant"].any()
    rng = np.random.default_rng(0)
    factors = rng.integers(sizes, size=(rows, len(sizes)))
    mixed = factors / (sizes - 1) @ rule["enc_W"] + rule["enc_b"]
    codes = np.stack([PHI[str(phi)](column) for phi, column in zip(rule["enc_phi"], mixed.T, strict=True)], axis=1)
    return rule["enc_scale"] * codes + rule["enc_noise"] * rng.standard_normal(codes.shape), factors


@pytest.mark.parametrize(("name", "key"), cases(ON_DEMAND))
def test_metric_of_many_rows_agrees_with_the_published_one_that_encodes_on_demand(name: str, key: str) -> None:
    codes, factors = encoded_anew(name, 100_000)
    metric, reference = METRICS[ON_DEMAND[key]], SETS[name]["values"][key]
    value = metric.function(codes, factors, **metric.conventions["locatello"], seed=0).value
    assert value == pytest.approx(reference["mean"]["eval_accuracy"], abs=within(key, reference, 1))


def test_constant_latents_win_no_vote_even_without_a_threshold() -> None:
    key = "disentanglement_lib/factor_vae_on_demand_noprune"  # 0 / 0 is NaN there, which wins every vote
    assert SETS["dead_dsprites"]["values"][key]["mean"]["eval_accuracy"] < 0.21
    codes, factors = encoded_anew("dead_dsprites", 20_000)
    params = METRICS["factor_vae"].conventions["locatello"] | {"threshold": 0.0}
    assert metrics.factor_vae(codes, factors, **params).value == 1


@pytest.mark.parametrize("name", [name for name, content in SETS.items() if "carbonneau/matrix" in content["values"]])
def test_matrices_equal_those_of_the_published_programs(name: str) -> None:
    codes, factors = load(name)
    live = np.ptp(codes, axis=0) > 0
    values = SETS[name]["values"]
    expected = {key: np.array(value, dtype=float).T for key, value in values["disentanglement_lib/matrix"].items()}
    expected["mi_bits"] = np.array(values["carbonneau/matrix"]["mi_bits"], dtype=float)
    ours = {
        "mi_bits": metrics.mig(codes, factors, **METRICS["mig"].conventions["carbonneau"]).matrix / math.log(2),
        "mi_nats_bins20": metrics.mig(codes, factors).matrix,
        "factor_entropy_nats": np.array([entropy(np.unique(column, return_counts=True)[1]) for column in factors.T]),
        "sap_r2": metrics.sap(codes, factors).matrix,
        "irs_q1.00_nobins": metrics.irs(codes, factors).matrix[:, live],  # the program drops the others
    }
    if name == "continuous_uniform":
        del expected["irs_q1.00_nobins"]  # of values taken as labels
    for key, matrix in expected.items():
        np.testing.assert_allclose(ours[key], matrix, rtol=0, atol=1e-8, err_msg=key)


FEW_POINTS = {  # with which the file has the random metrics of edge cases
    "beta_vae": {"batch": 16, "train": 500, "evaluate": 250},
    "factor_vae": {"batch": 16, "train": 200, "evaluate": 200},
    "z_max": {"batch": 16, "train": 200, "evaluate": 200},
}
KEYS = {**DETERMINISTIC, **RANDOM}
EDGES = cases(KEYS, "edge")


def edge(key: str, codes: np.ndarray, factors: np.ndarray) -> Score:
    function, params = KEYS[key]
    return getattr(metrics, function)(codes, factors, **{**params, **FEW_POINTS.get(function, {})})


def ruled(name: str, key: str) -> bool:
    """Whether we return something else than the published program, for the reason that the tests below name."""
    function = KEYS[key][0]
    return (
        name in ("edge_nan", "edge_inf", "edge_single_valued_factor", "edge_all_constant")
        or (name == "edge_constant_latent" and SETS[name]["values"][key]["value"] == "nan")
        or (name == "edge_one_latent" and function in ("mig", "sap", "jemmig"))
        or (name == "edge_few_samples" and function == "jemmig")
        or (name == "edge_one_factor" and function in ("beta_vae", "factor_vae", "z_max", "mig_sup", "dcimig"))
        or (name == "edge_negative_labels" and function in ("mig", *OF_TABLES) and key.endswith("disc"))
    )


def rulings(name: str) -> list[str]:
    return [key for set_name, key in EDGES if set_name == name and ruled(name, key)]


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
@pytest.mark.parametrize(("name", "key"), [case for case in EDGES if not ruled(*case)])
def test_edge_case_equals_the_published_program(name: str, key: str) -> None:
    reference = number(SETS[name]["values"][key]["value"])
    # Random metrics of so few points agree in size only.
    reach = 0.1 if key in RANDOM else tolerance(name, key)
    assert edge(key, *load(name)).value == pytest.approx(reference, abs=reach, nan_ok=True)


@pytest.mark.parametrize("name", ["edge_nan", "edge_inf"])
def test_codes_that_are_not_finite_are_refused_by_column(name: str) -> None:
    for key in rulings(name):  # silent numbers there, or any exception
        with pytest.raises(InputError, match="codes, column 2: 1 of 200 values are NaN or infinite"):
            edge(key, *load(name))


@pytest.mark.parametrize("key", rulings("edge_single_valued_factor"))
def test_factor_of_one_value_is_left_out_and_said(key: str) -> None:
    codes, factors = load("edge_single_valued_factor")
    with pytest.warns(ScoreWarning, match="factor 1 has one value only and is left out") as caught:
        score = edge(key, codes, factors)
    assert len(caught) == 1
    assert score.left_out == {"factor 1": "one value only"}
    assert score.value == edge(key, codes, factors[:, [0, 2]]).value
    reference = SETS["edge_single_valued_factor"]["values"][key]
    if key.startswith(("carbonneau/mig/", "carbonneau/mig_bins20/", "carbonneau/sap")):  # a gap of 0 counts there
        assert score.value == pytest.approx(1.5 * reference["value"], abs=2e-8)
    if "modularity" in key:  # it counts in K - 1 there
        assert 1 - score.value == pytest.approx(2 * (1 - reference["value"]), abs=2e-8)
    if key.startswith(("carbonneau/mig_sup", "carbonneau/dcimig")):  # nothing is told of it there either
        assert score.value == pytest.approx(reference["value"], abs=1e-8)
    if "irs" in key:  # right there: held at its one value it leaves everything free
        assert score.value == pytest.approx(reference["value"], abs=1e-8)


@pytest.mark.parametrize("key", rulings("edge_constant_latent"))
def test_constant_latent_that_makes_the_published_program_nan_is_left_out(key: str) -> None:
    codes, factors = load("edge_constant_latent")
    assert SETS["edge_constant_latent"]["values"][key]["value"] == "nan"
    score = edge(key, codes, factors)
    assert score.left_out == {"latent 1": "constant"}
    assert score.value == pytest.approx(edge(key, codes[:, [0, 2, 3]], factors).value, abs=1e-15)


@pytest.mark.parametrize("key", rulings("edge_all_constant"))
def test_codes_that_never_move_score_zero_with_one_warning(key: str) -> None:
    with pytest.warns(ScoreWarning, match="all latents are constant") as caught:
        value = edge(key, *load("edge_all_constant")).value
    assert len(caught) == 1
    if "jemmig" in key:  # its floor is not zero: the published value
        assert value == pytest.approx(SETS["edge_all_constant"]["values"][key]["value"], abs=1e-8)
    elif key.startswith("carbonneau/modularity"):  # a mean over no latents, as there
        assert math.isnan(value)
    else:
        assert value == pytest.approx(0, abs=0.1 if "z_diff" in key else 0)


@pytest.mark.parametrize("key", rulings("edge_one_latent"))
def test_lone_latent_is_compared_with_zero(key: str) -> None:
    codes, factors = load("edge_one_latent")
    beside_a_constant = np.hstack([codes, np.zeros_like(codes)])
    assert edge(key, codes, factors).value == pytest.approx(edge(key, beside_a_constant, factors).value, abs=1e-15)
    assert edge(key, codes, factors).value > 0.2


@pytest.mark.parametrize("key", [key for key in rulings("edge_one_factor") if KEYS[key][0] not in OF_TABLES])
def test_metric_that_tells_factors_apart_is_nan_for_one(key: str) -> None:
    with pytest.warns(ScoreWarning, match="with one factor there is nothing to tell apart"):
        assert math.isnan(edge(key, *load("edge_one_factor")).value)


@pytest.mark.parametrize("key", [key for key in rulings("edge_one_factor") if KEYS[key][0] in OF_TABLES])
def test_lone_factor_is_compared_with_zero(key: str) -> None:
    assert "error" in SETS["edge_one_factor"]["values"][key]
    codes, factors = load("edge_one_factor")
    score = edge(key, codes, factors)
    of_factor = entropy(np.unique(factors, return_counts=True)[1])
    of_codes = [entropy(np.bincount(column)) for column in binned(codes, 10, "unit").T]
    expected = score.matrix.max() / of_factor if "dcimig" in key else (score.matrix[0] / of_codes).mean()
    assert score.value == pytest.approx(expected, abs=1e-12)


@pytest.mark.filterwarnings("ignore:fewer rows than bins")
@pytest.mark.parametrize("key", rulings("edge_few_samples"))
def test_latents_that_tell_equally_much_are_not_chosen_by_rounding(key: str) -> None:
    # In eight rows the first and the last latent tell the same of two factors; the last bit chooses the last there.
    codes, factors = load("edge_few_samples")
    first = edge(key, codes, factors).value
    assert first > SETS["edge_few_samples"]["values"][key]["value"] + 0.05
    assert edge(key, codes[:, ::-1], factors).value == pytest.approx(first, abs=1e-12)


@pytest.mark.parametrize("key", rulings("edge_negative_labels"))
def test_label_of_minus_one_is_a_label(key: str) -> None:
    # It means missing data there. Eight labels in ten bins keep their partition, so that /cont has the right value.
    right = SETS["edge_negative_labels"]["values"][key.replace("/disc", "/cont")]["value"]
    assert edge(key, *load("edge_negative_labels")).value == pytest.approx(right, abs=1e-8)


def test_reconstruction_and_kl_equal_the_published_losses() -> None:
    with np.load(GOLDEN / "loss_batch.npz") as batch:
        x, mean, logvar = (batch[key].astype(np.float64) for key in ("x", "mu", "logvar"))
        xhat = 1 / (1 + np.exp(-batch["logits"].astype(np.float64)))
    values = {key.removeprefix("aggregate_posterior/"): value for key, value in SETS["loss_batch"]["values"].items()}
    assert metrics.sse((x, xhat)).value == pytest.approx(values["sum_per_image.mse_sigmoid"], abs=1e-5)
    assert metrics.mse((x, xhat)).value == pytest.approx(values["formula.mean_squared_error_per_pixel"], abs=1e-7)
    assert metrics.bce((x, xhat)).value == pytest.approx(values["sum_per_image.bce_logits"], abs=1e-5)
    excess = metrics.bce((x, xhat)).value - metrics.bce((x, x)).value
    assert excess == pytest.approx(values["formula.bce_minus_pixel_entropy"], abs=1e-5)
    likelihood, gaussian = metrics.log_px_z((x, xhat)).value, metrics.log_px_z((x, xhat), likelihood="gaussian").value
    assert likelihood == pytest.approx(values["tcvae.log_px_per_image_mean"], abs=1e-5)
    assert -gaussian == pytest.approx(values["formula.gaussian_nll_sigma1_per_image"], abs=1e-5)
    kl = metrics.kl(mean, logvar)
    assert metrics.elbo(mean, logvar, (x, xhat)).value == likelihood - kl.value
    assert kl.value == pytest.approx(values["kl.total"], abs=1e-5)
    np.testing.assert_allclose(kl.per_latent, values["kl.per_dimension"], atol=1e-5)


@pytest.mark.parametrize("name", ["agg_clean", "agg_mixed"])
def test_kl_and_active_units_equal_those_of_a_posterior_grid(name: str) -> None:
    with np.load(GOLDEN / f"{name}.npz") as grid:
        mean, logvar = grid["mean"].astype(np.float64), 2 * grid["logsigma"].astype(np.float64)
    values = {key.removeprefix("aggregate_posterior/"): value for key, value in SETS[name]["values"].items()}
    kl, active = metrics.kl(mean, logvar), metrics.active_units(mean, logvar)
    assert kl.value == pytest.approx(values["analytic_kl"], abs=1e-5)
    np.testing.assert_allclose(kl.per_latent, values["kl_per_dimension"], atol=1e-5)
    np.testing.assert_allclose(active.per_latent, values["mean_variance_per_dimension"], atol=1e-5)
    assert active.value == active.extra["by_kl"] == mean.shape[1] - 1  # one latent of each grid is collapsed
