"""The aggregate posterior: values of the published program, values worked out by hand, what is refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from equipoise import metrics
from equipoise.errors import InputError
from equipoise.metrics import ScoreWarning, aggregate

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())
PARTS = ["index_code_mi", "total_correlation", "dimension_wise_kl"]

Posterior = tuple[np.ndarray, np.ndarray, np.ndarray]


def posterior(rows: int = 400) -> tuple[Posterior, np.ndarray]:
    """Mean, logvar and sample [rows, 3] of codes of two factors and a latent like the prior; factors [rows, 2]."""
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(rows, 2))
    mean = np.column_stack([factors - factors.mean(axis=0), np.zeros(rows)])
    logvar = np.column_stack([rng.uniform(-4, -2, size=(rows, 2)), np.zeros(rows)])
    return (mean, logvar, mean + np.exp(0.5 * logvar) * rng.standard_normal(mean.shape)), factors


@pytest.mark.parametrize("name", ["agg_clean", "agg_mixed"])
def test_aggregate_posterior_equals_the_published_program(name: str) -> None:
    with np.load(GOLDEN / f"{name}.npz") as grid:
        mean, logvar = grid["mean"].astype(np.float64), 2 * grid["logsigma"].astype(np.float64)
        sample, factors = grid["sample"].astype(np.float64), grid["factors"].astype(np.int64)
    found = EXPECTED["sets"][name]["values"]
    values = {key.removeprefix("aggregate_posterior/"): value for key, value in found.items()}
    reach = EXPECTED["tolerances"]["aggregate_posterior"]["abs"]
    mig = metrics.mig_aggregate(mean, factors, logvar, sample)
    assert mig.value == pytest.approx(values["mig"], abs=reach)
    np.testing.assert_allclose(mig.per_factor, values["mig_per_factor"], rtol=0, atol=reach)
    np.testing.assert_allclose(mig.matrix, np.maximum(values["mutual_information"], 0), rtol=0, atol=reach)
    ours = {part: getattr(metrics, part)(mean, logvar, sample).value for part in PARTS}
    assert ours == pytest.approx({part: values[part] for part in PARTS}, rel=0, abs=reach)
    order = np.random.default_rng(1).permutation(len(mean))  # a grid is not needed
    shuffled = metrics.mig_aggregate(mean[order], factors[order], logvar[order], sample[order])
    assert shuffled.value == pytest.approx(mig.value, abs=1e-12)


def test_parts_add_up_to_the_kl() -> None:
    arrays, _ = posterior()
    kl = metrics.kl(*arrays[:2]).value
    assert sum(getattr(metrics, part)(*arrays).value for part in PARTS) == pytest.approx(kl, abs=1e-12)
    each = metrics.dimension_wise_kl(*arrays)
    assert each.per_latent.sum() == pytest.approx(each.value)
    assert each.per_latent[2] == pytest.approx(0, abs=0.1)  # the prior itself, up to Monte Carlo


def test_densities_are_those_of_the_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    (mean, logvar, sample), _ = posterior(60)
    densities = np.exp(-0.5 * ((sample[:, None] - mean) ** 2 / np.exp(logvar) + logvar + math.log(2 * math.pi)))
    for rows, draws in ((8192, 8), (7, 3)):
        monkeypatch.setattr(aggregate, "_ROWS", rows)
        monkeypatch.setattr(aggregate, "_DRAWS", draws)
        marginal, joint = (log(sample, mean, logvar) for log in (aggregate._log_marginals, aggregate._log_joint))
        np.testing.assert_allclose(marginal, np.log(densities.mean(axis=1)), atol=1e-12)
        np.testing.assert_allclose(joint, np.log(densities.prod(axis=2).mean(axis=1)), atol=1e-12)


def test_joint_density_of_many_narrow_latents_neither_overflows_nor_vanishes() -> None:
    rng = np.random.default_rng(1)
    mean, logvar = rng.standard_normal((50, 200)), np.full((50, 200), -16.0)
    sample = mean + np.exp(-8) * rng.standard_normal((50, 200))
    # No two posteriors overlap: log q(z) is that of the own one minus log N, so that the information is log N.
    own = -0.5 * ((sample - mean) ** 2 / np.exp(logvar) + logvar + math.log(2 * math.pi)).sum(axis=1)
    np.testing.assert_allclose(aggregate._log_joint(sample, mean, logvar), own - math.log(50), rtol=1e-12)
    noise = (0.5 * ((sample - mean) ** 2 / np.exp(logvar)).sum(axis=1)).mean() - 100
    assert metrics.index_code_mi(mean, logvar, sample).value == pytest.approx(math.log(50) + noise, abs=1e-6)


def test_latent_as_wide_as_the_prior_tells_nothing_and_narrow_ones_all() -> None:
    (mean, _, _), factors = posterior(4000)
    noise = np.random.default_rng(2).standard_normal(mean.shape)
    for logvar, expected in ((-6.0, 1.0), (6.0, 0.0)):
        width = np.full(mean.shape, logvar)
        value = metrics.mig_aggregate(mean, factors, width, mean + np.exp(0.5 * logvar) * noise).value
        assert value == pytest.approx(expected, abs=0.02)


def test_excluded_factors_take_no_part() -> None:
    (mean, logvar, sample), factors = posterior()
    whole = metrics.mig_aggregate(mean, factors, logvar, sample)
    part = metrics.mig_aggregate(mean, factors, logvar, sample, exclude_factors=[0])
    assert part.value == whole.per_factor[1]
    assert part.left_out == {"factor 0": "excluded"}
    assert np.isnan(part.per_factor[0])
    assert np.isnan(part.matrix[0]).all()
    alone = metrics.mig_aggregate(mean, factors[:, 1:], logvar, sample)
    assert alone.value == part.value
    with pytest.raises(InputError, match="exclude_factors: factor 2, expected 0 to 1"):
        metrics.mig_aggregate(mean, factors, logvar, sample, exclude_factors=[2])
    with pytest.raises(InputError, match="exclude_factors leaves no factor"):
        metrics.mig_aggregate(mean, factors, logvar, sample, exclude_factors=[0, 1])


def test_fewer_draws_are_the_same_rows_each_time_and_estimate_the_same() -> None:
    arrays, factors = posterior(4000)
    mean, logvar, sample = arrays
    whole = metrics.mig_aggregate(mean, factors, logvar, sample)
    few = metrics.mig_aggregate(mean, factors, logvar, sample, samples=500)
    assert few.value == metrics.mig_aggregate(mean, factors, logvar, sample, samples=500).value
    assert few.value != whole.value
    assert few.value == pytest.approx(whole.value, abs=0.06)
    for part in PARTS:
        exact = getattr(metrics, part)(*arrays).value
        assert getattr(metrics, part)(*arrays, samples=500).value == pytest.approx(exact, abs=0.2)


def test_densities_are_computed_once_for_all_metrics_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    (mean, logvar, sample), factors = posterior()
    shapes: list[tuple[int, ...]] = []
    marginals, joint = aggregate._log_marginals, aggregate._log_joint
    monkeypatch.setattr(aggregate, "_log_marginals", lambda z, m, v: shapes.append(m.shape) or marginals(z, m, v))
    monkeypatch.setattr(aggregate, "_log_joint", lambda z, m, v: shapes.append((len(m),)) or joint(z, m, v))
    names = ["mig_aggregate", *PARTS]
    scores = metrics.score(mean, factors, logvar=logvar, sample=sample, which=names, interval=False)
    assert sorted(shape for shape in shapes if shape[0] == 400) == [(400,), (400, 3)]
    assert len(shapes) == 2 + 3 + 4  # and of the rows of each value of a factor
    assert scores["total_correlation"].value == metrics.total_correlation(mean, logvar, sample).value


def test_posterior_without_noise_is_lifted_and_said() -> None:
    (mean, logvar, _), _ = posterior()
    logvar[:, 0] = -50
    sample = mean + np.exp(0.5 * logvar) * np.random.default_rng(3).standard_normal(mean.shape)
    with pytest.warns(ScoreWarning, match="a logvar of -50 counts as -20"):
        lifted = metrics.total_correlation(mean, logvar, sample).value
    assert lifted == metrics.total_correlation(mean, np.maximum(logvar, -20), sample).value


def test_sample_of_something_else_is_refused() -> None:
    (mean, logvar, sample), _ = posterior()
    with pytest.raises(InputError, match="sample equals the posterior means: pass one draw of each"):
        metrics.index_code_mi(mean, logvar, mean)
    with pytest.raises(InputError, match="standard deviations from its mean: pass draws of the same posteriors"):
        metrics.index_code_mi(mean, logvar, np.roll(sample, 100, axis=0) * 10)
    with pytest.raises(InputError, match="samples = 1: expected at least 2"):
        metrics.index_code_mi(mean, logvar, sample, samples=1)
    with pytest.raises(InputError, match=r"sample has shape \(400, 2\), codes \(400, 3\)"):
        metrics.index_code_mi(mean, logvar, sample[:, :2])
