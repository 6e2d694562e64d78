"""Controllers of a weight: the law of the set point, closed forms, limits, and what they do to a simulated plant."""

import copy
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytest
import torch
from tests.conftest import clock
from torch import Tensor

from equipoise.balance import PI, IncrementalPI, SetPoint
from equipoise.errors import InputError

Controller = PI | IncrementalPI
RISING = SetPoint(18.0, every=3)
CONTROLLERS: dict[str, Callable[[], Controller]] = {
    "PI": lambda: PI(target=6.0),
    "PI, rising set point": lambda: PI(target=RISING),
    "PI, scheduled, with an upper limit": lambda: PI(target=SetPoint(18.0), beta_min=0.0, beta_max=1.0),
    "PI, code": lambda: PI(target=6.0, anti_windup="code"),
    "PI, paper": lambda: PI(target=6.0, anti_windup="paper"),
    "incremental PI": lambda: IncrementalPI(target=6.0, beta_0=2.0),
    "incremental PI, ramps": lambda: IncrementalPI(target=SetPoint(18.0, every=6, rise=1 / 6)),
    "incremental PI, code": lambda: IncrementalPI(target=6.0, beta_0=2.0, anti_windup="code", zero_pad=True),
}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def seen(kl: float, step: int = 1, length: int = 10) -> dict[str, Tensor]:
    """The KL as the loop gives it, per dimension."""
    return {"kl": torch.tensor([kl / 2, kl / 2], dtype=torch.float64), **clock(step, length)}


def drive(controller: Controller, kls: Iterable[float], step: int = 0) -> list[float]:
    """The weights for these values of the KL, one a step."""
    return [float(controller(seen(kl, step + i))["kl"]) for i, kl in enumerate(kls, start=1)]


def set_points(law: SetPoint, steps: Iterable[int], length: int = 10**6) -> list[float]:
    return [float(law.at(clock(step, length))) for step in steps]


@pytest.fixture(params=CONTROLLERS)
def controller(request: pytest.FixtureRequest) -> Controller:
    return CONTROLLERS[request.param]()


# The laws of every balance.


def test_the_weight_is_a_scalar_without_gradient(controller: Controller) -> None:
    kl = torch.tensor([4.0, 5.0], requires_grad=True)
    for mode in (True, False):
        weight = controller.train(mode)({"kl": kl * 2, **clock()})["kl"]
        assert weight.shape == ()
        assert weight.isfinite()
        assert not weight.requires_grad
    assert not list(controller.parameters())
    assert not any(value.requires_grad for value in controller.logs().values())
    assert float(controller.penalty(seen(1.0))) == 0


def test_evaluation_gives_the_last_weight_and_changes_nothing(controller: Controller) -> None:
    last = drive(controller, (20.0, 21.0, 19.0))[-1]
    before = copy.deepcopy(controller.state_dict())
    controller.eval()
    assert drive(controller, (0.0, 50.0, 3.0), step=7) == [last] * 3
    assert all(torch.equal(before[name], value) for name, value in controller.state_dict().items())


def test_each_training_step_moves_the_state_once(controller: Controller) -> None:
    """what a step did is what a fresh controller does with the same history."""
    other = copy.deepcopy(controller)
    kls = [9.0, 30.0, 4.0, 22.0]
    assert drive(controller, kls) == [float(other(seen(kl, i))["kl"]) for i, kl in enumerate(kls, start=1)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_saved_in_the_middle_gives_the_identical_sequence(controller: Controller, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    kls = (12 + 9 * torch.randn(60, generator=generator)).tolist()
    controller.to(dtype)
    fresh = copy.deepcopy(controller)
    drive(controller, kls[:23])
    state = copy.deepcopy(controller.state_dict())
    expected = drive(controller, kls[23:], step=23)
    fresh.load_state_dict(state)
    assert drive(fresh, kls[23:], step=23) == expected
    assert len(set(expected)) > 1 or controller.anti_windup == "code"


def test_construction_on_the_meta_device_needs_no_memory() -> None:
    for make in CONTROLLERS.values():
        with torch.device("meta"):
            made = make()
        assert all(buffer.is_meta for buffer in made.buffers())


def test_no_number_is_read_from_a_tensor_in_a_step() -> None:
    """on the meta device there is none to read."""
    for make in CONTROLLERS.values():
        with torch.device("meta"):
            made = make()
            values = {name: value.to("meta") for name, value in seen(3.0).items()}
            assert made(values)["kl"].is_meta


def test_what_is_logged_are_numbers_and_the_names_of_the_state(controller: Controller) -> None:
    drive(controller, (20.0, 21.0))
    logs = controller.logs()
    assert {"set_point", "error"} <= set(logs)
    assert all(value.shape == () for value in logs.values())
    first = {name: float(value) for name, value in logs.items()}
    drive(controller, (3.0,), step=2)
    assert {name: float(value) for name, value in logs.items()} == first, "a later step does not change what was logged"


# The set point.

CONTROL_VAE = {"every": 5000}
DYNAMIC_VAE: dict[str, Any] = {"every": 6000, "rise": 1 / 6}


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
        drive(controller, [3.0])
        assert not controller.scheduled
        assert float(controller.logs()["set_point"]) == controller.target.end
    assert set_points(SetPoint(3.0, start=5.0), (1, 10**6)) == [3, 3]


def test_only_a_set_point_that_follows_the_schedule_is_scheduled() -> None:
    for make in (PI, IncrementalPI):
        assert make(target=SetPoint(18.0)).scheduled
        assert not make(target=SetPoint(18.0, every=5000)).scheduled


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


# ControlVAE.


def test_without_gains_pi_is_its_lowest_weight() -> None:
    assert drive(PI(kp=0.0, ki=0.0, beta_min=4.0), (0.0, 16.0, 90.0)) == [4.0] * 3


def test_pi_without_error_stays_at_half_of_its_proportional_gain() -> None:
    assert drive(PI(target=16.0).double(), [16.0] * 5) == pytest.approx([1 + 0.01 / 2] * 5, abs=1e-12)


def test_pi_under_a_constant_error_is_the_closed_form() -> None:
    error = -3.0
    weights = drive(PI(target=16.0).double(), [16 - error] * 50)
    assert weights == pytest.approx([1 + 0.01 * sigmoid(-error) - t * 0.001 * error for t in range(1, 51)], abs=1e-12)


def test_pi_does_not_overflow_far_from_its_set_point() -> None:
    assert drive(PI(target=2000.0, beta_max=3.0), [0.0]) == [1.0]
    assert drive(PI(target=1.0, ki=0.0), [5000.0]) == pytest.approx([1.01])


def collapse_then_recover(controller: Controller, collapsed: int, recovered: int) -> list[float]:
    return drive(controller.double(), [0.0] * collapsed + [25.0] * recovered)


def test_after_a_collapse_conditional_integration_recovers_and_the_released_program_is_stuck() -> None:
    conditional, code, paper = (
        PI(target=18.0, anti_windup=name)  # type: ignore[arg-type]
        for name in ("conditional", "code", "paper")
    )
    weights = collapse_then_recover(conditional, 50, 100)
    assert weights[:50] == pytest.approx([1.0] * 50)
    assert weights[50:] == pytest.approx([1 + 0.01 * sigmoid(7) + 0.007 * t for t in range(1, 101)])

    assert collapse_then_recover(code, 50, 2_000) == pytest.approx([1.0] * 2_050)
    assert float(code.integral) == pytest.approx(-0.018, abs=1e-12)

    # Plain integration has to unwind 50 x 0.018 first.
    weights = collapse_then_recover(paper, 50, 200)
    assert next(i for i, weight in enumerate(weights[50:], start=1) if weight > 1) == 128
    assert weights[-1] == pytest.approx(1 + 0.01 * sigmoid(7) - 0.9 + 200 * 0.007)


def test_an_output_outside_is_moved_back_however_it_came_there() -> None:
    controller = PI(target=18.0, beta_max=3.0).double()
    for integral, kl, sign in ((-1.0, 25.0, 1), (-1.0, 10.0, 0), (5.0, 10.0, -1), (5.0, 25.0, 0)):
        controller.integral.fill_(integral)
        drive(controller, [kl])
        assert float(controller.integral) == pytest.approx(integral + sign * 0.001 * abs(18 - kl))


def test_plain_integration_winds_up() -> None:
    paper = PI(target=18.0, anti_windup="paper").double()
    drive(paper, [17.5] * 20_000)
    assert float(paper.integral) == pytest.approx(-10, abs=1e-9)


def test_the_released_program_survives_a_set_point_that_rises() -> None:
    """at first its error is 0.5 at most, which takes the integral to -5e-4, above -kp."""
    code = PI(target=SetPoint(18.0, every=5000), anti_windup="code")
    drive(code, [0.0] * 50)
    assert drive(code, [25.0] * 100, step=50)[-1] > 3


def test_the_upper_limit_holds_and_does_not_wind_up() -> None:
    for name in ("conditional", "code", "paper"):
        limited = PI(target=10.0, ki=0.001, beta_min=0.0, beta_max=1.0, anti_windup=name).double()  # type: ignore[arg-type]
        weights = drive(limited, [30.0] * 500)
        assert max(weights) <= 1
        assert weights[-1] > 1 - 0.001 * 20, "an update that would go beyond is left out, so it ends one short at most"
        weights = drive(limited, [5.0] * 10)
        assert (weights[0] < 1) == (name == "conditional"), "it leaves at once, unless it was wound up"
        assert weights == sorted(weights, reverse=True)


def test_from_a_lowest_weight_of_zero_pi_starts_near_zero() -> None:
    """the run of the L-VAE paper, whose beta starts at 0."""
    assert drive(PI(target=18.0, beta_min=0.0), [0.0])[0] == pytest.approx(0.01 * sigmoid(-18), abs=1e-9)


def test_the_sum_of_several_terms_is_held_by_the_weight_of_one() -> None:
    parts = PI(target=16.0, term="tc", measures=("mi", "tc", "dim_kl")).double()
    values = {"mi": torch.tensor(9.0), "tc": torch.tensor(4.0), "dim_kl": torch.tensor([3.0, 6.0]), **clock()}
    weights = parts(values)
    assert list(weights) == ["tc"]
    assert parts.terms == ("tc",)
    assert torch.equal(weights["tc"], PI(target=16.0).double()(seen(22.0))["kl"])


def test_a_long_integral_in_single_precision_is_the_closed_form() -> None:
    """each update is 1.7 times the distance between float32 numbers of that size, so plain sums go up by 2 of them."""
    steps, start, error = 8_000, 64.0, 0.013
    pi, incremental = PI(target=8.0), IncrementalPI(target=8.0, ki=0.001, beta_0=start)
    pi.integral.fill_(start)
    for controller in (pi, incremental):
        drive(controller, [8.0 + error] * steps)
    assert float(pi.integral) - start == pytest.approx(steps * 0.001 * error, abs=1e-5)
    proportional = 0.01 * (sigmoid(error) - 0.5)
    assert float(incremental.output) - start == pytest.approx(steps * 0.001 * error + proportional, abs=1e-5)


# DynamicVAE.


def test_without_gains_incremental_pi_is_its_first_weight() -> None:
    assert drive(IncrementalPI(kp=0.0, ki=0.0, beta_0=4.0), (0.0, 16.0, 90.0)) == [4.0] * 3


def test_incremental_pi_at_its_set_point_stays() -> None:
    assert drive(IncrementalPI(target=18.0), [18.0] * 20) == [150.0] * 20


def test_incremental_pi_under_a_constant_error_is_the_closed_form() -> None:
    weights = drive(IncrementalPI(target=18.0, beta_0=50.0).double(), [10.0] * 30)
    assert weights[0] == pytest.approx(49.95500, abs=5e-6)
    assert weights == pytest.approx([50 + 0.01 * (sigmoid(-8) - 0.5) - t * 0.005 * 8 for t in range(1, 31)], abs=1e-9)


def test_incremental_pi_is_the_positional_law_summed() -> None:
    """ControlVAE's law with I = beta_0 - kp / 2 and no offset."""
    kls = (18 + 4 * torch.randn(40, generator=torch.Generator().manual_seed(1))).tolist()
    weights = drive(IncrementalPI(target=18.0, beta_0=50.0, window=3).double(), kls)
    errors = [18 - sum(kls[max(0, t - 3) : t]) / min(t, 3) for t in range(1, 41)]
    by_hand = [50 + 0.01 * (sigmoid(-e) - 0.5) - 0.005 * sum(errors[: t + 1]) for t, e in enumerate(errors)]
    assert weights == pytest.approx(by_hand, abs=1e-9)
    positional = PI(target=18.0, ki=0.005, beta_min=0.0).double()
    positional.integral.fill_(50 - 0.01 / 2)
    assert drive(positional, [18 - e for e in errors]) == pytest.approx(weights, abs=1e-9)


@pytest.mark.parametrize(
    ("zero_pad", "means"), [(False, [10, 15, 20, 30]), (True, [10 / 3, 10, 20, 30])], ids=["available", "zeros"]
)
def test_the_mean_is_over_the_batches_there_were_or_counts_zeros(zero_pad: bool, means: list[float]) -> None:
    controller = IncrementalPI(target=18.0, window=3, zero_pad=zero_pad).double()
    errors = []
    for kl in (10.0, 20.0, 30.0, 40.0):
        controller(seen(kl))
        errors.append(float(controller.error))
    assert errors == pytest.approx([18 - mean for mean in means])


def test_after_a_collapse_a_clipped_weight_recovers_and_the_released_program_is_stuck() -> None:
    # beta_0 is such that the last update before the lower limit undershoots it by more than kp.
    conditional, code = (
        IncrementalPI(target=18.0, beta_0=0.15, anti_windup=name)  # type: ignore[arg-type]
        for name in ("conditional", "code")
    )
    weights = collapse_then_recover(conditional, 50, 200)
    assert weights[49] == 0.1
    assert weights[-1] == pytest.approx(0.1 + 0.035 * 200, rel=0.05)
    assert collapse_then_recover(code, 50, 2_000)[10:] == [0.1] * 2_040
    assert float(code.output) < 0.1


# A simulated plant: the KL falls with its weight, with a lag, as that of a trained VAE does.


def plant(controller: Controller, steps: int, amplitude: float = 40.0, slope: float = 0.3) -> tuple[float, float]:
    """The KL and its weight after so many steps, averaged over the last tenth; the noise is a batch's."""
    generator = torch.Generator().manual_seed(4)
    noise = torch.randn(steps, generator=generator).tolist()
    kl, kls, weights = 0.0, [], []
    for step in range(1, steps + 1):
        weight = float(controller(seen(kl + 0.3 * noise[step - 1], step, steps))["kl"])
        kl += 0.02 * (amplitude / (1 + slope * weight) - kl)
        kls.append(kl)
        weights.append(weight)
    late = steps // 10
    return sum(kls[-late:]) / late, sum(weights[-late:]) / late


@pytest.mark.parametrize(
    "make",
    [
        lambda: PI(target=16.0, ki=0.01),
        lambda: PI(target=SetPoint(16.0), ki=0.01),
        lambda: PI(target=SetPoint(16.0, every=20), ki=0.01),
        lambda: IncrementalPI(target=16.0, beta_0=20.0),
        lambda: IncrementalPI(target=SetPoint(16.0, rise=1 / 6), beta_0=20.0),
    ],
    ids=["PI", "PI, scaled", "PI, staircase", "incremental", "incremental, ramps"],
)
def test_both_settle_a_plant_at_its_set_point(make: Callable[[], Controller]) -> None:
    """40 / (1 + 0.3 beta) is 16 at beta = 5."""
    kl, weight = plant(make(), 6_000)
    assert kl == pytest.approx(16, abs=0.1)
    assert weight == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("name", ["conditional", "code", "paper"])
def test_a_set_point_out_of_reach_leaves_the_weight_at_its_limit(name: Literal["conditional", "code", "paper"]) -> None:
    """at beta = 1 this plant has 10 / 1.3 nats."""
    assert plant(PI(target=16.0, anti_windup=name), 2_000, amplitude=10.0) == pytest.approx((10 / 1.3, 1.0), abs=1e-2)


# What a reader of the run is told.


def rows(
    weight: float, kl: float, set_point: float = 18.0, last: float | None = None, term: str = "kl"
) -> list[dict[str, float]]:
    """A log of fifty rows which has nothing worth saying but in its last fifth."""
    quiet = {"kl": 18.0, "weight.kl": 5.0, "weight.tc": 5.0, "set_point": 18.0, "error": 0.0, "tc": 0.0}
    late = {**quiet, f"weight.{term}": weight, "kl": kl, "set_point": set_point, "error": set_point - kl}
    return [quiet] * 40 + [late] * 9 + [{**late, "set_point": set_point if last is None else last}]


def test_there_is_nothing_to_say_of_a_controller_that_holds_its_set_point() -> None:
    for controller in (PI(target=18.0), IncrementalPI(target=18.0)):
        assert controller.remarks(rows(5.0, 18.2)) == []
        assert controller.remarks([]) == []


def test_a_weight_at_its_lower_limit_is_said_with_what_to_do() -> None:
    (said,) = PI(target=18.0).remarks(rows(1.0, 12.3))
    assert "weight of kl stayed at its lower limit 1 " in said
    assert "kl was 12.30 nats and its set point 18.00" in said
    assert said.endswith("take a target below 12.30 nats, or a smaller beta_min.")
    (said,) = IncrementalPI(target=18.0).remarks(rows(0.1, 12.3))
    assert "lower limit 0.1" in said


def test_a_weight_one_update_short_of_its_limit_is_at_it() -> None:
    controller = PI(target=18.0, ki=0.01).double()
    log = []
    for step, kl in enumerate([30.0] * 3 + [10.0] * 60, start=1):
        weight = controller(seen(kl, step))["kl"]
        log.append({"kl": kl, "weight.kl": float(weight), **{k: float(v) for k, v in controller.logs().items()}})
    assert log[-1]["weight.kl"] > 1.01
    (said,) = controller.remarks(log)
    assert "lower limit 1 " in said


def test_a_weight_at_its_upper_limit_is_said_with_what_to_do() -> None:
    (said,) = PI(target=18.0, beta_min=0.0, beta_max=1.0).remarks(rows(1.0, 30.0))
    assert "upper limit 1" in said
    assert said.endswith("take a target above 30.00 nats, or a larger beta_max.")


def test_a_weight_that_the_anti_windup_holds_at_its_limit_is_said() -> None:
    for controller in (PI(target=18.0, anti_windup="code"), IncrementalPI(target=18.0, anti_windup="code")):
        (said,) = controller.remarks(rows(controller.beta_min, 25.0))
        assert said.endswith('anti_windup="code" keeps it there: take "conditional".')


def test_a_weight_that_left_its_limit_is_not_at_it() -> None:
    log = rows(1.0, 18.0)
    log[-1] = {**log[-1], "weight.kl": 1.1}
    assert PI(target=18.0).remarks(log) == []


def test_a_term_that_is_not_settled_is_said_with_both_values() -> None:
    for controller in (PI(target=18.0), IncrementalPI(target=18.0)):
        (said,) = controller.remarks(rows(5.0, 19.0))
        assert said.startswith("kl was not settled at its set point")
        assert "19.00 nats, that of the set point 18.00" in said
    (said,) = PI(target=18.0, term="tc", measures=("kl", "tc")).remarks(rows(5.0, 19.0))
    assert said.startswith("kl + tc was not settled")


def test_a_set_point_that_was_still_rising_is_said() -> None:
    (said,) = PI(target=SetPoint(18.0, every=5000)).remarks(rows(5.0, 7.7, set_point=7.7, last=7.85))
    assert "still rising when the run ended, at 7.85 of 18 nats" in said


def test_a_simulated_run_says_of_itself_what_happened() -> None:
    stuck = PI(target=18.0, anti_windup="code")
    log = []
    for step, kl in enumerate([0.0] * 50 + [25.0] * 150, start=1):
        weight = stuck(seen(kl, step))["kl"]
        log.append({"kl": kl, "weight.kl": float(weight), **{k: float(v) for k, v in stuck.logs().items()}})
    (said,) = stuck.remarks(log)
    assert "keeps it there" in said


# Settings that cannot be used.


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: PI(ki=-0.001), "ki -0.001"),
        (lambda: IncrementalPI(kp=-1.0), "kp is -1"),
        (lambda: PI(beta_min=1.0, beta_max=1.0), "beta_max above beta_min"),
        (lambda: PI(anti_windup="condition"), "did you mean conditional"),
        (lambda: IncrementalPI(anti_windup="paper"), "choose one of conditional, code"),
        (lambda: IncrementalPI(beta_0=0.01), "beta_0 at beta_min or above"),
        (lambda: IncrementalPI(window=0), "1 or more"),
        (lambda: PI(target=-1.0), "an end and an increment above 0"),
        (lambda: SetPoint(18.0, increment=0.0), "an increment above 0"),
        (lambda: SetPoint(18.0, every=0), "every=0"),
        (lambda: SetPoint(18.0, rise=1.5), "rise=1.5"),
        (lambda: SetPoint(18.0, until=0.0), "until=0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


def test_a_set_point_is_a_table_in_strict_settings() -> None:
    """a free composition validates what the constructors are annotated with."""
    import typing

    from pydantic import ConfigDict, TypeAdapter, ValidationError, create_model

    hint = typing.get_type_hints(PI.__init__, include_extras=True)["target"]
    settings = create_model("Settings", __config__=ConfigDict(extra="forbid", strict=True), target=(hint, 16.0))
    adapter = TypeAdapter(settings)
    for given, expected in ((12, 12.0), ({"end": 18.0, "every": 5000}, SetPoint(18.0, every=5000))):
        assert adapter.validate_python({"target": given}).target == expected  # type: ignore[attr-defined]
    for wrong in (-1, "18", {"end": 18.0, "evry": 5000}, {"end": -1.0}):
        with pytest.raises(ValidationError):
            adapter.validate_python({"target": wrong})
