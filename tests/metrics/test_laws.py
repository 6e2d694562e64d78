"""What must hold of every metric, whatever its formula; where a law does not apply to one, `EXCEPT` says why."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tests.metrics.inputs import BOOSTED, FEW, FIT, SUPERVISED, evaluate, perfect, rows, toy, value
from threadpoolctl import threadpool_limits

from equipoise.errors import InputError
from equipoise.metrics import METRICS, Score, ScoreWarning, score
from equipoise.metrics.inputs import words_as_codes

RANDOM = [name for name, metric in METRICS.items() if metric.repeats]
DRAWN = ("beta_vae", "factor_vae", "z_max")
BY_LASSO = [name for name in METRICS if name.startswith("dci_lasso")]
NEITHER = dict.fromkeys(FIT, "sees no codes")
UNSUPERVISED = {name: "sees no factors" for name in METRICS if name not in SUPERVISED}
# Shares of what chance leaves are undefined: test_dci.py, test_infomec.py.
OF_SHARES = ["infom", "infoc", *(name for name in METRICS if name.endswith(("_disentanglement", "_completeness")))]
EXCEPT: dict[str, dict[str, str]] = {
    "order and sign of latents": NEITHER,
    "order of rows": dict.fromkeys(BOOSTED, "the first two thirds of the rows are fitted"),
    "order of factors": UNSUPERVISED,
    "labels": UNSUPERVISED,
    "constant latent": NEITHER,
    "perfect codes": UNSUPERVISED | {"mig_aggregate": "its noise keeps it below: test_aggregate.py"},
    "noise": UNSUPERVISED | dict.fromkeys(OF_SHARES, "undefined") | {"mig_aggregate": "test_aggregate.py"},
    "mixing": UNSUPERVISED
    | {"dci_informativeness": "trees follow it", "dci_hist_informativeness": "trees follow it"}
    | dict.fromkeys(("spn", "sufficiency"), "a latent that mixes two factors of few values has both"),
    "doubled rows": UNSUPERVISED
    | dict.fromkeys(BOOSTED, "splits the rows")
    | dict.fromkeys(DRAWN, "draws")
    | dict.fromkeys(("infom", "infoc", "spn"), "a copy is its nearest neighbour")
    | dict.fromkeys(BY_LASSO, "folds of rows")
    | {"explicitness": "its penalty weighs less", "infoe": "ends early"},
    "same bits": {},
    "kinds of arrays": {},
    "half precision": NEITHER,
}

# How far a value may move where nothing but the order of sums, or of ties, changes.
SAME = {"beta_vae": 0.01}  # its iterative fit may tip single points
SAME |= dict.fromkeys(BY_LASSO, 1e-4)  # as do these
SAME |= dict.fromkeys(BOOSTED, 0.02)  # splits of equal gain are taken in the order of the latents
LINEAR = ("explicitness", "infoe", "dci_lasso_informativeness")  # a linear model of all latents undoes a rotation


def under(law: str) -> list[str]:
    """The metrics that a law is tested on."""
    return [name for name in METRICS if name not in EXCEPT[law]]


def test_exceptions_are_of_metrics_and_all_metrics_are_under_some_law() -> None:
    for law, reasons in EXCEPT.items():
        assert set(reasons) < set(METRICS), law
    assert set(under("same bits")) == set(METRICS)


@pytest.mark.parametrize("name", under("order and sign of latents"))
def test_order_and_sign_of_latents_change_nothing(name: str) -> None:
    given = toy()
    expected = value(name, given)
    for order, sign in (([3, 1, 4, 0, 2], [1, 1, 1, 1, 1]), ([0, 1, 2, 3, 4], [1, -1, -1, 1, -1])):
        other = {**given, "codes": given["codes"][:, order] * sign, "sample": given["sample"][:, order] * sign}
        other["logvar"] = given["logvar"][:, order]
        assert value(name, other) == pytest.approx(expected, abs=SAME.get(name, 1e-9))


@pytest.mark.parametrize("name", under("order of rows"))
def test_order_of_rows_changes_nothing(name: str) -> None:
    given = toy()
    tolerance = 0.06 if name in RANDOM else 1e-9  # the same seed draws other points
    if name == "z_max":
        tolerance = 0.1  # of three values and few rows
    other = rows(given, np.random.default_rng(2).permutation(len(given["codes"])))
    assert value(name, other) == pytest.approx(value(name, given), abs=tolerance)


@pytest.mark.parametrize("name", under("order of factors"))
def test_order_of_factors_changes_nothing(name: str) -> None:
    given = toy()
    other = {**given, "factors": given["factors"][:, [2, 0, 1]]}
    tolerance = 0.06 if name in RANDOM else 1e-9
    assert value(name, other) == pytest.approx(value(name, given), abs=tolerance)


@pytest.mark.parametrize("name", under("labels"))
def test_labels_may_be_any_numbers(name: str) -> None:
    given = toy()
    params = {"factor_bins": None} if name == "z_max" else {}  # else it bins them, and rounding moves those on an edge
    factors, expected = given["factors"], value(name, given, **params)
    for other in (3 * factors - 7, factors * 10_000_000, factors * 0.5 - 1, factors.astype(np.int8)):
        assert value(name, {**given, "factors": other}, **params) == pytest.approx(expected, abs=1e-9)


# What a constant latent changes; nothing, of the other metrics.
DEAD: dict[str, Callable[[float], float]] = {
    "mutual_information": lambda before: before * 4 / 6,  # the mean over pairs has more of them
    "kl": lambda before: before + 0.005,  # half the square of its mean, 0.1
    "elbo": lambda before: before - 0.005,
} | {  # the base of its entropy is the number of latents
    name: lambda before: 1 - (1 - before) * np.log(5) / np.log(6) for name in METRICS if name.endswith("_completeness")
}
# Its draws are noise to the estimate.
SAMPLED = {"index_code_mi": 0.1, "dimension_wise_kl": 0.1}


@pytest.mark.parametrize("name", under("constant latent"))
def test_constant_latent_does_no_harm(name: str) -> None:
    given = toy()
    before = value(name, given)
    noise = np.random.default_rng(8).standard_normal(len(given["codes"]))
    dead = {key: np.insert(given[key], 2, column, axis=1) for key, column in
            (("codes", 0.1), ("logvar", 0.0), ("sample", 0.1 + noise))}  # fmt: skip
    result = evaluate(name, {**given, **dead})
    after = DEAD.get(name, lambda value: value)(before)
    assert result.value == pytest.approx(after, abs=SAMPLED.get(name, SAME.get(name, 1e-9)))
    assert set(result.left_out) <= {"latent 2"}


@pytest.mark.parametrize(
    ("name", "convention"),
    [
        (name, way)
        for name in under("perfect codes")
        for way in (None, *METRICS[name].conventions)
        if (name in BOOSTED) <= (way != "carbonneau")  # forests: test_dci.py, slowly
    ],
)
def test_perfect_codes_score_one(name: str, convention: str | None) -> None:
    params = {**METRICS[name].conventions.get(convention or "", {}), **FEW.get(name, {})}
    floor = 0.97 if name == "explicitness" else 0.995  # a straight line cannot rank the middle values of a factor
    if (name, convention) == ("sap", "locatello"):  # nor can a linear machine of one latent tell them
        floor = 0.55
    if name in ("infom", "infoc"):  # distances between equal codes are those of the noise that parts them
        floor = 0.99
    assert floor <= METRICS[name].function(*perfect(2000 if name not in BOOSTED else 500), **params).value <= 1 + 1e-12


@pytest.mark.parametrize("name", under("noise"))
def test_noise_scores_near_chance(name: str) -> None:
    factors = perfect(4000 if name not in BOOSTED else 1500)[1]
    rng = np.random.default_rng(3)
    codes = rng.standard_normal((len(factors), 8))
    result = evaluate(name, {"codes": codes, "factors": factors})
    if METRICS[name].has_baseline:
        floor = value(name, {"codes": rng.permuted(codes, axis=0), "factors": factors})
    else:
        floor = result.baseline or 0
    near = {"modularity": 0.15, "z_max": 0.1}.get(name, 0.05)  # of a mean of ratios, and of three values
    assert result.value == pytest.approx(floor, abs=near)
    assert floor < 0.8


@pytest.mark.parametrize("name", under("mixing"))
def test_mixing_two_latents_lowers_the_score(name: str) -> None:
    codes, factors = perfect(2000 if name not in BOOSTED else 500)
    rng = np.random.default_rng(4)
    codes = codes / codes.std(axis=0) + 0.01 * rng.standard_normal(codes.shape)
    angle = np.pi / 4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    given = {"codes": codes, "factors": factors, "logvar": np.full(codes.shape, -6.0)}
    given["sample"] = codes + np.exp(-3) * rng.standard_normal(codes.shape)
    before = value(name, given)
    after = value(name, {**given, "codes": codes @ turn, "sample": given["sample"] @ turn})
    if name in LINEAR:
        assert after == pytest.approx(before, abs=0.02)
    else:
        assert after < before - 0.15


@pytest.mark.parametrize("name", under("doubled rows"))
def test_doubling_all_rows_changes_nothing(name: str) -> None:
    given = toy()
    twice = np.tile(np.arange(len(given["codes"])), 2)
    assert value(name, rows(given, twice)) == pytest.approx(value(name, given), abs=1e-9)


@pytest.mark.parametrize("name", under("same bits"))
def test_same_seed_gives_the_same_bits_on_one_thread_and_on_two(name: str) -> None:
    given = toy(3000 if name not in BOOSTED else 1000)
    results = []
    for threads in (1, 2, 2):
        with threadpool_limits(threads):
            results.append(evaluate(name, given).to_dict())
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("name", RANDOM)
def test_seed_chooses_the_draws_and_may_be_a_generator(name: str) -> None:
    given = toy(100 if name in BOOSTED else 600)  # few rows have ties
    first, other = (evaluate(name, given, seed=seed) for seed in (0, 1))
    drawn = evaluate(name, given, seed=np.random.default_rng(0))
    assert not np.array_equal(first.matrix, other.matrix)
    assert np.array_equal(first.matrix, drawn.matrix)
    assert (first.seed, drawn.seed) == (0, None)


@pytest.mark.parametrize("name", under("kinds of arrays"))
def test_every_kind_of_array_gives_the_same_value_and_is_left_as_it_was(name: str) -> None:
    given = toy(600 if name not in BOOSTED else 200)
    arrays = ("codes", "logvar", "sample")
    given |= {key: given[key].astype(np.float32) for key in arrays}
    expected = value(name, {**given, **{key: given[key].astype(np.float64) for key in arrays}})
    wide = {key: np.repeat(given[key], 2, axis=1) for key in arrays}
    kinds: list[tuple[Callable[[Any], Any], Callable[[Any], Any]]] = [
        (lambda array: array, np.asfortranarray),
        (pd.DataFrame, pd.DataFrame),
        (lambda array: torch.tensor(array, requires_grad=True), lambda array: torch.tensor(array, dtype=torch.uint8)),
        (lambda array: array.tolist(), lambda array: array.tolist()),
    ]
    for of_floats, of_labels in kinds:
        other = {key: of_floats(given[key]) for key in arrays} | {"factors": of_labels(given["factors"])}
        assert value(name, {**given, **other}) == expected
    assert value(name, {**given, **{key: wide[key][:, ::2] for key in arrays}}) == expected
    for key in arrays:
        assert np.array_equal(wide[key], np.repeat(given[key], 2, axis=1))


@pytest.mark.parametrize("name", under("half precision"))
def test_half_precision_codes_are_taken(name: str) -> None:
    given = toy(600 if name not in BOOSTED else 200)
    half = torch.tensor(given["codes"]).bfloat16().requires_grad_()
    assert value(name, {**given, "codes": half}) == value(name, {**given, "codes": half.detach().double().numpy()})


@pytest.mark.parametrize("name", [name for name in SUPERVISED if METRICS[name].has_ceiling])
def test_attainable_is_what_perfect_codes_reach(name: str) -> None:
    factors = np.random.default_rng(7).integers((3, 40), size=(5000, 2))
    result: Score = score(factors.astype(float), factors, which=name, interval=False)[name]
    assert result.attainable == result.value < 0.95
    assert score(-(factors**1.0), factors + 3, which=name, interval=False)[name].attainable == result.attainable


@pytest.mark.parametrize("name", [name for name in METRICS if name not in BOOSTED])
def test_value_and_interval_stay_inside_the_range_of_the_metric(name: str) -> None:
    low, high = METRICS[name].range
    for seed in range(3):
        rng = np.random.default_rng(seed)
        given = rows(toy(64), rng.permutation(64)[:32])
        given["codes"] = rng.standard_normal(given["codes"].shape) if seed else given["codes"]
        given["sample"] = given["codes"] + np.exp(0.5 * given["logvar"]) * rng.standard_normal(given["codes"].shape)
        given["recon"] = given["recon"] | {f"sampled_{error}": given["recon"][error] for error in ("sse", "bce")}
        inputs = {key: given[key] for key in ("codes", "factors", "logvar", "sample", "recon", "group")}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScoreWarning)  # so few rows
            result = score(**inputs, which=name)[name]
        if np.isnan(result.value):
            assert name in OF_SHARES
            continue
        assert low - SAMPLED.get(name, 1e-12) <= result.value <= high + 1e-12
        if result.low is not None:
            assert min(low, result.value) <= result.low <= result.value <= result.high <= max(high, result.value)


def test_table_says_of_every_metric_what_it_is() -> None:
    for name, metric in METRICS.items():
        assert metric.function.__name__ == name
        assert metric.function.__doc__
        assert metric.summary
        assert "Source:" in metric.function.__doc__
        assert set(metric.needs) <= {"codes", "factors", "logvar", "sample", "recon", "sampled", "group"}
        assert set(metric.conventions) <= {"carbonneau", "locatello"}


def test_a_frame_of_several_types_of_numbers_has_the_score_of_its_array() -> None:
    factors = np.random.default_rng(0).integers((2, 3), size=(200, 2))
    codes = factors + 0.5
    expected = METRICS["sap"].function(codes, factors).value
    frames = {
        "a missing value of its own": pd.DataFrame(factors).astype("Int64"),
        "a column of truths": pd.DataFrame({"a": factors[:, 0] == 1, "b": factors[:, 1]}),
        "floats beside integers": pd.DataFrame({"a": factors[:, 0] / 2, "b": factors[:, 1]}).astype({"b": "Int32"}),
    }
    for name, frame in frames.items():
        assert METRICS["sap"].function(codes, frame).value == pytest.approx(expected, abs=1e-12), name
        of_codes = METRICS["sap"].function(frame.astype("Float64"), factors).value
        assert of_codes == pytest.approx(expected, abs=1e-12), name
    missing = pd.DataFrame(factors).astype("Int64")
    missing.iloc[3, 1] = pd.NA
    with pytest.raises(InputError, match="factors, column 1: 1 of 200 values are NaN or infinite"):
        METRICS["sap"].function(codes, missing)


def test_masked_values_are_not_scored() -> None:
    factors = np.random.default_rng(0).integers((2, 3), size=(200, 2))
    hidden = np.ma.masked_array(factors, mask=np.arange(400).reshape(200, 2) < 3)
    with pytest.raises(InputError, match=r"^factors: 3 of 400 values are masked; fill them in"):
        METRICS["mig"].function(factors + 0.5, hidden)
    with pytest.raises(InputError, match=r"^codes: 3 of 400 values are masked"):
        METRICS["mig"].function(hidden + 0.5, factors)
    assert METRICS["mig"].function(factors + 0.5, np.ma.masked_array(factors)).value > 0.9


def test_words_are_in_the_order_of_the_numbers_in_them() -> None:
    words = np.array([["step10", "b"], ["step2", "a"], ["step1", "b"]])
    assert words_as_codes(words).tolist() == [[2, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["0,5", "0,25", "1,5", "10,0"], [0.5, 0.25, 1.5, 10]),
        (["5%", "10%", "2.5 %", "20%"], [5, 10, 2.5, 20]),
        (["$5", "$10", "$2.5", "$20"], [5, 10, 2.5, 20]),
        ([" 1e2 ", "\u22123", "7", "0.5"], [100, -3, 7, 0.5]),
        (["none", "full", "partial", "full"], [1, 0, 2, 0]),
        (["2020_01", "2020_02", "2019_12", "2020_01"], [1, 2, 0, 1]),
    ],
    ids=str,
)
def test_text_of_factors_follows_the_rules_of_a_table(cells: list[str], numbers: list[float]) -> None:
    pd = pytest.importorskip("pandas")
    column = np.array(cells)[:, None]
    for factors in (
        column,
        column.astype(object),
        np.char.encode(column, "utf-8").astype(object),
        pd.DataFrame(column),
    ):
        assert words_as_codes(factors)[:, 0].tolist() == numbers


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["1", "2", "-", "3"], "row 3 has '-' in the column 0, which marks a missing value"),
        (["1", "2", "<0.1", "3"], "row 3 has '<0.1' in the column 0, where 3 of 4 cells are numbers"),
        (["1,500", "900", "2", "3"], "row 1 has '1,500' in the column 0"),
        (["a", "b", "NA", "a"], "row 3 has 'NA' in the column 0, which marks a missing value"),
        (["a", "b", "", "a"], "row 3 has an empty cell in the column 0"),
        (["a", "b", None, "a"], "row 3 has ('None'|an empty cell) in the column 0"),
    ],
    ids=str,
)
def test_text_that_a_table_refuses_is_no_factor(cells: list[str | None], reason: str) -> None:
    pd = pytest.importorskip("pandas")
    column = np.array(cells, object)[:, None]
    for factors in (column, pd.DataFrame(column)):
        with pytest.raises(InputError, match=f"^factors: {reason}"):
            METRICS["sap"].function(np.arange(8.0).reshape(4, 2), factors)


def test_an_ordered_categorical_keeps_its_order() -> None:
    pd = pytest.importorskip("pandas")
    order = ["low", "middle", "high"]
    sizes = pd.Categorical(["high", "low", "middle", "low"], order, ordered=True)
    assert words_as_codes(pd.DataFrame({"size": sizes}))[:, 0].tolist() == [2, 0, 1, 0]
    plain = pd.DataFrame({"size": sizes.as_unordered()})
    assert words_as_codes(plain)[:, 0].tolist() == [0, 1, 2, 1]
    sizes = pd.Categorical(["high", None, "middle", "low"], order, ordered=True)
    with pytest.raises(InputError, match="row 2 has an empty cell in the column size"):
        words_as_codes(pd.DataFrame({"size": sizes}))
