"""The scaled laws: they depend neither on the scale of the reconstruction nor on the length of the run."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from equipoise.balance import PI, AccuracyCapacity, Balance, ClosedFormWeights, IncrementalPI, LearnedWeights, SetPoint
from equipoise.methods.dynamic_vae import DynamicVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.method import Method

REFERENCE, LEAST = 152.6, 4.0
BOTH = {"reference": REFERENCE, "least": LEAST}
TERMS = ("rec", "kl")


def closed(**more: Any) -> Balance:
    return ClosedFormWeights(TERMS, smoothing=0.0, **BOTH, **more)


def learned(**more: Any) -> Balance:
    return LearnedWeights(TERMS, **BOTH, **more)


def pi(**more: Any) -> Balance:
    return PI(target=6.0, kp=0.5, ki=8.0, beta_min=1e-3, beta_max=0.15, unit="spread", **more)


def incremental(**more: Any) -> Balance:
    return IncrementalPI(target=6.0, kp=0.5, ki=8.0, beta_0=0.15, beta_min=1e-3, window=1, unit="spread", **more)


LAWS: list[Callable[..., Balance]] = [closed, learned, pi, incremental]


def seen(kl: float, share: float, scale: float = 40.0, least: float = 3.0, step: int = 1, steps: int = 100) -> Any:
    """The means at which a share of the spread is not explained, for a reconstruction of this scale."""
    return {
        "rec": torch.tensor(scale * (share + least)),
        "rec_min": torch.tensor(scale * least),
        "spread": torch.tensor(scale),
        "kl": torch.tensor(kl),
        "step": torch.tensor(step),
        "progress": torch.tensor(step / steps).clamp(max=1),
    }


def beta(weights: dict[str, Tensor]) -> float:
    """The trade-off: the weight of the KL beside one of the reconstruction."""
    rec = weights.get("rec", torch.ones(()))
    return float((weights["kl"] / rec).detach())


@pytest.mark.parametrize("law", LAWS)
def test_beta_in_units_of_the_spread_does_not_depend_on_the_scale_of_the_reconstruction(
    law: Callable[..., Balance],
) -> None:
    small, large = law(), law()
    for step, kl in enumerate((0.0, 2.0, 9.0, 9.0), 1):
        of_small = beta(small(seen(kl, 0.5, scale=8.0, least=2.0, step=step)))
        of_large = beta(large(seen(kl, 0.5, scale=800.0, least=0.1, step=step)))
        assert of_large / 800 == pytest.approx(of_small / 8, rel=1e-4)


def test_closed_weights_are_the_square_root_with_a_least_kl() -> None:
    """beta / S = sqrt(rho / (reference max(K, least))), by hand."""
    balance = closed()
    assert beta(balance(seen(0.0, 1.0))) / 40 == pytest.approx(math.sqrt(1 / (REFERENCE * LEAST)), rel=1e-5)
    assert beta(balance(seen(1.0, 1.0))) / 40 == pytest.approx(math.sqrt(1 / (REFERENCE * LEAST)), rel=1e-5)
    assert beta(balance(seen(12.0, 0.14))) / 40 == pytest.approx(math.sqrt(0.14 / (REFERENCE * 12)), rel=1e-5)


def test_on_the_data_of_the_paper_beta_is_the_papers() -> None:
    balance = closed()
    weights = balance(seen(10.94, 21.14 / REFERENCE, scale=REFERENCE, least=0.0))
    assert beta(weights) == pytest.approx(math.sqrt(21.14 / 10.94), rel=1e-5)  # 1.39, as in Table 2


def test_learned_sigmas_settle_at_the_closed_weights_and_start_from_above() -> None:
    balance = learned()
    start = beta(balance(seen(0.0, 1.0)))
    assert start / 40 == pytest.approx(math.sqrt(1 / (REFERENCE * LEAST)), rel=1e-5)
    optimiser = torch.optim.SGD(balance.parameters(), lr=0.02)
    for kl, share in ((0.0, 1.0), (12.0, 0.14)):
        for _ in range(500):
            now = seen(kl, share)
            weights = balance(now)
            loss = (weights["rec"] * now["rec"] + weights["kl"] * now["kl"]) + balance.penalty(now)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        balance(now)  # lifts
        assert beta(balance(now)) / 40 == pytest.approx(math.sqrt(share / (REFERENCE * max(kl, LEAST))), rel=1e-2)


@pytest.mark.parametrize(("share", "escapes"), [(0.025, True), (0.015, False)])
def test_a_direction_of_two_per_cent_leaves_the_collapsed_state_of_a_linear_model(share: float, escapes: bool) -> None:
    """encoder a x, decoder b z, posterior variance v, for one direction of variance 1."""
    weight = beta(closed()(seen(0.0, 1.0, scale=1.0, least=0.0)))
    assert (share > weight / 2) == escapes, "1 / (4 reference s^2) is the limit of the documentation"
    a, b, log_v = (torch.tensor(value, requires_grad=True) for value in (1e-2, 1e-3, 0.0))
    optimiser = torch.optim.SGD([a, b, log_v], lr=0.05)
    for _ in range(3000):
        v = log_v.exp()
        loss = share * ((1 - a * b) ** 2 + b**2 * v) + weight * 0.5 * (a**2 + v - log_v - 1)
        loss = loss / share
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (float((a * b).detach()) > 0.1) == escapes


@pytest.mark.parametrize("law", [lambda: ClosedFormWeights(TERMS, memory=0.1, **BOTH), pi, incremental])
def test_a_run_of_any_length_has_the_same_weights_at_the_same_progress(law: Callable[[], Balance]) -> None:
    ends = []
    for steps in (400, 4000):
        balance = law()
        for step in range(1, steps // 4 + 1):
            weights = balance(seen(9.0, 0.3, step=step, steps=steps))
        ends.append(beta(weights))
    assert ends[1] == pytest.approx(ends[0], rel=1e-2)
    assert law().is_scheduled


def test_controllers_move_the_logarithm_by_hand() -> None:
    balance, error = pi(), 6.0 - 7.5
    sigmoid = 1 / (1 + math.exp(error))
    for step in (1, 2, 3):
        weights = balance(seen(7.5, 0.3, step=step))
        log = math.log(1e-3) + 0.5 * sigmoid - step * 8 * error / 100
        assert float(weights["kl"]) == pytest.approx(40 * math.exp(log), rel=1e-4)
    balance, error = incremental(), 6.0 - 0.5
    sigmoid = 1 / (1 + math.exp(error))
    for step in (1, 2, 3):
        weights = balance(seen(0.5, 0.3, step=step))
        log = math.log(0.15) + 0.5 * (sigmoid - 0.5) - step * 8 * error / 100
        assert float(weights["kl"]) == pytest.approx(40 * math.exp(log), rel=1e-4)


def test_limits_are_in_units_of_the_spread_and_the_report_names_them() -> None:
    for law, kl, limit, word in ((pi, 90.0, 0.15, "upper"), (incremental, 0.0, 1e-3, "lower")):
        balance = law()
        rows = []
        for step in range(1, 101):
            now = seen(kl, 0.3, step=step)
            weight = float(balance(now)["kl"])
            row = {"weight.kl": weight, "kl": kl, "step": step, "progress": float(now["progress"])}
            rows.append(row | {name: float(value) for name, value in balance.logs().items()})
        assert weight == pytest.approx(40 * limit, rel=1e-3)
        sentence = balance.remarks(rows)[0].sentence
        assert f"at its {word} limit {limit:g} times the spread" in sentence


def test_capacity_in_a_schedule_reaches_the_same_height_in_any_number_of_steps() -> None:
    for steps in (50, 500):
        balance = AccuracyCapacity(rate=6.0, per_schedule=True)
        for step in range(1, steps + 1):
            now = {"kl": torch.zeros(2), "accuracy": torch.tensor(0.5)}
            balance({**now, "step": torch.tensor(step), "progress": torch.tensor(step / steps)})
        assert float(balance.capacity) == pytest.approx(6 * (steps - 1) / steps, rel=1e-4)


def test_the_published_laws_have_the_state_of_earlier_checkpoints() -> None:
    assert set(LearnedWeights(TERMS).state_dict()) == {"sigma.rec", "sigma.kl"}
    assert set(ClosedFormWeights(TERMS).state_dict()) == {"mean_rec", "mean_kl"}
    assert set(PI().state_dict()) == {"output", "rest", "error", "set_point", "integral"}
    assert set(IncrementalPI(SetPoint(18.0)).state_dict()) == {
        *("output", "rest", "error", "set_point", "queue", "filled")
    }


def test_images_that_are_all_equal_have_no_spread_and_finite_weights() -> None:
    for law in LAWS:
        balance = law()
        weights = balance(seen(1.0, 1.0, scale=0.0))
        assert all(bool(weight.isfinite().all()) for weight in weights.values())


@pytest.mark.parametrize("method", [LVAE(), LVAE(weights="closed"), DynamicVAE()])
def test_the_methods_measure_the_spread(method: Method) -> None:
    from tests.conftest import SHAPE

    objective = method.build(SHAPE)
    assert "spread" in objective.monitors
    assert objective.balance.is_scheduled
