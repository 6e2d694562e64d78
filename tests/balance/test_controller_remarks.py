"""What a reader of a run is told of its controller."""

import torch
from tests.conftest import clock

from equipoise.balance import PI, Balance, IncrementalPI, SetPoint


def run(controller: Balance, kls: list[float]) -> list[dict[str, float]]:
    """The log, a row a step, of a run in which the KL had these values."""
    rows = []
    for step, kl in enumerate(kls, start=1):
        weight = controller({"kl": torch.tensor(kl), **clock(step)})["kl"]
        rows.append({"kl": kl, "weight.kl": float(weight), **{k: float(v) for k, v in controller.logs().items()}})
    return rows


def rows(
    weight: float, kl: float, set_point: float = 18.0, last: float | None = None, term: str = "kl"
) -> list[dict[str, float]]:
    """A log of fifty rows which has nothing worth saying but in its last fifth."""
    quiet = {"kl": 18.0, "weight.kl": 5.0, "weight.tc": 5.0, "set_point": 18.0, "error": 0.0, "tc": 0.0}
    late = {**quiet, f"weight.{term}": weight, "kl": kl, "set_point": set_point, "error": set_point - kl}
    return [quiet] * 40 + [late] * 9 + [{**late, "set_point": set_point if last is None else last}]


def remarked(controller: Balance, log: list[dict[str, float]]) -> tuple[str, str | None]:
    """The one remark on a log: its sentence and its flag."""
    ((sentence, flag),) = controller.remarks(log)
    return sentence, flag


def test_there_is_nothing_to_say_of_a_controller_that_holds_its_set_point() -> None:
    for controller in (PI(target=18.0), IncrementalPI(target=18.0)):
        assert controller.remarks(rows(5.0, 18.2)) == []


def test_a_weight_at_its_lower_limit_is_said_with_what_to_do() -> None:
    said, flag = remarked(PI(target=18.0), rows(1.0, 12.3))
    assert "weight of kl stayed at its lower limit 1 " in said
    assert "kl was 12.30 nats and its set point 18.00" in said
    assert said.endswith("out of reach: train longer, or take a target below 12.30 nats, or a smaller beta_min.")
    assert flag == "saturated"
    said, flag = remarked(IncrementalPI(target=18.0), rows(0.1, 12.3))
    assert "lower limit 0.1" in said
    assert flag == "saturated"


def test_a_weight_one_update_short_of_its_limit_is_at_it() -> None:
    controller = PI(target=18.0, ki=0.01).double()
    log = run(controller, [30.0] * 3 + [10.0] * 60)
    assert log[-1]["weight.kl"] > 1.01
    said, flag = remarked(controller, log)
    assert "lower limit 1 " in said
    assert flag == "saturated"


def test_a_weight_at_its_upper_limit_is_said_with_what_to_do() -> None:
    said, flag = remarked(PI(target=18.0, beta_min=0.0, beta_max=1.0), rows(1.0, 30.0))
    assert "upper limit 1" in said
    assert said.endswith("out of reach: take a target above 30.00 nats, or a larger beta_max.")
    assert flag == "saturated"


def test_the_option_that_sets_the_upper_limit_is_that_of_the_controller() -> None:
    controller = IncrementalPI(target=18.0, beta_0=0.15, beta_min=1e-3, unit="spread")
    said, flag = remarked(controller, [row | {"unit_mean": 100.0} for row in rows(15.0, 30.0)])
    assert "upper limit 0.15 times the spread" in said
    assert said.endswith("out of reach: take a target above 30.00 nats, or a larger beta_0.")
    assert flag == "saturated"


def test_a_weight_that_the_anti_windup_holds_at_its_limit_is_said() -> None:
    for controller in (PI(target=18.0, anti_windup="code"), IncrementalPI(target=18.0, anti_windup="code")):
        said, flag = remarked(controller, rows(controller.beta_min, 25.0))
        assert said.endswith('anti_windup="code" keeps it there: take "conditional".')
        assert flag == "saturated"


def test_a_weight_that_left_its_limit_is_not_at_it() -> None:
    log = rows(1.0, 18.0)
    log[-1] = {**log[-1], "weight.kl": 1.1}
    assert PI(target=18.0).remarks(log) == []


def test_a_term_that_is_not_settled_is_said_with_both_values() -> None:
    for controller in (PI(target=18.0), IncrementalPI(target=18.0)):
        said, flag = remarked(controller, rows(5.0, 19.0))
        assert said.startswith("kl was not settled at its set point")
        assert "19.00 nats, that of the set point 18.00" in said
        assert flag == "not settled"
    said, flag = remarked(PI(target=18.0, term="tc", measures=("kl", "tc")), rows(5.0, 19.0))
    assert said.startswith("kl + tc was not settled")
    assert flag == "not settled"


def test_a_set_point_that_was_still_rising_is_said() -> None:
    said, flag = remarked(PI(target=SetPoint(18.0, every=5000)), rows(5.0, 7.7, set_point=7.7, last=7.85))
    assert "still rising when the run ended, at 7.85 of 18 nats" in said
    assert flag == "not settled"


def test_a_simulated_run_says_of_itself_what_happened() -> None:
    stuck = PI(target=18.0, anti_windup="code")
    said, flag = remarked(stuck, run(stuck, [0.0] * 50 + [25.0] * 150))
    assert "keeps it there" in said
    assert flag == "saturated"
