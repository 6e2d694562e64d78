"""Free composition: what a method is made of by name, and what is refused."""

import math
from typing import Any

import pytest
import torch
from tests.conftest import build, clock, forward, images, noise, toy
from tests.methods.conftest import B, loss_and_gradients, parts, same

from equipoise.balance import BALANCES
from equipoise.config import resolve
from equipoise.errors import InputError
from equipoise.methods import Method
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.compose import Compose
from equipoise.methods.control_vae import ControlVAE
from equipoise.methods.factor_vae import FactorVAE
from equipoise.methods.isa_vae import ISAVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.rf_vae import RFVAE

NESTED = {"name": "lp-nested", "layout": [2, 1]}
LITTLE = {"width": 8, "layers": 2}


def composed(**settings: Any) -> Method:
    return Compose(**settings)


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"balance": ({"name": "fixed", "weights": {"kl": 3.0}},)}, BetaVAE(beta=3.0)),
        ({"balance": ({"name": "learned", "terms": ["rec", "kl"]},), "likelihood": "mse"}, LVAE(law="published")),
        ({"balance": ({"name": "pi", "target": 18.0},)}, ControlVAE(law="published", ramp=False)),
        ({"terms": ("kl_mc",), "prior": NESTED}, ISAVAE(layout=(2, 1))),
        (
            {
                "terms": ("kl", "adversarial_tc"),
                "balance": ({"name": "fixed", "weights": {"tc": 10.0}},),
                "adversary": LITTLE,
            },
            FactorVAE(**LITTLE),
        ),
        (
            {
                "terms": ("kl", "adversarial_tc"),
                "balance": ("relevance", {"name": "fixed", "weights": {"tc": 6.4}}),
                "adversary": LITTLE,
            },
            RFVAE(**LITTLE),
        ),
    ],
    ids=["beta-vae", "l-vae", "control-vae", "isa-vae", "factor-vae", "rf-vae"],
)
def test_a_published_method_composed_by_name_is_that_method(settings: dict[str, Any], method: Method) -> None:
    ours, theirs = (loss_and_gradients(m, images(B), noise(B)) for m in (composed(**settings), method))
    assert torch.allclose(ours[0], theirs[0])
    by_end = {name.rpartition(".")[2] if "." in name else name: g for name, g in ours[1].items()}
    assert len(ours[1]) == len(theirs[1])
    shared = [name for name in theirs[1] if name in ours[1]]
    assert same(ours[1], {name: theirs[1][name] for name in shared})
    assert by_end


def test_a_controller_holds_the_sum_of_the_beta_tc_terms_by_the_weight_of_one_under_the_nested_prior() -> None:
    method = composed(
        terms=("mi", "tc", "dim_kl"),
        prior=NESTED,
        balance=({"name": "pi", "target": 0.1, "term": "tc", "measures": ["mi", "tc", "dim_kl"], "ki": 0.5},),
    )
    objective = build(method)
    p = forward(toy(objective), images(B), noise(B))
    total = float(objective.monitors["kl"](p).sum(1).mean().detach())
    _, first = objective(p, clock(1))
    error = 0.1 - total
    assert error < 0
    assert float(first["weight.tc"]) == pytest.approx(1 + 0.01 / (1 + math.exp(error)) - 0.5 * error)
    assert float(first["kl"]) == pytest.approx(total)


def test_learned_weights_stand_beside_a_fixed_adversarial_total_correlation() -> None:
    balances = ({"name": "learned", "terms": ["rec", "kl"]}, {"name": "fixed", "weights": {"tc": 5.0}})
    method = composed(terms=("kl", "adversarial_tc"), balance=balances, likelihood="mse", adversary=LITTLE)
    objective = build(method)
    p = forward(toy(objective), images(B), noise(B))
    rec, kl = parts(method)
    ratio = objective.adversary.log_ratio(p.z).mean().detach()  # type: ignore[union-attr, operator]
    assert torch.allclose(objective(p, clock())[0].detach(), rec + kl + 2 + 5 * ratio)


def test_accuracy_feedback_works_under_the_nested_prior() -> None:
    method = composed(terms=("kl_mc", "adversarial_tc"), balance=("accuracy",), prior=NESTED, adversary=LITTLE)
    objective = build(method)
    _, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
    assert float(logs["weight.tc"]) == pytest.approx(6.4)
    assert logs["kl_dims"].shape == (2,)


LEARNED = {"name": "learned", "terms": ["rec", "kl"]}
SPREAD = {"name": "schedule", "start": 1.0, "end": 0.5, "unit": "spread"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"terms": ("kl_mc",), "balance": (LEARNED,)}, "learned weights on kl: it can become negative"),
        ({"terms": ("kl",), "prior": NESTED, "balance": (LEARNED,)}, "learned weights on kl: it can become negative"),
        ({"likelihood": "gaussian", "balance": (LEARNED,)}, "learned weights on rec"),
        (
            {"likelihood": "calibrated", "balance": ({"name": "closed-form", "terms": ["rec"]},)},
            "learned weights on rec",
        ),
        ({"terms": ("kl", "tc"), "balance": ({"name": "learned", "terms": ["tc"]},)}, "learned weights on tc"),
        (
            {"terms": ("kl", "adversarial_tc"), "balance": ({"name": "learned", "terms": ["tc"]},)},
            "learned weights on tc",
        ),
        ({"terms": ("kl", "kl_mc")}, "kl twice"),
        ({"terms": ("kl", "tc", "adversarial_tc")}, "tc twice"),
        ({"terms": ("rec", "kl")}, "always there"),
        ({"terms": ("tk",)}, "did you mean tc"),
        ({"balance": ("fixt",)}, "did you mean fixed"),
        ({"balance": ({"name": "fixed"},)}, "balance fixed needs its option weights"),
        ({"balance": ({"name": "pi", "targt": 16},)}, "did you mean target"),
        ({"balance": ({"name": "pi", "target": -1},)}, "target of balance pi is -1"),
        ({"balance": ({"target": 16},)}, "has no name"),
        ({"balance": ({"name": "fixed", "weights": {"tc": 2.0}},)}, "tc, which is not among the terms, rec, kl"),
        ({"balance": ({"name": "pi", "measures": ["mi"]},)}, "measures mi, which is not among the terms, rec, kl"),
        ({"balance": ({"name": "pi", "unit": "sprea"},)}, "rec, kl, or the monitors, spread, rec_min, sse"),
        (
            {"balance": ({"name": "pi", "unit": "spread", "measures": ["spread"]},)},
            "measures is spread, which is the unit; name the terms whose sum is held at the target",
        ),
        (
            {"terms": ("kl", "tc"), "balance": tuple({**SPREAD, "term": term} for term in ("kl", "tc"))},
            "two balances cannot both have a unit or a reference; leave it out of one",
        ),
        *(
            ({"balance": ({"name": "relevance", "relevant": relevant},)}, "expected 1 or 0 for each of 3 latents")
            for relevant in ([1, 0], [5] * 3)
        ),
        ({"balance": ({"name": "learned", "terms": []},)}, "terms of learned is empty"),
        (
            {"terms": ("kl", "tc"), "balance": ("pi", {"name": "pi", "term": "tc"})},
            "two balances log error, integral, set_point",
        ),
        ({"balance": ("capacity", {"name": "fixed", "weights": {"kl": 2.0}})}, "two balances weight kl"),
        ({"balance": ("accuracy",), "terms": ("kl", "tc")}, "follows a discriminator, and there is none"),
        ({"balance": ("relevance",), "prior": NESTED}, "one for each subspace"),
        ({"adversary": {"width": 8}}, "no term needs it"),
        ({"prior": {"name": "lp-nested", "layout": [4]}}, "net.latent is 3"),
        ({"prior": "lp-nested"}, "prior lp-nested needs its option layout"),
        ({"prior": {"name": "lp-nested", "layout": [2, 1], "p": 0.5}}, "expected"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(settings: dict[str, Any], reason: str) -> None:
    said = {f"method.{key}": value for key, value in settings.items()}
    with pytest.raises(InputError) as refused:
        resolve({"data": "dsprites", "method": "compose", "net.latent": 3, **said})
    assert reason in str(refused.value)


def test_every_balance_can_be_named() -> None:
    options: dict[str, dict[str, Any]] = {
        "fixed": {"weights": {"kl": 2.0}},
        "warm-up": {"beta": 4.0},
        "schedule": {"start": 8.0, "end": 0.5},
        "descent": {"start": 8.0, "end": 0.5},
        "learned": {"terms": ["rec", "kl"]},
        "closed-form": {"terms": ["rec", "kl"]},
    }
    for name in BALANCES:
        terms = ("kl", "adversarial_tc") if BALANCES[name].needs_adversary else ("kl",)
        terms = ("kl", "edges") if name == "two-groups" else terms
        balance = {"name": name, **options.get(name, {})}
        method = composed(
            terms=terms, balance=(balance,), likelihood="mse", adversary=LITTLE if "adversarial_tc" in terms else {}
        )
        objective = build(method)
        assert objective(forward(toy(objective), images(B), noise(B)), clock())[0].isfinite()


def test_the_layout_of_the_prior_fixes_the_latents() -> None:
    said = {"data": "dsprites", "method": "compose", "method.prior": {"name": "lp-nested", "layout": [4, [2, 3]]}}
    assert resolve(said | {"method.terms": ["kl_mc"]}).net.latent == 9
