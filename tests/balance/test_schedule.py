"""Weights that follow a schedule, against values by hand."""

import pytest
import torch

from equipoise.balance import Schedule
from equipoise.balance.contract import UNIT_STEPS
from equipoise.errors import InputError


def weight(schedule: Schedule, progress: float) -> float:
    return float(schedule({"progress": torch.tensor(progress), "step": torch.tensor(1)})[schedule.term])


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        ("constant", [8, 8, 8, 8, 2]),
        ("linear", [8, 6.5, 5, 3.5, 2]),
        ("geometric", [8, 8 * 0.25**0.25, 4, 8 * 0.25**0.75, 2]),
        ("cosine", [8, 8 - 6 * (1 - 2**-0.5) / 2, 5, 8 - 6 * (1 + 2**-0.5) / 2, 2]),
    ],
)
def test_weights_at_each_quarter(shape: str, values: list[float]) -> None:
    schedule = Schedule(8.0, 2.0, shape=shape, until=0.8)  # type: ignore[arg-type]
    assert [weight(schedule, p) for p in (0, 0.2, 0.4, 0.6, 0.8)] == pytest.approx(values, rel=1e-5)
    assert weight(schedule, 1.0) == pytest.approx(2)


def test_cycles_rise_in_their_first_half() -> None:
    schedule = Schedule(0.0, 1.0, shape="cyclical", until=1.0, cycles=2)
    found = [weight(schedule, p) for p in (0, 0.125, 0.25, 0.4, 0.5, 0.625, 0.75, 1)]
    assert found == pytest.approx([0, 0.5, 1, 1, 0, 0.5, 1, 1])


def test_the_weight_is_held_first_and_is_the_last_one_in_evaluation() -> None:
    schedule = Schedule(8.0, 2.0, until=0.6, hold=0.4, term="tc")
    assert [weight(schedule, p) for p in (0, 0.3, 0.5, 0.7)] == pytest.approx([8, 8, 4, 2], rel=1e-5)
    assert weight(schedule.eval(), 0.1) == 2


def test_the_unit_is_the_mean_over_the_first_steps() -> None:
    schedule = Schedule(2.0, 2.0, shape="constant", unit="spread")
    values = [10.0, 20.0, 60.0]
    for step, value in enumerate(values, start=1):
        seen = {"progress": torch.tensor(0.0), "step": torch.tensor(step), "spread": torch.tensor(value)}
        found = float(schedule(seen)["kl"])
    assert found == pytest.approx(2 * 30)
    late = {"progress": torch.tensor(0.0), "step": torch.tensor(UNIT_STEPS + 1), "spread": torch.tensor(1e6)}
    assert float(schedule(late)["kl"]) == pytest.approx(60)
    assert schedule.measures == ("spread",)


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(InputError, match="hold has to be below until"):
        Schedule(1.0, 2.0, until=0.3, hold=0.3)
    with pytest.raises(InputError, match="weights above 0"):
        Schedule(0.0, 2.0)
