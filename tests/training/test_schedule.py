"""The learning rate: one-cycle equals torch's scheduler and fits the L-VAE paper; warmup-cosine has values by hand."""

import pytest
import torch

from equipoise.training.schedule import rate


@pytest.mark.parametrize("length", [3, 7, 100, 1001])
def test_one_cycle_equals_that_of_torch(length: int) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 1.0, length, pct_start=0.5, div_factor=10, final_div_factor=10, cycle_momentum=False
    )
    for step in range(1, length + 1):
        assert rate("one-cycle", step, length) == pytest.approx(optimiser.param_groups[0]["lr"], abs=1e-12)
        optimiser.step()
        if step < length:
            scheduler.step()


def test_the_papers_cycle_lets_sigma_move_by_889_thousandths_in_50_000_steps() -> None:
    total = 1e-4 * sum(rate("one-cycle", step, 300_000) for step in range(1, 50_001))
    assert total == pytest.approx(0.889, abs=1e-3)


def test_constant_is_constant() -> None:
    assert {rate("constant", step, 10) for step in range(1, 30)} == {1.0}


def test_warm_up_is_linear_and_the_rest_a_cosine() -> None:
    """Of 201 steps, the peak is 6 steps after the first, and the middle of the cosine 97 steps after the peak."""
    values = {1: 0.01, 2: 0.175, 4: 0.505, 7: 1.0, 104: 0.505, 201: 0.01}
    for step, value in values.items():
        assert rate("warmup-cosine", step, 201) == pytest.approx(value, abs=1e-12)
    # 30 degrees into the cosine: 0.01 + 0.99 (1 + cos 30) / 2.
    assert rate("warmup-cosine", 1 + 18 + 97, 601) == pytest.approx(0.9336826, abs=1e-7)


@pytest.mark.parametrize("length", [1, 2, 3, 10, 1000])
def test_warm_up_and_cosine_stay_in_range_at_any_length(length: int) -> None:
    rates = [rate("warmup-cosine", step, length) for step in range(1, length + 1)]
    assert all(0.01 - 1e-12 <= each <= 1 for each in rates)
    assert length == 1 or rates[-1] == pytest.approx(0.01)
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
