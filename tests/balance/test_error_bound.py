"""The bound on the reconstruction error, against its law by hand and on a plant of one number."""

import math
from statistics import fmean
from typing import Any

import pytest
import torch

from equipoise.balance import ErrorBound

SPREAD = 40.0


def seen(sse: float, step: int = 1, steps: int = 100, of_mean: float = 30.0, spread: float = SPREAD) -> Any:
    values = {"sse": sse, "sse_of_mean": of_mean, "spread": spread, "progress": step / steps}
    tensors = {name: torch.tensor(value) for name, value in values.items()}
    return tensors | {"step": torch.tensor(step), "kl": torch.full((5,), 0.4)}


def test_geco_moves_the_logarithm_by_the_running_mean_of_the_error() -> None:
    balance = ErrorBound(bound=10.0, step="geco", ki=5.0, memory=0.04, start=0.1)
    errors, log, mean = [math.log(1.5), math.log(1.2), math.log(0.9)], math.log(0.1), 0.0
    for step, (sse, error) in enumerate(zip((15.0, 12.0, 9.0), errors, strict=True), 1):
        mean += max(0.01 / 0.04, 1 / step) * (error - mean)
        log -= 5.0 * mean / 100
        assert float(balance(seen(sse, step))["kl"]) == pytest.approx(SPREAD * math.exp(log), rel=1e-5)


def test_nupi_adds_the_change_of_the_running_mean() -> None:
    balance = ErrorBound(bound=10.0, step="nupi", ki=5.0, kp=0.7, memory=0.02, start=0.1)
    log, mean = math.log(0.1), 0.0
    for step, sse in enumerate((15.0, 12.0, 9.0), 1):
        error, before = math.log(sse / 10), mean
        mean += max(0.5, 1 / step) * (error - mean)
        log -= 5.0 * error / 100 + 0.7 * (mean - before)
        assert float(balance(seen(sse, step))["kl"]) == pytest.approx(SPREAD * math.exp(log), rel=1e-5)


def test_the_error_is_limited_and_beta_stays_within_reach_of_the_linear_model() -> None:
    balance = ErrorBound(bound=9.0, kp=0.0, ki=50.0, start=0.1, reach=4.0)
    linear = 2 * 9.0 / (5 * 30.0)
    assert float(balance(seen(1e9))["kl"]) == pytest.approx(SPREAD * 0.1 * math.exp(-0.5), rel=1e-5)
    for step in range(2, 20):
        low = float(balance(seen(1e9, step))["kl"])
    assert low == pytest.approx(SPREAD * linear / 4, rel=1e-5)
    for step in range(20, 60):
        high = float(balance(seen(0.0, step))["kl"])
    assert high == pytest.approx(SPREAD * linear * 4, rel=1e-5)


def test_the_probe_keeps_beta_and_measures_what_is_explained() -> None:
    balance = ErrorBound(explained=0.9, probe=0.5, start=0.01)
    for step in range(1, 51):
        weight = float(balance(seen(20.0 if step < 20 else 12.0, step))["kl"])
        assert weight == pytest.approx(SPREAD * 0.01)
    bound = 30 - 0.9 * (30 - 12)
    assert float(balance.logs()["bound"]) == pytest.approx(bound, rel=0.01)
    assert float(balance(seen(20.0, 51))["kl"]) < SPREAD * 0.01
    assert float(balance.logs()["bound"]) == pytest.approx(bound, rel=0.01)


@pytest.mark.parametrize("step", ["geco", "nupi"])
def test_the_law_depends_neither_on_the_scale_of_the_images_nor_on_the_length_of_the_run(step: Any) -> None:
    ends = []
    for scale, steps in ((1.0, 400), (100.0, 400), (1.0, 4000)):
        balance = ErrorBound(bound=10 * scale, step=step, ki=4.0, memory=0.1, start=0.01)
        for k in range(1, steps // 4 + 1):
            weight = float(balance(seen(13 * scale, k, steps, of_mean=30 * scale, spread=SPREAD * scale))["kl"])
        ends.append(weight / scale)
    assert ends[1] == pytest.approx(ends[0], rel=1e-4)
    assert ends[2] == pytest.approx(ends[0], rel=1e-2)


@pytest.mark.parametrize("step", ["geco", "nupi"])
@pytest.mark.parametrize("start", [1e-5, 1e-4, 1e-3, 1e-2, 0.1])
def test_a_plant_of_five_latents_is_held_within_two_per_cent_from_any_start(step: Any, start: float) -> None:
    """A linear model: a latent of variance l is active below beta = 2 l, and leaves beta / 2, or l, unexplained."""
    variances = torch.tensor([14.0, 10.0, 6.0, 3.0, 1.0])
    balance, sse, steps, last = ErrorBound(bound=9.0, step=step, start=start), variances.sum(), 2000, []
    for k in range(1, steps + 1):
        beta = balance(seen(float(sse), k, steps))["kl"]
        sse = sse + 0.02 * (torch.minimum(beta / 2, variances).sum() - sse)  # the nets follow within 50 steps
        last.append(float(sse))
    assert all(value == pytest.approx(9.0, rel=0.02) for value in last[-steps // 5 :])


def test_the_bound_is_held_while_the_nets_still_learn() -> None:
    """The error at a given beta shrinks by a factor of e^1.5 over the run, so beta has to rise by as much."""
    variances = torch.tensor([14.0, 10.0, 6.0, 3.0, 1.0])
    balance, sse, steps, last = ErrorBound(bound=9.0, start=0.01), variances.sum(), 2000, []
    for k in range(1, steps + 1):
        beta = balance(seen(float(sse), k, steps))["kl"] * math.exp(-1.5 * k / steps)
        sse = sse + 0.02 * (torch.minimum(beta / 2, variances).sum() - sse)
        last.append(float(sse))
    assert fmean(last[-steps // 5 :]) == pytest.approx(9.0, rel=0.02)


def test_the_report_names_a_bound_that_is_out_of_reach_or_has_no_effect() -> None:
    for sse, bound, words, flag in (
        (20.0, 10.0, "out of reach", "saturated"),
        (2.0, 10.0, "does not restrict", "saturated"),
        (10.1, 10.0, None, None),
    ):
        balance = ErrorBound(bound=bound, start=0.1, reach=2.0)
        rows = []
        for step in range(1, 101):
            weight = float(balance(seen(sse, step))["kl"])
            logs = {name: float(value) for name, value in balance.logs().items()}
            rows.append({"sse": sse, "weight.kl": weight, **logs})
        remarks = balance.remarks(rows)
        assert [remark.flag for remark in remarks] == ([flag] if flag else [])
        assert all(words in remark.sentence for remark in remarks if words)
        assert balance.aims(rows)["sse"]["bound"].tolist() == [bound] * 100
    rows = [row | {"sse": 13.0, "ratio": 1.0} for row in rows]
    assert balance.remarks(rows)[0].flag == "not settled"
