"""Laws of all balances: shapes, gradients, state, extremes, and what they add to the report."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import clock
from tests.parts import LATENT, cases, label, made
from torch import Tensor

from equipoise.balance import Balance
from equipoise.part import Remark
from equipoise.terms import MONITORS


def seen(step: int = 3, rec: float = 20.0, kl: float = 2.0, accuracy: float = 0.6) -> dict[str, Tensor]:
    """The means of the terms, the accuracy of an adversary and the clock."""
    of_latents = kl * torch.tensor([1.5, 1.0, 0.25])
    terms = {"rec": torch.tensor(rec), "kl": of_latents, "tc": torch.tensor(0.3)}
    terms |= {name: torch.tensor(rec) for name in MONITORS}
    return {**terms, "accuracy": torch.tensor(accuracy), **clock(step)}


EXTREMES = [
    {"rec": 0.0, "kl": 0.0, "accuracy": 0.0},
    {"rec": 1e6, "kl": 1e4, "accuracy": 1.0},
    {"rec": 1e-12, "kl": 1e-12, "accuracy": 0.5},
]


@pytest.fixture(params=cases("balance"), ids=label)
def balance(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def test_weights_and_penalty_are_finite_tensors_of_the_right_shape(balance: Balance) -> None:
    weights = balance(seen())
    assert set(weights) == set(balance.terms)
    for weight in weights.values():
        assert weight.shape in ((), (LATENT,))
        assert weight.isfinite().all()
    assert balance.penalty(seen()).shape == ()
    assert balance.penalty(seen()).isfinite()


@pytest.mark.parametrize("values", EXTREMES, ids=["zero", "huge", "tiny"])
def test_weights_and_penalty_stay_finite_at_extremes(balance: Balance, values: dict[str, float]) -> None:
    for step in range(1, 12):
        now = seen(step, **values)
        assert all(bool(weight.isfinite().all()) for weight in balance(now).values())
        assert balance.penalty(now).isfinite()
    assert all(bool(value.isfinite().all()) for value in balance.state_dict().values())


def test_gradients_reach_the_own_parameters_and_no_other(balance: Balance) -> None:
    values = seen()
    weights = balance(values)
    parameters = list(balance.parameters())
    for weight in weights.values():
        assert weight.requires_grad == bool(parameters)
    if parameters:
        (sum(weight.sum() for weight in weights.values()) + balance.penalty(values)).backward()
        assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in parameters)
    assert not any(value.requires_grad for value in values.values())


def test_evaluation_leaves_the_state_unchanged(balance: Balance) -> None:
    balance.eval()
    before = copy.deepcopy(balance.state_dict())
    first = balance(seen(step=1))
    for step in (2, 9):
        again = balance(seen(step=step))
        for name in first:
            assert torch.equal(first[name], again[name]), "in evaluation a weight does not depend on the step"
    assert all(torch.equal(before[name], value) for name, value in balance.state_dict().items())


def test_state_round_trip_gives_the_same_weights(balance: Balance) -> None:
    other = copy.deepcopy(balance)
    for step in range(1, 4):
        balance(seen(step=step))
    other.load_state_dict(balance.state_dict())
    for step in range(4, 8):
        ours, theirs = balance(seen(step=step)), other(seen(step=step))
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_weights_follow_the_schedule_only_if_the_balance_is_scheduled(balance: Balance) -> None:
    if balance.is_scheduled:
        return
    other = copy.deepcopy(balance)
    for step in range(1, 8):
        now = seen(step)
        ours, theirs = balance(now), other({**now, "progress": now["progress"] / 2})
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert torch.equal(balance.penalty(now), other.penalty({**now, "progress": now["progress"] / 2}))


def test_the_mask_keeps_the_shape_of_codes(balance: Balance) -> None:
    z = torch.ones(5, LATENT)
    assert balance.mask(z).shape == z.shape


def test_aims_have_a_value_for_each_row_and_remarks_are_sentences(balance: Balance) -> None:
    rows: list[dict[str, Any]] = []
    for step in range(1, 11):
        values = seen(step)
        weights = balance(values)
        row: dict[str, Any] = {"step": step, "progress": step / 10, "unit": 1.0, "lr": 1e-3}
        row |= {name: float(values[name].sum()) for name in ("rec", "kl", "tc", "accuracy", *MONITORS)}
        row |= {"kl_dims": values["kl"].tolist(), "beta_equivalent": 1.0}
        row |= {f"weight.{name}": float(weight.detach().mean()) for name, weight in weights.items()}
        row |= {name: value.tolist() for name, value in balance.logs().items()}
        rows.append(row)
    for some in (rows[:1], rows):
        for lines in balance.aims(some).values():
            assert lines
            for values in lines.values():
                assert np.shape(values) == (len(some),)
                assert np.isfinite(values).all()
        for remark in balance.remarks(some):
            assert isinstance(remark, Remark)
            assert remark.sentence.endswith(".")
