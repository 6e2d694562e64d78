"""Controllers of a weight: closed forms, limits, and what they do to a simulated plant."""

import copy
import math
from collections.abc import Callable, Iterable
from typing import Literal

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


def test_the_next_increment_is_added_to_the_clipped_weight() -> None:
    """0.11 - 0.05 is clipped to 0.1, and 0.02 is added to that; the program adds it to 0.06."""
    for name, expected in (("conditional", 0.12), ("code", 0.1)):
        controller = IncrementalPI(
            target=10.0,
            kp=0.0,
            ki=0.01,
            beta_0=0.11,
            beta_min=0.1,
            window=1,
            anti_windup=name,  # type: ignore[arg-type]
        )
        assert drive(controller, [5.0, 12.0]) == pytest.approx([0.1, expected], abs=1e-6)


@pytest.mark.parametrize("name", ["conditional", "code", "paper"])
def test_a_set_point_out_of_reach_leaves_the_weight_at_its_limit(name: Literal["conditional", "code", "paper"]) -> None:
    """at beta = 1 this plant has 10 / 1.3 nats."""
    assert plant(PI(target=16.0, anti_windup=name), 2_000, amplitude=10.0) == pytest.approx((10 / 1.3, 1.0), abs=1e-2)


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
    ],
)
def test_settings_that_cannot_be_used_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
