"""A weight that pauses when the first latents are encoded, against values by hand."""

import pytest
import torch

from equipoise.balance import Descent, Schedule
from equipoise.balance.contract import Seen
from equipoise.errors import InputError


def seen(step: int, kl: float, steps: int = 1000) -> Seen:
    return {"step": torch.tensor(step), "progress": torch.tensor(step / steps), "kl": torch.tensor(kl)}


def weights(descent: Descent, kl_at: int, steps: int = 1000) -> list[float]:
    """The weights of a run whose KL is 0 until `kl_at`, and 100 nats from then on."""
    return [float(descent(seen(step, 100.0 * (step >= kl_at), steps))["kl"]) for step in range(1, steps + 1)]


def test_it_halves_until_the_first_latents_enter_then_stays_then_falls() -> None:
    curve = weights(Descent(16.0, 1.0, entry=0.1, halving=0.1, hold=0.1, until=0.6), kl_at=200)
    assert curve[99] == pytest.approx(8, rel=1e-4)
    assert curve[199:299] == pytest.approx([4.0] * 100, rel=1e-4)
    # From 4 at 30 % to 1 at 60 %: half of the way in logarithms is 2.
    assert curve[449] == pytest.approx(2, rel=1e-4)
    assert curve[599:] == pytest.approx([1.0] * 401, rel=1e-4)


def test_images_that_are_encoded_at_once_pause_at_the_start() -> None:
    curve = weights(Descent(16.0, 1.0, hold=0.2, until=0.5), kl_at=1)
    assert curve[:200] == pytest.approx([16.0] * 200, rel=1e-2)
    assert curve[500] == pytest.approx(1)


def test_an_entry_of_0_pauses_at_the_start_like_a_schedule_with_a_hold() -> None:
    descent, schedule = Descent(16.0, 1.0, entry=0.0, hold=0.2, until=0.5), Schedule(16.0, 1.0, hold=0.2, until=0.5)
    for step in range(1, 1001, 37):
        assert float(descent(seen(step, 0.0))["kl"]) == pytest.approx(float(schedule(seen(step, 0.0))["kl"]), rel=1e-5)


def test_without_any_latent_it_falls_to_the_end() -> None:
    curve = weights(Descent(16.0, 1.0, halving=0.1), kl_at=2000)
    assert curve[299] == pytest.approx(2, rel=1e-4)
    assert curve[399:] == pytest.approx([1.0] * 601, rel=1e-4)


def test_a_late_entry_leaves_a_twentieth_for_the_fall() -> None:
    curve = weights(Descent(16.0, 1.0, halving=0.5, hold=0.1, until=0.5), kl_at=500)
    assert curve[599] == pytest.approx(8, rel=1e-3)
    assert curve[624] == pytest.approx(8**0.5, rel=1e-2)
    assert curve[650] == pytest.approx(1, rel=1e-3)


def test_the_pause_begins_with_the_running_mean_and_is_saved() -> None:
    descent = Descent(16.0, 1.0, entry=0.1, unit="spread")
    for step in range(1, 4):
        assert float(descent.entered) == 1
        descent({**seen(step, 2.0), "spread": torch.tensor(5.0)})
    # 2 (1 - .98^3) = .118 is the first mean above .1.
    assert float(descent.entered) == pytest.approx(0.003)
    assert {"entered", "term_mean", "unit_mean"} <= descent.state_dict().keys()
    mean = float(descent.term_mean)
    assert float(descent.eval()({**seen(4, 90.0), "spread": torch.tensor(7.0)})["kl"]) == pytest.approx(5)
    assert float(descent.term_mean) == mean, "evaluation leaves the state as it is"


def test_an_end_above_the_start_is_refused() -> None:
    with pytest.raises(InputError, match="end has to be at most start"):
        Descent(1.0, 2.0)
