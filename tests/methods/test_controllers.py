"""ControlVAE and DynamicVAE against their formulas, written out by hand on a fixed batch, and their presets."""

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from tests.conftest import SHAPE, clock, forward, images, noise, toy
from torch import Tensor

from equipoise.balance import PI, IncrementalPI
from equipoise.errors import InputError
from equipoise.methods.control_vae import ControlVAE
from equipoise.methods.dynamic_vae import DynamicVAE
from equipoise.methods.method import Method

B = 12
METHODS: dict[str, type[Method]] = {"control-vae": ControlVAE, "dynamic-vae": DynamicVAE}


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def parts(method: Method) -> tuple[Tensor, float]:
    """R and K of the toy model on the fixed batch, from their formulas, for `mse`."""
    p = forward(toy(method.build(SHAPE).double()), images(B), noise(B))
    kl = 0.5 * (p.mean**2 + p.logvar.exp() - p.logvar - 1).sum() / B
    return (torch.sigmoid(p.out) - p.x).square().sum().detach() / B, float(kl.detach())


def losses(method: Method, steps: int, repeat: int = 1) -> tuple[list[float], dict[str, Tensor]]:
    """The losses of so many steps on one batch, without an optimiser, and the last gradient of each parameter."""
    objective = method.build(SHAPE).double()
    model = toy(objective)
    x, eps = images(B).repeat(repeat, 1, 1, 1), noise(B).repeat(repeat, 1)
    values = []
    for step in range(1, steps + 1):
        model.zero_grad()
        loss, _ = objective(forward(model, x, eps), clock(step))
        loss.backward()
        values.append(float(loss.detach()))
    return values, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def preset(kind: type[Method], name: str) -> Method:
    """The method as a preset of it makes it."""
    settings: dict[str, Any] = {
        key.removeprefix("method."): value
        for key, value in kind.presets[name].settings.items()
        if key.startswith("method.")
    }
    return kind(**settings)


@pytest.fixture(params=METHODS)
def kind(request: pytest.FixtureRequest) -> type[Method]:
    return METHODS[request.param]


def test_control_vae_is_reconstruction_plus_the_controlled_kl() -> None:
    method = ControlVAE(law="published", target=0.02, ramp=False, likelihood="mse")
    rec, kl = parts(method)
    error = 0.02 - kl
    assert error < 0, "the KL is above the set point, so that beta rises"
    expected = [float(rec) + (1 + 0.01 * sigmoid(-error) - t * 0.001 * error) * kl for t in (1, 2, 3)]
    assert losses(method, 3)[0] == pytest.approx(expected, abs=1e-9)


def test_dynamic_vae_is_reconstruction_plus_the_controlled_kl() -> None:
    method = DynamicVAE(law="published", target=30.0, ramp=False, likelihood="mse")
    rec, kl = parts(method)
    error = 30.0 - kl
    expected = [float(rec) + (150 + 0.01 * (sigmoid(-error) - 0.5) - t * 0.005 * error) * kl for t in (1, 2, 3)]
    assert losses(method, 3)[0] == pytest.approx(expected, abs=1e-9)


def test_the_gradient_is_that_of_the_fixed_weight_of_the_moment(kind: type[Method]) -> None:
    """the controller itself is not differentiated."""
    method = kind(likelihood="mse")  # type: ignore[call-arg]
    objective = method.build(SHAPE).double()
    model, other = toy(objective), toy(objective)
    p, q = forward(model, images(B), noise(B)), forward(other, images(B), noise(B))
    loss, logs = objective(p, clock())
    loss.backward()
    rec = objective.likelihood(q.out, q.x).mean()
    kl = objective.prior.kl(q.mean, q.logvar, q.z).mean(0).sum()
    (rec + float(logs["weight.kl"]) * kl).backward()
    for ours, theirs in zip(model.encoder.parameters(), other.encoder.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-12)


def test_duplicating_the_batch_changes_neither_losses_nor_gradients(kind: type[Method]) -> None:
    once, gradients = losses(kind(), 3)
    twice, others = losses(kind(), 3, repeat=2)
    assert once == pytest.approx(twice, abs=1e-9)
    assert all(torch.allclose(gradients[name], others[name], atol=1e-9) for name in gradients)


def test_a_state_from_the_middle_of_a_run_goes_on_identically(kind: type[Method]) -> None:
    first, second = (kind().build(SHAPE).double() for _ in range(2))
    model = toy(first)
    p = forward(model, images(B), noise(B))
    for step in range(1, 8):
        first(p, clock(step))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for step in range(8, 12):
        assert torch.equal(first(p, clock(step))[0], second(p, clock(step))[0])


def test_without_gains_both_are_beta_vae() -> None:
    for method, beta in (
        (ControlVAE(law="published", kp=0.0, ki=0.0, beta_min=3.0, likelihood="mse"), 3.0),
        (DynamicVAE(law="published", kp=0.0, ki=0.0, beta_0=3.0, likelihood="mse"), 3.0),
    ):
        rec, kl = parts(method)
        assert losses(method, 3)[0] == pytest.approx([float(rec) + beta * kl] * 3, abs=1e-9)


def test_what_is_logged_names_the_set_point_and_its_error(kind: type[Method]) -> None:
    objective = kind().build(SHAPE).double()
    _, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
    assert float(logs["error"]) == pytest.approx(float(logs["set_point"] - logs["kl"]))
    assert not any(value.requires_grad for value in logs.values())


def test_by_default_the_set_point_follows_the_schedule_and_in_steps_or_fixed_it_does_not(kind: type[Method]) -> None:
    assert kind().build(SHAPE).balance.is_scheduled
    for fixed in (kind(law="published", every=100), kind(law="published", ramp=False)):  # type: ignore[call-arg]
        assert not fixed.build(SHAPE).balance.is_scheduled
    assert kind(ramp=False).build(SHAPE).balance.is_scheduled, "its gains are those of a schedule"  # type: ignore[call-arg]


def test_presets_name_settings_that_exist(kind: type[Method]) -> None:
    from equipoise.nets import NETS
    from equipoise.sections import Net, Train

    fields = {"method": kind, "net": Net, "train": Train}
    for source in kind.presets.values():
        for key in (*source.settings, *kind.defaults):
            section, _, field = key.partition(".")
            assert field in {f.name for f in dataclasses.fields(fields[section])}, key
        assert source.settings.get("net.name", "higgins_h") in NETS
    for name in kind.presets:
        assert preset(kind, name).build(SHAPE).balance.terms == ("kl",)


@pytest.mark.parametrize(
    ("kind", "name", "step", "expected"),
    [
        (ControlVAE, "authors", 300_000, 9.5),
        (ControlVAE, "code", 585_000, 18.0),
        (ControlVAE, "images", 1, 170.0),
        (ControlVAE, "paper_lvae", 1, 18.0),
        (DynamicVAE, "authors", 300_000, 7.85015),
        (DynamicVAE, "released", 780_999, 20.0),
        (DynamicVAE, "paper_lvae", 1, 18.0),
    ],
)
def test_presets_have_the_published_set_points(kind: type[Method], name: str, step: int, expected: float) -> None:
    balance = preset(kind, name).build(SHAPE).balance
    assert isinstance(balance, PI | IncrementalPI)
    assert float(balance.target.at(clock(step))) == pytest.approx(expected, abs=1e-6)


def test_paper_lvae_starts_control_vae_at_zero_and_dynamic_vae_at_150() -> None:
    for kind, beta in ((ControlVAE, 0.0), (DynamicVAE, 150.0)):
        balance = preset(kind, "paper_lvae").build(SHAPE).balance
        weight = balance({"kl": torch.tensor(18.0 - 1e-3), **clock()})["kl"]
        assert float(weight) == pytest.approx(beta, abs=0.01)


def test_limits_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(InputError, match="beta_max above beta_min"):
        ControlVAE(law="published", beta_max=0.5).build(SHAPE)
    with pytest.raises(InputError, match="beta_0 at beta_min or above"):
        DynamicVAE(law="published", beta_0=1.0, beta_min=2.0).build(SHAPE)
