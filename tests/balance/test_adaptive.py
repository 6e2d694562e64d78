"""Weights that follow an adversary, learned relevance, and weights in closed form."""

import copy
from typing import Any

import pytest
import torch
from tests.conftest import clock
from torch import Tensor

from equipoise.balance import AccuracyCapacity, AccuracyFeedback, ClosedFormWeights, Fixed, Joint, Relevance
from equipoise.errors import InputError
from equipoise.part import Remark


def seen(accuracy: float, step: int = 5, length: int = 10, kl: tuple[float, ...] = (1.0, 2.0)) -> dict[str, Tensor]:
    return {
        **clock(step, length),
        "accuracy": torch.tensor(accuracy),
        "kl": torch.tensor(kl),
        "rec": torch.tensor(16.0),
    }


def relevance(latent: int, **settings: Any) -> Relevance:
    with torch.random.fork_rng(devices=[]):
        return Relevance(latent, **settings)


def weight(balance: AccuracyFeedback, accuracy: float, step: int = 5) -> float:
    return float(balance(seen(accuracy, step))["tc"])


def feedback(**settings: float) -> AccuracyFeedback:
    return AccuracyFeedback(**{"beta_0": 6.0, "scale": 0.5, "smoothing": 0.0, **settings})


def test_beta_rises_above_the_window_falls_below_it_and_stays_within() -> None:
    assert weight(feedback(), 0.81) == 12.0
    assert weight(feedback(), 0.69) == 3.0
    for inside in (0.71, 0.75, 0.79):
        assert weight(feedback(), inside) == 6.0


def test_beta_stays_within_its_bounds() -> None:
    balance = feedback(beta_min=2.0, beta_max=20.0)
    assert [weight(balance, 1.0) for _ in range(3)] == [12.0, 20.0, 20.0]
    assert [weight(balance, 0.5) for _ in range(5)] == [10.0, 5.0, 2.5, 2.0, 2.0]


def test_a_scale_of_one_or_a_window_of_a_half_keeps_beta() -> None:
    for balance in (feedback(scale=1.0), feedback(window=0.5)):
        assert [weight(balance, accuracy) for accuracy in (0.3, 0.5, 1.0)] == [6.0, 6.0, 6.0]


def test_the_first_step_has_seen_no_discriminator() -> None:
    balance = feedback()
    assert weight(balance, 0.5, step=1) == 6.0
    assert weight(balance, 0.5, step=2) == 3.0


def test_the_running_mean_starts_at_the_target() -> None:
    balance = feedback(smoothing=0.9)
    assert weight(balance, 1.0) == 6.0  # 0.9 * 0.75 + 0.1 = 0.775, within the window
    assert float(balance.smoothed) == pytest.approx(0.775)
    weight(balance, 1.0)
    assert weight(balance, 1.0) == 12.0  # 0.82


def test_the_annealed_target_goes_from_one_end_to_the_other() -> None:
    balance = feedback(target=0.85, target_end=0.60)
    assert balance.is_scheduled
    start, end = {**seen(0.81), "progress": torch.tensor(0.0)}, {**seen(0.64), "progress": torch.tensor(1.0)}
    assert float(balance(start)["tc"]) == 6.0
    assert float(balance(end)["tc"]) == 6.0
    start["accuracy"], end["accuracy"] = torch.tensor(0.91), torch.tensor(0.66)
    assert float(balance(start)["tc"]) == 12.0
    assert float(balance(end)["tc"]) == 24.0


def test_beta_converges_from_three_decades_where_accuracy_falls_with_it() -> None:
    """a plant whose accuracy is 1/2 + 1/(2 (1 + beta/5)): beta settles at the window's edge from any start."""
    for start in (0.1, 1.0, 100.0):
        balance = AccuracyFeedback(beta_0=start, scale=0.99, smoothing=0.9)
        accuracy = 0.75
        for step in range(2, 3000):
            beta = weight(balance, accuracy, step)
            accuracy = 0.5 + 0.5 / (1 + beta / 5)
        assert 0.69 < accuracy < 0.81


def test_evaluation_changes_nothing_and_the_state_goes_round() -> None:
    balance = feedback(smoothing=0.9)
    for step in range(2, 9):
        weight(balance, 0.9, step)
    other = feedback(smoothing=0.9)
    other.load_state_dict(copy.deepcopy(balance.state_dict()))
    balance.eval()
    before = weight(balance, 0.1)
    assert weight(balance, 0.1) == before
    balance.train()
    assert [weight(balance, 0.4) for _ in range(9)] == [weight(other, 0.4) for _ in range(9)]


def test_a_weight_at_its_bound_is_remarked_on() -> None:
    rows = [{"weight.tc": value} for value in (5.0, 1.0, 0.1, 0.01, 0.01)]
    (remark,) = AccuracyFeedback().remarks(rows)
    assert "at its lower limit, 0.01" in remark.sentence
    assert remark.flag == "saturated"
    assert AccuracyFeedback().remarks(rows[:3]) == []


def test_the_capacity_follows_the_discriminator() -> None:
    balance = AccuracyCapacity(gamma=2.0, c_max=0.3, rate=0.1)
    capacities = []
    for step, accuracy in enumerate((0.4, 0.5, 0.505, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6), 1):
        balance(seen(accuracy, step))
        capacities.append(round(float(balance.capacity), 6))
    assert capacities == [0, 0.1, 0.1, 0.2, 0.3, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0]


def test_weight_and_penalty_of_the_capacity_make_a_fourth_power_and_its_gradient() -> None:
    balance = AccuracyCapacity(gamma=2.0).eval()
    balance.capacity.fill_(0.4)
    kl = torch.tensor([1.0, 2.0, 0.3], requires_grad=True)
    now = {**seen(0.5), "kl": kl.detach()}
    loss = (balance(now)["kl"] * kl).sum() + balance.penalty(now)
    loss.backward()
    direct = torch.tensor([1.0, 2.0, 0.3], requires_grad=True)
    expected = 2.0 * (direct.mean() - 0.4) ** 4
    expected.backward()
    assert torch.allclose(loss, expected)
    assert kl.grad is not None
    assert direct.grad is not None
    assert torch.allclose(kl.grad, direct.grad)


def test_relevance_weighs_the_kl_between_its_two_lambdas() -> None:
    balance = relevance(2, lambda_min=0.1, lambda_max=10.0, relevant=(1, 0))
    assert balance(seen(0.5))["kl"].tolist() == pytest.approx([0.1, 10.0])
    assert float(balance.penalty(seen(0.5))) == 0
    assert list(balance.parameters()) == []
    assert balance.mask(torch.ones(1, 2)).tolist() == [[1.0, 0.0]]


def test_the_penalty_of_relevance_drives_it_to_a_decision() -> None:
    """the gradient of the entropy in the logits is -l r (1 - r): minimised, it moves l away from 0."""
    balance = relevance(3, eta_s=0.0, eta_h=1.0).double()
    with torch.no_grad():
        balance.logits.copy_(torch.tensor([-2.0, 0.5, 3.0]))
    balance.penalty(seen(0.5)).backward()
    r = balance.r.detach()
    logits = balance.logits.detach()
    assert torch.allclose(balance.logits.grad, -logits * r * (1 - r))
    entropy = -(r * r.log() + (1 - r) * (1 - r).log()).sum()
    assert torch.allclose(balance.penalty(seen(0.5)).detach(), entropy)
    assert torch.allclose(
        relevance(3, eta_s=2.0, eta_h=0.0).double().penalty(seen(0.5)), torch.tensor(3.0).double(), atol=1e-2
    )


def test_the_entropy_can_come_in_slowly() -> None:
    balance = relevance(2, eta_s=0.0, eta_h=100.0, eta_h_warmup=0.5)
    assert balance.is_scheduled
    early, late = (balance.penalty(seen(0.5, step=step)).detach() for step in (1, 5))
    assert float(early) == pytest.approx(float(late) / 5)
    assert float(balance.eval().penalty(seen(0.5, step=1)).detach()) == pytest.approx(float(late))


def test_undecided_latents_are_remarked_on() -> None:
    said = Remark("The relevance of these latents is still between 0.1 and 0.9: z1. Train longer.", "not settled")
    assert relevance(3).remarks([{"relevance_dims": [0.01, 0.5, 0.99]}]) == [said]
    assert relevance(2).remarks([{"relevance_dims": [0.01, 0.99]}]) == []


def test_closed_form_weights_are_those_at_which_the_learned_ones_settle() -> None:
    balance = ClosedFormWeights(["rec", "kl"], smoothing=0.0)
    now = seen(0.5, kl=(3.0, 1.0))
    weights = balance(now)
    assert float(weights["rec"]) == pytest.approx(1 / 4)  # 1 / sqrt(16)
    assert float(weights["kl"]) == pytest.approx(1 / 2)
    value = weights["rec"] * 16 + weights["kl"] * 4 + balance.penalty(now)
    assert float(value) == pytest.approx(2 * 4 + 2 * 2)


def test_closed_form_weights_start_at_one_and_have_a_floor() -> None:
    balance = ClosedFormWeights(["rec", "kl"], smoothing=0.999).eval()
    assert {name: float(w) for name, w in balance(seen(0.5)).items()} == {"rec": 1.0, "kl": 1.0}
    dead = ClosedFormWeights(["kl"], smoothing=0.0, floor=1e-2)
    assert float(dead(seen(0.5, kl=(0.0,)))["kl"]) == pytest.approx(100.0)
    (remark,) = dead.remarks([{"sigma.kl": 0.1}])
    assert "at its limit" in remark.sentence
    assert remark.flag == "saturated"


def test_balances_are_joined_and_never_weigh_a_term_twice() -> None:
    both = Joint(Fixed({"rec": 2.0}), relevance(2, relevant=(1, 0)), feedback())
    assert set(both(seen(0.9))) == {"rec", "kl", "tc"} == set(both.terms)
    assert "beta" in both.logs()
    with pytest.raises(InputError, match="two balances weight kl"):
        Joint(Fixed({"kl": 2.0}), relevance(2))


def test_a_first_weight_outside_its_limits_is_refused_and_not_moved() -> None:
    with pytest.raises(InputError, match=r"beta_0 is 6.4; expected a value from beta_min, 0.01, to beta_max, 1"):
        AccuracyFeedback(beta_max=1.0)
