"""Balances of constant, scheduled and learned weights against their closed forms."""

import math

import pytest
import torch
from tests.conftest import clock
from torch import Tensor

from equipoise.balance import Balance, Capacity, ClosedFormWeights, Joint, LearnedWeights, WarmUp
from equipoise.errors import InputError


def seen(rec: float = 20.0, kl: tuple[float, ...] = (3.0, 2.0, 0.5), step: int = 3) -> dict[str, Tensor]:
    return {"rec": torch.tensor(rec), "kl": torch.tensor(kl), **clock(step)}


def test_warm_up_is_linear_and_then_stays() -> None:
    balance = WarmUp(4.0, until=0.5)
    assert [float(balance(seen(step=step))["kl"]) for step in (0, 1, 5, 10)] == pytest.approx([0, 0.8, 4, 4])


def test_capacity_grows_to_its_end_at_the_given_share_and_stays_there_in_evaluation() -> None:
    balance = Capacity(10.0, 1.0, 25.0, until=0.6)
    for step, capacity in ((0, 1.0), (3, 13.0), (6, 25.0), (10, 25.0)):
        values = seen(kl=(40.0,), step=step)
        loss = balance(values)["kl"] * 40.0 + balance.penalty(values)
        assert float(loss) == pytest.approx(10 * (40 - capacity))
    balance.eval()
    values = seen(kl=(40.0,), step=0)
    assert float(balance(values)["kl"] * 40 + balance.penalty(values)) == pytest.approx(10 * 15)


def test_the_gradient_at_the_capacity_itself_is_zero_and_below_it_the_kl_is_pushed_up() -> None:
    balance = Capacity(10.0, 5.0, 5.0, until=1.0)
    assert float(balance(seen(kl=(5.0,)))["kl"]) == 0
    assert float(balance(seen(kl=(4.0,)))["kl"]) == -10
    assert float(balance(seen(kl=(6.0,)))["kl"]) == 10


def test_capacity_in_steps_does_not_depend_on_the_schedule() -> None:
    balance = Capacity(1.0, 0.0, 25.0, until=0.6, until_steps=100_000)
    assert not balance.is_scheduled
    values = {"kl": torch.tensor([20.0]), "step": torch.tensor(40_000), "progress": torch.tensor(1.0)}
    assert float(balance(values)["kl"] * 20 + balance.penalty(values)) == pytest.approx(10)


def minimise(balance: LearnedWeights, rec: float, kl: float, steps: int = 6000) -> float:
    values = {"rec": torch.tensor(rec), "kl": torch.tensor(kl), **clock()}
    optimiser = torch.optim.Adam(balance.parameters(), lr=5e-3)
    loss = torch.zeros(())
    for _ in range(steps):
        optimiser.zero_grad()
        weights = balance(values)
        loss = weights["rec"] * rec + weights["kl"] * kl + balance.penalty(values)
        loss.backward()
        optimiser.step()
    return float(loss.detach())


@pytest.mark.parametrize("parametrisation", ["raw", "log"])
def test_learned_weights_settle_at_the_fourth_roots(parametrisation: str) -> None:
    """sigma_i^4 is the term, the loss 2 sqrt(R) + 2 sqrt(K), beta = sqrt(R / K)."""
    balance = LearnedWeights(["rec", "kl"], "squares", parametrisation)  # type: ignore[arg-type]
    rec, kl = 21.14, 10.94
    assert minimise(balance, rec, kl) == pytest.approx(2 * math.sqrt(rec) + 2 * math.sqrt(kl), rel=1e-5)
    weights = {name: weight.detach() for name, weight in balance(seen()).items()}
    assert float(weights["rec"]) == pytest.approx(rec**-0.5, rel=1e-3)
    assert float(weights["kl"] / weights["rec"]) == pytest.approx(math.sqrt(rec / kl), rel=1e-3)


def test_the_log_regulariser_settles_at_twice_the_terms() -> None:
    """There the loss is 1 + log(4 R K) / 2 and beta = R / K."""
    balance = LearnedWeights(["rec", "kl"], "log", floor=1e-2)
    rec, kl = 6.0, 2.0
    assert minimise(balance, rec, kl) == pytest.approx(1 + 0.5 * math.log(4 * rec * kl), rel=1e-5)
    weights = {name: weight.detach() for name, weight in balance(seen()).items()}
    assert float(weights["kl"] / weights["rec"]) == pytest.approx(rec / kl, rel=1e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_sigma_of_either_sign_stays_at_its_floor_and_can_leave_it(sign: float) -> None:
    balance = LearnedWeights(["kl"], floor=0.04, initial=sign * 0.3)
    optimiser = torch.optim.SGD(balance.parameters(), lr=0.05)

    def settle(term: float) -> float:
        for _ in range(400):
            optimiser.zero_grad()
            (balance(clock())["kl"] * term + balance.penalty(clock())).backward()
            optimiser.step()
        return float(balance(clock())["kl"].detach())

    assert settle(0.0) == pytest.approx(25), "1 / floor where the term vanished"
    assert settle(0.5) == pytest.approx(0.5**-0.5, rel=1e-3), "1 / sqrt(K) once it came back"
    assert math.copysign(1, float(balance.sigma["kl"].detach())) == sign


def test_weights_in_closed_form_start_at_the_initial_sigma() -> None:
    balance = ClosedFormWeights(["rec", "kl"], initial=2.0).eval()
    assert {name: float(weight) for name, weight in balance(seen()).items()} == {"rec": 0.25, "kl": 0.25}
    assert float(balance.penalty(seen())) == 8.0


def test_the_penalty_of_several_balances_is_the_sum_of_theirs() -> None:
    capacity, closed = Capacity(10.0, 1.0, 25.0, until=0.6), ClosedFormWeights(["rec"], initial=2.0)
    values = seen(kl=(40.0,))
    expected = float(capacity.penalty(values)) + 4.0
    assert float(Joint(capacity, closed).penalty(values)) == pytest.approx(expected)


@pytest.mark.parametrize("balance", [LearnedWeights, ClosedFormWeights])
def test_learned_weights_need_terms_and_a_reference_the_reconstruction(balance: type[Balance]) -> None:
    with pytest.raises(InputError, match=f"terms of {balance.name} is empty; name the terms"):
        balance(terms=[])
    with pytest.raises(InputError, match=rf"^reference of {balance.name} scales rec, .* its terms, kl, cov_off; add"):
        balance(terms=["kl", "cov_off"], reference=100.0)
    assert balance(terms=["rec", "cov_off"], reference=100.0).terms == ("rec", "cov_off")
