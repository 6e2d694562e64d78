"""The weights of latents that are learned in two groups, against values by hand."""

import pytest
import torch

from equipoise.balance import Joint, TwoGroups, WarmUp
from equipoise.balance.contract import Seen
from equipoise.errors import InputError


def seen(progress: float, latent: int = 5, kl: float = 0.0) -> Seen:
    progress_ = torch.tensor(progress, dtype=torch.float64)
    kl_ = torch.full((latent,), kl)
    return {"step": torch.tensor(1), "progress": progress_, "kl": kl_, "spread": torch.tensor(10.0)}


def test_each_group_has_a_weight_of_its_own_until_both_are_learned_together() -> None:
    opening = {"opening": 9.0, "opening_until": 0.02, "opening_weight": 0.03}
    groups = TwoGroups(5, start=0.2, end=0.002, hold=0.08, until=0.5, apart=0.3, **opening)
    first, second, edges = [], [], []
    for progress in (0.01, 0.02, 0.15, 0.299, 0.3, 0.5, 1.0):
        weights = groups(seen(progress))
        assert len(set(weights["kl"][:2].tolist())) == len(set(weights["kl"][2:].tolist())) == 1
        first.append(float(weights["kl"][0]))
        second.append(float(weights["kl"][-1]))
        edges.append(float(weights["edges"]))
    # From 0.2 at 10 % to 0.002 at 50 %: at 30 %, half of the way, 0.02; at 15 %, an eighth of it.
    assert second == pytest.approx([0.03, 0.2, 0.2 * 0.01**0.125, 0.0202, 0.02, 0.002, 0.002], rel=3e-3)
    # From 0.1 to 0.03 within 15 %.
    assert first[:4] == pytest.approx([0.1 * 0.3 ** (1 / 15), 0.1 * 0.3 ** (2 / 15), 0.03, 0.03], rel=1e-4)
    assert first[4:] == second[4:]
    assert edges == pytest.approx([1, 1, 1, 1, 0.02 / 0.03, 0.002 / 0.03, 0.002 / 0.03], rel=1e-4)


def test_the_opening_ends_when_the_second_half_encodes_enough_nats() -> None:
    groups = TwoGroups(4, start=0.2, end=0.002, hold=0.1, until=0.5, opening=1.5, opening_weight=0.03)
    weights = [float(groups(seen(0.001 * step, 4, kl=1.0))["kl"][-1]) for step in range(1, 60)]
    # The mean of 2 nats is 2 (1 - 0.95^n) after n steps, and 1.5 or more from n = 28 on.
    assert weights == pytest.approx([0.03] * 27 + [0.2] * 32)
    # Then it stays for a tenth of the schedule and falls to a hundredth of it at a half.
    middle = (0.028 + 0.1 + 0.5) / 2
    assert float(groups(seen(0.128, 4))["kl"][-1]) == pytest.approx(0.2)
    assert float(groups(seen(middle, 4))["kl"][-1]) == pytest.approx(0.02, rel=1e-4)
    first_half_only = TwoGroups(4, opening=1.5, opening_weight=0.03)
    given = seen(0.001, 4) | {"kl": torch.tensor([9.0, 9.0, 0.0, 0.0])}
    assert all(float(first_half_only(given)["kl"][-1]) == pytest.approx(0.03) for _ in range(60))


def test_in_evaluation_the_weights_are_the_last_ones() -> None:
    weights = TwoGroups(4, end=0.003, edges_end=0.03).eval()(seen(0.01, 4))
    assert weights["kl"].tolist() == pytest.approx([0.003] * 4)
    assert float(weights["edges"]) == pytest.approx(0.1)


def test_the_unit_scales_the_weights_of_the_kl_and_not_that_of_the_edges() -> None:
    plain, scaled = TwoGroups(4), TwoGroups(4, unit="spread")
    assert torch.allclose(scaled(seen(0.1, 4))["kl"], 10 * plain(seen(0.1, 4))["kl"])
    assert scaled(seen(0.6, 4))["edges"] == plain(seen(0.6, 4))["edges"]


def test_several_balances_are_apart_as_long_as_one_is() -> None:
    assert Joint(TwoGroups(4, apart=0.4)).apart == 0.4
    assert Joint(WarmUp(4.0)).apart == 0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"latent": 1}, "two latents or more"),
        ({"latent": 4, "end": 0.5}, "the weight rises from 0.18 to 0.5; end has"),
        ({"latent": 4, "edges_end": 0.5}, "the weight rises from 0.1 to 0.5; edges_end has"),
        (
            {"latent": 4, "hold": 0.55},
            "hold of two-groups are 0.1 and 0.55; their sum has to be below",
        ),
    ],
)
def test_settings_that_conflict_are_refused(wrong: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        TwoGroups(**wrong)  # type: ignore[arg-type]
