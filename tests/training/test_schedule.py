"""The learning rate against torch's own scheduler, and against what the L-VAE paper's schedule implies."""

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
