"""`score`: which metrics it computes, from what, how sure they are, and what it refuses."""

import io
import json
import math
import sys
from typing import Any

import numpy as np
import pytest
from tests.metrics.inputs import parameters

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import METRICS, Score, ScoreWarning, information, score, select
from equipoise.metrics.fit import of_samples

SUPERVISED = [name for name, metric in METRICS.items() if "factors" in metric.needs and metric.is_cheap]
OF_CODES = ["mutual_information", "gaussian_tc", "wasserstein"]


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(400, 2))
    codes = factors + 0.3 * rng.standard_normal((400, 2))
    recon = {"sse": rng.random(400), "bce": rng.random(400) + 5, "pixels": 12}
    sampled = {"sampled_sse": recon["sse"] + 0.1, "sampled_bce": recon["bce"] + 1}
    given = {"codes": codes, "factors": factors, "logvar": np.full((400, 2), -2.0), "recon": recon | sampled}
    given["group"] = [codes[:, ::-1] + 0.3 * rng.standard_normal((400, 2))]
    return given | {"sample": codes + np.exp(-1) * rng.standard_normal((400, 2))}


def test_default_is_what_the_inputs_allow(given: dict[str, Any]) -> None:
    bare = {"codes": given["codes"], "interval": False}
    assert list(score(**bare)) == OF_CODES
    assert list(score(**bare, factors=given["factors"])) == [*SUPERVISED, *OF_CODES]
    assert list(score(**bare, logvar=given["logvar"])) == [*OF_CODES, "kl", "active_units"]
    bare_recon = {name: given["recon"][name] for name in ("sse", "bce", "pixels")}
    assert list(score(**bare, recon=bare_recon)) == [*OF_CODES, "sse", "mse", "psnr", "bce"]
    assert list(score(**bare, recon=given["recon"])) == [*OF_CODES, "sse", "mse", "psnr", "bce", "log_px_z"]
    assert list(score(**bare, group=given["group"])) == ["udr", *OF_CODES]
    assert list(score(**given, interval=False)) == [name for name, metric in METRICS.items() if metric.is_cheap]
    assert set(score(**given, which="all", interval=False)) == set(METRICS)


def test_all_says_what_it_could_not_compute(given: dict[str, Any]) -> None:
    with pytest.warns(ScoreWarning) as caught:
        scores = score(given["codes"], logvar=given["logvar"], which="all", interval=False)
    assert list(scores) == [*OF_CODES, "kl", "active_units"]
    assert len(caught) == 1
    assert "not computed: beta_vae needs factors, " in str(caught[0].message)
    assert "mig_aggregate needs factors and sample, index_code_mi needs sample, " in str(caught[0].message)
    assert "sse needs recon" in str(caught[0].message)


def test_metrics_are_chosen_by_name(given: dict[str, Any]) -> None:
    assert list(score(**given, which="sap", interval=False)) == ["sap"]
    assert list(score(**given, which=["kl", "mig"], interval=False)) == ["mig", "kl"]
    assert list(score(**given, which=("irs",), interval=False)) == ["irs"]
    assert list(score(**given, which="kl, mig", interval=False)) == ["mig", "kl"]
    assert list(score(**given, which="[kl, 'MIG']", interval=False)) == ["mig", "kl"]
    assert list(score(**given, which=("KL,sap", "mig"), interval=False)) == ["mig", "sap", "kl"]


def test_a_name_joins_the_default_selection() -> None:
    inputs = ("codes", "factors", "logvar")
    slow = next(name for name, metric in METRICS.items() if not metric.is_cheap and set(metric.needs) <= set(inputs))
    default = select("default", inputs)
    assert set(select(("default", slow), inputs)) == {*default, slow}
    assert select(("Default", default[0]), inputs) == select("DEFAULT", inputs) == default


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"which": "migg"}, "no metric named 'migg'; did you mean mig?"),
        ({"which": "MIGG"}, "no metric named 'MIGG'; did you mean mig?"),
        ({"which": "defalt"}, "no metric named 'defalt'; did you mean default?"),
        ({"which": "mig", "convention": "foo"}, "choose one, or leave it out"),
        ({"which": ["default", "sse"], "recon": None}, "sse needs recon"),
        ({"which": ["mig", "fid"]}, "no metric named 'fid'; choose one of beta_vae, "),
        ({"which": "mig", "factors": None}, "mig needs factors; pass that input, or choose other metrics"),
        ({"which": "sse", "recon": None}, "sse needs recon"),
        (
            {"which": "kl", "logvar": None},
            "kl needs logvar; pass that input, which quantised codes do not have, or choose",
        ),
        ({"seed": -1}, "seed = -1: expected 0 or more"),
        ({"seed": 1.5}, r"seed is 1\.5; expected a whole number"),
        ({"seed": "1"}, "seed is '1'; expected a whole number"),
        ({"seed": None}, "seed is None; expected a whole number"),
        ({"which": []}, r"which is \[\]; expected names of metrics, such as mig, or default, or all"),
        ({"which": None}, "which is None; expected names of metrics"),
        ({"which": ["mig", 3]}, r"which is \['mig', 3\]; expected names of metrics"),
        ({"convention": "eastwood"}, "convention 'eastwood': expected carbonneau or locatello"),
        ({"convention": "locatello", "which": "mig_sup"}, "mig_sup has no convention locatello"),
        ({"which": "udr", "group": None}, "udr needs group"),
        (
            {"which": "elbo", "recon": (np.ones((400, 3)), np.ones((400, 3)))},
            "elbo needs recon with sampled_sse and sampled_bce; pass that input",
        ),
        ({"logvar": np.zeros((400, 3))}, r"logvar has shape \(400, 3\), codes \(400, 2\)"),
        ({"sample": np.zeros((399, 2))}, r"sample has shape \(399, 2\)"),
        ({"group": [np.zeros((400, 5)), np.zeros((20, 5))]}, r"group\[1\] has 20 rows, codes 400"),
        ({"recon": {"sse": np.ones(400), "bce": np.ones(400)}}, "recon lacks pixels"),
        ({"recon": {"sse": np.ones(400), "pixels": 3}, "which": "bce"}, "bce needs images of pixels from 0 to 1"),
        ({"recon": {"sse": np.ones(9), "bce": np.ones(9), "pixels": 3}}, "recon has 9 images, codes 400 rows"),
        ({"recon": {"sse": np.ones((400, 1)), "bce": np.ones(400), "pixels": 3}}, r"recon sse has shape \(400, 1\)"),
        ({"recon": (np.full((400, 3), 2.0), np.ones((400, 3)))}, r"x leaves \[0, 1\]: divide uint8 images by 255"),
        ({"recon": (np.ones((400, 3)), np.full((400, 3), np.nan))}, r"xhat leaves \[0, 1\]"),
        ({"recon": (np.ones((400, 3)), np.ones((400, 4)))}, r"x has shape \(400, 3\), xhat \(400, 4\)"),
        ({"recon": 3}, r"recon has 0 parts: expected \(x, xhat\)"),
        ({"group": 3}, "group is 3: expected a list with the codes of each further model"),
        ({"codes": [[1, 2], [3]]}, "codes has rows of different lengths: expected a matrix"),
        ({"factors": [[1, 2], [3]]}, "factors has rows of different lengths: expected a matrix"),
        ({"codes": np.zeros(400)}, r"codes has shape \(400,\): expected \[rows, columns\]"),
        ({"codes": np.zeros((1, 2)), "factors": np.zeros((1, 2))}, "at least two rows"),
        ({"codes": np.zeros((400, 0))}, r"codes has shape \(400, 0\)"),
        ({"codes": [["a", "b"]] * 400}, "codes has type <U1: expected real numbers"),
        ({"codes": np.zeros((400, 2), dtype=complex)}, "codes has type complex128"),
        ({"codes": np.array([[-1e308, 0], [1e308, 1]] * 200)}, "codes, column 0: values too far apart for float64"),
        ({"factors": np.zeros((399, 2))}, "codes have 400 rows, factors 399"),
        (
            {"factors": np.array([[0, np.nan], [1, np.inf]] * 200)},
            "factors, column 1: 400 of 400 values are NaN or inf",
        ),
        ({"factors": np.array([[f"{10**400}", "a"], ["7", "b"]] * 200)}, "row 1 has .* too large for a float"),
        ({"factors": np.ones((400, 3))}, "every factor has one value only"),
    ],
)
def test_input_that_cannot_be_scored_is_refused_by_name(
    given: dict[str, Any], params: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        score(**{**given, "interval": False, **params})


def test_convention_sets_all_parameters(given: dict[str, Any]) -> None:
    with pytest.warns(ScoreWarning, match="not computed: z_max has no convention locatello, mig_sup has no"):
        locatello = score(given["codes"], given["factors"], convention="locatello", interval=False)
    carbonneau = score(given["codes"], given["factors"], convention="carbonneau", interval=False)
    assert list(carbonneau) == [*SUPERVISED, *OF_CODES]
    for convention, scores in (("locatello", locatello), ("carbonneau", carbonneau)):
        for name, result in scores.items():
            expected = METRICS[name].conventions.get(convention, {})
            assert expected.items() <= result.params.items()
    free = score(**given, which="kl", convention="locatello", interval=False)
    assert free["kl"].value == score(**given, which="kl", interval=False)["kl"].value
    changed = METRICS["mig"].conventions["carbonneau"] | {"bins": 20}
    assert metrics.mig(given["codes"], given["factors"], **changed).params == {
        "bins": 20,
        "edges": "unit",
        "normalise": "code",
        "factor_bins": 10,
        "strict": False,
    }


@pytest.mark.parametrize("convention", [None, "carbonneau"])
def test_metrics_computed_together_score_what_each_scores_alone(given: dict[str, Any], convention: str | None) -> None:
    arrays = {"codes": given["codes"], "factors": given["factors"]}
    names = ["mig", "mig_sup", "dcimig", "jemmig", "modularity", "irs", "sap", "mutual_information"]
    together = score(**arrays, which=names, convention=convention)
    for name, result in together.items():
        alone = score(**arrays, which=name, convention=convention)[name]
        assert json.dumps(alone.to_dict() | {"seconds": 0}) == json.dumps(result.to_dict() | {"seconds": 0})
        plain = METRICS[name].function(*[arrays[need] for need in METRICS[name].needs], **result.params)
        assert plain.value == result.value


def test_tables_are_counted_once_for_all_metrics_of_a_call(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    count = information._count
    monkeypatch.setattr(information, "_count", lambda *args: counted.append(args) or count(*args))
    family = ["mig", "mig_sup", "dcimig", "jemmig", "modularity"]
    for rounds in (1, 2):  # nothing is kept from one call to the next
        score(given["codes"], given["factors"], which=family, interval=False)
        assert len(counted) == 2 * rounds  # of the codes and, for what is attainable, of the factors
    counted.clear()
    score(given["codes"], given["factors"], which=family)
    assert len(counted) == 2 + 10 + 2 + 10  # without each block, of each half, and shuffled


def test_parameters_in_the_result_are_all_that_the_function_has(given: dict[str, Any]) -> None:
    for name, result in score(**given, interval=False).items():
        if name not in ("sse", "mse", "psnr", "bce"):
            assert set(result.params) == set(parameters(name)) - {"seed"}
        arrays = {**given, "sampled": of_samples(given["recon"])}
        assert METRICS[name].function(*[arrays[need] for need in METRICS[name].needs]).params == result.params


def test_degenerate_input_is_said_once(given: dict[str, Any]) -> None:
    factors = np.column_stack([np.ones(400), given["factors"]])
    with pytest.warns(ScoreWarning) as caught:
        scores = score(np.full((400, 3), 0.7), factors, interval=True)
    assert len(caught) == 1
    assert str(caught[0].message).count("all latents are constant") == 1
    assert str(caught[0].message).count("factor 0 has one value only") == 1
    assert math.isnan(scores.pop("modularity").value)
    jemmig = scores.pop("jemmig")
    assert jemmig.value == pytest.approx(jemmig.baseline, abs=1e-12)
    assert all(abs(result.value) < 0.1 for result in scores.values())


def test_jackknife_of_a_mean_is_its_standard_error() -> None:
    errors = np.random.default_rng(1).standard_normal(2000) ** 2
    recon = {"sse": errors, "bce": errors, "pixels": 4}
    result = score(np.random.default_rng(2).standard_normal((2000, 2)), recon=recon, which="sse")["sse"]
    exact = errors.std(ddof=1) / math.sqrt(2000) * 2.262  # Student's t with 9 degrees of freedom
    assert result.value == pytest.approx(errors.mean())
    assert (result.high - result.low) / 2 == pytest.approx(exact, rel=0.4)  # 10 blocks know their spread to 24 %
    assert (result.high + result.low) / 2 == pytest.approx(result.value)


def test_jackknife_covers_the_value_of_all_images() -> None:
    """Of 40 samples of images about 38 intervals of the KL hold the KL of the population."""
    rng = np.random.default_rng(3)
    population = rng.standard_normal((20_000, 2)) * 2
    logvar = np.zeros((500, 2))
    truth = metrics.kl(population, np.zeros_like(population)).value
    held = 0
    for _ in range(40):
        sample = score(population[rng.choice(20_000, 500, replace=False)], logvar=logvar, which="kl")["kl"]
        held += sample.low <= truth <= sample.high
    assert 34 <= held <= 40


@pytest.mark.parametrize("name", ["mig", "sap", "irs", "explicitness", "active_units", "mse"])
def test_interval_of_a_deterministic_metric_is_around_its_value(given: dict[str, Any], name: str) -> None:
    sure, bare = (score(**given, which=name, interval=interval)[name] for interval in (True, False))
    assert bare.low is bare.high is None
    assert sure.value == bare.value
    assert sure.low <= sure.value <= sure.high
    assert sure.high - sure.low < 0.4
    assert (sure.baseline is None) == (name not in ("irs", "explicitness"))
    assert (sure.attainable is None) == (name != "mig")
    assert sure.half == pytest.approx(sure.value, abs=0.1)
    assert bare.half is None
    assert sure.seconds > 0


def test_baseline_is_the_mean_over_ten_shuffles_with_their_spread(given: dict[str, Any]) -> None:
    codes, factors = given["codes"], given["factors"]
    result = score(codes, factors, which="modularity", seed=5)["modularity"]
    alone = [
        metrics.modularity(np.random.default_rng(seed).permuted(codes, axis=0), factors).value for seed in range(5, 15)
    ]
    assert result.baseline == pytest.approx(np.mean(alone))
    assert result.baseline_spread == pytest.approx(np.std(alone, ddof=1))
    other = score(codes, factors, which="modularity", seed=100)["modularity"]
    assert other.baseline == pytest.approx(result.baseline, abs=result.baseline_spread)


def test_score_of_half_the_rows_shows_the_bias_of_few() -> None:
    """The bias of mutual information, (V - 1)(bins - 1) / 2N, is twice as large in a half."""
    rng = np.random.default_rng(0)
    result = score(rng.standard_normal((4000, 2)), which="mutual_information")["mutual_information"]
    bias = 19 * 19 / (2 * 4000) / 1
    assert result.value == pytest.approx(bias, rel=0.3)
    assert result.half - result.value == pytest.approx(bias, rel=0.3)


def test_random_metric_is_the_mean_over_its_seeds(given: dict[str, Any]) -> None:
    codes = np.random.default_rng(4).standard_normal((400, 3)) + given["factors"][:, :1]
    result = score(codes, given["factors"], which="factor_vae", seed=3)["factor_vae"]
    each = [metrics.factor_vae(codes, given["factors"], seed=seed) for seed in range(3, 8)]
    assert result.extra["values"] == [single.value for single in each]
    assert result.value == np.mean(result.extra["values"])
    assert np.array_equal(result.matrix, np.mean([single.matrix for single in each], axis=0))
    assert result.extra["accuracy"] == pytest.approx(np.mean([single.extra["accuracy"] for single in each]))
    assert result.low < result.value < result.high
    assert (result.seed, result.params["repeats"]) == (3, 5)
    alone = score(codes, given["factors"], which="factor_vae", seed=3, interval=False)["factor_vae"]
    assert alone.value == each[0].value


def test_undefined_score_has_no_interval() -> None:
    factors = np.arange(30)[:, None] % 5
    codes = np.random.default_rng(5).standard_normal((30, 2))
    with pytest.warns(ScoreWarning, match="with one factor there is nothing to tell apart"):
        result = score(codes, factors, which="factor_vae")["factor_vae"]
    assert math.isnan(result.value)
    assert result.low is result.high is None


def test_interval_is_left_out_where_a_block_holds_all_that_varies() -> None:
    factors = np.zeros((50, 1))
    factors[7] = 1
    codes = np.random.default_rng(6).standard_normal((50, 2))
    result = score(codes, factors, which="sap")["sap"]
    assert math.isfinite(result.value)
    assert result.low is None


def test_few_rows_are_left_out_one_by_one() -> None:
    errors = np.arange(7.0)
    exact = errors.std(ddof=1) / math.sqrt(7) * 2.4469  # Student's t with 6 degrees of freedom
    recon = {"sse": errors, "bce": errors, "pixels": 4}
    result = score(np.random.default_rng(7).standard_normal((7, 2)), recon=recon, which="sse")["sse"]
    assert result.value == 3
    assert result.high - 3 == pytest.approx(exact, rel=1e-4)


def test_interval_of_information_by_neighbours_is_of_the_rows_not_of_the_noise_between_equal_codes(
    given: dict[str, Any],
) -> None:
    results = score(given["codes"], given["factors"], which=["infom", "infoc"])
    for name, result in results.items():
        assert result.high - result.low > 0.01
        assert result.value == METRICS[name].function(given["codes"], given["factors"]).value


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_counts_the_values_on_a_terminal_once_they_take_long(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    arrays = given["codes"], given["factors"]

    def said(screen: io.StringIO, **params: Any) -> str:
        monkeypatch.setattr(sys, "stderr", screen)
        score(*arrays, which=["irs", "mig", "factor_vae"], **params)
        return screen.getvalue()

    assert said(Terminal()) == ""
    monkeypatch.setattr(metrics, "_LONG", 0.0)
    total = (1 + 10 + 2 + 10) + (1 + 10 + 2) + 5  # with the blocks, the halves, the shuffled codes of irs, the seeds
    assert f"{total}/{total}" in said(Terminal())
    assert "3/3" in said(Terminal(), interval=False)
    assert said(Terminal(), progress=False) == said(io.StringIO()) == ""


def test_score_survives_strict_json(given: dict[str, Any]) -> None:
    factors = np.column_stack([given["factors"], np.zeros(400)])
    with pytest.warns(ScoreWarning, match="factor 2"):
        scores = score(**{**given, "factors": factors})
    for result in scores.values():
        text = json.dumps(result.to_dict(), allow_nan=False)
        again = Score.from_dict(json.loads(text))
        assert json.dumps(again.to_dict(), allow_nan=False) == text
        for part in ("per_factor", "per_latent", "matrix"):
            before, after = getattr(result, part), getattr(again, part)
            assert (before is None) == (after is None)
            assert before is None or np.array_equal(before, after, equal_nan=True)
        assert (again.value, again.low, again.high, again.n) == (result.value, result.low, result.high, result.n)


def test_nan_and_infinity_survive_strict_json() -> None:
    odd = Score(math.nan, per_latent=np.array([1.0, math.nan, math.inf]), extra={"worst": -math.inf})
    data = json.loads(json.dumps(odd.to_dict(), allow_nan=False))
    assert (data["value"], data["per_latent"], data["extra"]) == (None, [1.0, None, "inf"], {"worst": "-inf"})
    again = Score.from_dict(data)
    assert math.isnan(again.value)
    assert np.array_equal(again.per_latent, odd.per_latent, equal_nan=True)
    assert Score.from_dict({**data, "value": "-inf"}).value == -math.inf
    perfect = Score(math.inf, low=math.inf, high=math.inf, half=math.inf)  # psnr of perfect reconstructions
    again = Score.from_dict(json.loads(json.dumps(perfect.to_dict(), allow_nan=False)))
    assert (again.low, again.high, again.half, again.baseline) == (math.inf, math.inf, math.inf, None)


def test_plain_functions_are_attributes_of_the_package() -> None:
    assert metrics.mig is METRICS["mig"].function
    assert {*METRICS, "score", "METRICS", "Score"} <= set(dir(metrics))
    with pytest.raises(AttributeError, match="has no attribute 'migg'"):
        metrics.migg  # noqa: B018


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_interval_of_a_count_of_latents_stays_within_their_number(n: int) -> None:
    codes = np.zeros((n, 10))
    codes[0, :4] = 0.3  # without this row, no latent is active
    result = score(codes, None, logvar=np.zeros((n, 10)), which="active_units")["active_units"]
    assert result.value == 4
    assert result.low is None or result.low >= 0
    assert result.high is None or result.high <= 10
