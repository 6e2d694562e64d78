"""The law by which the set point of a controller moves."""

import itertools
import typing
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model
from tests.conftest import clock

from equipoise.balance import PI, IncrementalPI, SetPoint
from equipoise.errors import InputError

CONTROL_VAE = {"every": 5000}
DYNAMIC_VAE: dict[str, Any] = {"every": 6000, "rise": 1 / 6}


def set_points(law: SetPoint, steps: Iterable[int], length: int = 10**6) -> list[float]:
    return [float(law.at(clock(step, length))) for step in steps]


def first_at(law: SetPoint, guess: int) -> int:
    """The first step with the set point at its end, near a guess."""
    return next(step for step in range(guess - 1100, guess + 1100) if set_points(law, [step])[0] == law.end)


def test_the_staircase_is_that_of_control_vae() -> None:
    law = SetPoint(18.0, **CONTROL_VAE)
    assert set_points(law, (1, 4_999, 5_000, 9_999, 10_000)) == pytest.approx([0.5, 0.5, 0.65, 0.65, 0.8])
    assert set_points(law, [300_000]) == pytest.approx([9.5], abs=1e-9)
    assert set_points(law, [584_999])[0] < 18
    assert set_points(law, (585_000, 1_500_000)) == [18, 18]
    assert first_at(SetPoint(16.0, **CONTROL_VAE), 520_000) == 520_000
    for step in range(1, 600_000, 4_999):
        assert set_points(law, [step]) == pytest.approx([min(18, 0.5 + 0.15 * (step // 5000))], abs=1e-9)


def test_the_joined_ramps_are_those_of_dynamic_vae() -> None:
    law = SetPoint(20.0, **DYNAMIC_VAE)
    assert set_points(law, (1, 3_000, 5_999)) == [0.5, 0.5, 0.5]
    assert set_points(law, [300_000]) == pytest.approx([7.85015], abs=1e-9)
    assert first_at(SetPoint(18.0, **DYNAMIC_VAE), 703_000) == 702_666
    assert first_at(law, 781_000) == 780_999


def test_the_closed_form_of_the_ramps_is_the_sum_of_the_programs_increments() -> None:
    law, summed = SetPoint(20.0, start=0.5, every=60, rise=1 / 6), 0.5
    for step in range(1, 9_000):
        if step >= 60 and step % 60 < 10:
            summed = min(summed + 0.15 / 10, 20.0)
        assert float(law.at(clock(step))) == pytest.approx(summed, abs=1e-9)


@pytest.mark.parametrize("rise", [0.0, 1 / 6, 1.0])
@pytest.mark.parametrize("end", [16.0, 18.0, 20.0])
@pytest.mark.parametrize("length", [1_000, 2_357])
def test_the_scaled_set_point_arrives_at_its_share_of_the_schedule(rise: float, end: float, length: int) -> None:
    law = SetPoint(end, rise=rise, until=0.6)
    path = [float(law.at(clock(step, length))) for step in range(1, length + 1)]
    arrived = 1 + path.index(end)
    assert arrived / length == pytest.approx(0.6, abs=2 / length)
    assert path[0] == 0.5
    assert path == sorted(path)
    assert path[-1] == end
    assert max(b - a for a, b in itertools.pairwise(path)) < 0.3 + 1e-9, "no jump is more than two increments"


def test_the_scaled_staircase_is_that_of_control_vae_stretched() -> None:
    """117 windows of 5,000 steps are 585,000; at until=0.6 that is a schedule of 975,000 steps."""
    scaled, absolute = SetPoint(18.0), SetPoint(18.0, **CONTROL_VAE)
    steps = range(1_234, 975_000, 5_000)
    assert set_points(scaled, steps, 975_000) == pytest.approx(set_points(absolute, steps))


def test_a_number_is_a_set_point_that_stays() -> None:
    for controller in (PI(target=16.0), IncrementalPI(target=18.0)):
        controller({"kl": torch.tensor(3.0), **clock()})
        assert not controller.is_scheduled
        assert float(controller.logs()["set_point"]) == controller.target.end
    assert set_points(SetPoint(3.0, start=5.0), (1, 10**6)) == [3, 3]


def test_only_a_set_point_that_follows_the_schedule_is_scheduled() -> None:
    for make in (PI, IncrementalPI):
        assert make(target=SetPoint(18.0)).is_scheduled
        assert not make(target=SetPoint(18.0, every=5000)).is_scheduled


def test_the_set_point_is_exact_in_single_precision_steps() -> None:
    """the loop's share of the schedule is a float32, its step an int64 far beyond float32's whole numbers."""
    law = SetPoint(18.0, every=5000)
    for window in (115, 116, 117):
        early, late = (
            float(law.at({"step": torch.tensor(5000 * window - shift), "progress": torch.tensor(0.5)}))
            for shift in (1, 0)
        )
        assert late - early == pytest.approx(min(0.15, 18 - early), abs=1e-5)
    far = SetPoint(1e7, increment=1.0, every=1)
    odd = {"step": torch.tensor(2**24 + 1), "progress": torch.tensor(0.5, dtype=torch.float64)}
    assert float(SetPoint(3e7, start=0.0, increment=1.0, every=1).at(odd)) == 2**24 + 1
    assert float(far.at(odd)) == 1e7


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"end": -1.0}, "an end and an increment above 0"),
        ({"end": 18.0, "increment": 0.0}, "an end and an increment above 0"),
        ({"end": 18.0, "every": 0}, "every=0"),
        ({"end": 18.0, "rise": 1.5}, "rise=1.5"),
        ({"end": 18.0, "until": 0.0}, "until=0"),
    ],
)
def test_a_set_point_that_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        SetPoint(**settings)


def test_a_set_point_is_a_table_in_strict_settings() -> None:
    """a free composition validates what the constructors are annotated with."""
    hint = typing.get_type_hints(PI.__init__, include_extras=True)["target"]
    settings = create_model("Settings", __config__=ConfigDict(extra="forbid", strict=True), target=(hint, 16.0))
    adapter = TypeAdapter(settings)
    for given, expected in ((12, 12.0), ({"end": 18.0, "every": 5000}, SetPoint(18.0, every=5000))):
        assert adapter.validate_python({"target": given}).target == expected  # type: ignore[attr-defined]
    for wrong in (-1, "18", {"end": 18.0, "evry": 5000}, {"end": -1.0}):
        with pytest.raises(ValidationError):
            adapter.validate_python({"target": wrong})
