"""Every method through one battery."""

import copy
import tomllib

import pytest
import torch
from tests.conftest import SMALL, build, clock, forward, images, noise, small, toy
from tests.methods.conftest import B, loss_and_gradients, same

from equipoise.config import resolve
from equipoise.methods import METHODS, Method

# Their terms are defined on a batch: the mixture of a batch is another when each image is in it twice.
ON_THE_BATCH = ("beta-tcvae", "isa-tcvae")


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return small(request.param)


def test_the_loss_is_finite_and_every_parameter_gets_a_gradient_but_the_adversarys(method: Method) -> None:
    objective = build(method)
    model = toy(objective)
    loss, _ = objective(forward(model, images(B), noise(B)), clock(3))
    assert loss.isfinite()
    loss.backward()
    for group in objective.parameter_groups(model):
        for parameter in group["params"]:
            if group["optimiser"] == "model":
                assert parameter.grad is not None
                assert parameter.grad.isfinite().all()
            else:
                assert parameter.grad is None


def test_every_parameter_is_in_exactly_one_group(method: Method) -> None:
    objective = build(method)
    model = toy(objective)
    grouped = [p for group in objective.parameter_groups(model) for p in group["params"]]
    everything = {*model.parameters(), *objective.parameters()}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == everything


def test_only_the_networks_are_clipped(method: Method) -> None:
    objective = build(method)
    model = toy(objective)
    clipped = {p for group in objective.parameter_groups(model) if group["clip"] for p in group["params"]}
    of_edges = () if objective.edges is None else objective.edges.parameters()
    assert clipped == {*model.encoder.parameters(), *model.decoder.parameters(), *of_edges}


@pytest.mark.parametrize("name", ["isa-vae", "isa-tcvae"])
def test_learned_exponents_have_a_learning_rate_of_their_own_and_are_not_clipped(name: str) -> None:
    objective = build(METHODS[name](**SMALL[name], learned=True, prior_lr=2e-3))
    (group,) = (group for group in objective.parameter_groups(toy(objective)) if "lr" in group)
    assert group["params"] == list(objective.prior.parameters())
    assert group["lr"] == 2e-3
    assert not group["clip"]


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ON_THE_BATCH])
def test_duplicating_the_batch_changes_neither_loss_nor_gradients(name: str) -> None:
    """sums over pixels and dimensions, means over the batch."""
    x, eps = images(B), noise(B)
    once, gradients = loss_and_gradients(small(name), x, eps)
    twice, others = loss_and_gradients(small(name), x.repeat(2, 1, 1, 1), eps.repeat(2, 1))
    assert torch.allclose(once, twice)
    assert same(gradients, others)


def test_the_order_of_the_batch_does_not_matter(method: Method) -> None:
    """Of a method that learns from pairs, the order of the pairs."""
    unit = 1 if build(method).pairing is None else 2
    order = torch.randperm(B // unit, generator=torch.Generator().manual_seed(3))
    order = torch.arange(B).view(-1, unit)[order].flatten()
    x, eps = images(B), noise(B)
    assert torch.allclose(loss_and_gradients(method, x, eps)[0], loss_and_gradients(method, x[order], eps[order])[0])


def test_what_is_logged_is_detached_and_finite(method: Method) -> None:
    objective = build(method)
    _, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
    assert {"loss", "rec", "kl"} <= set(logs)
    for name, value in logs.items():
        assert not value.requires_grad, name
        assert value.isfinite().all(), name
        assert value.ndim <= 1, name
    if "kl_dims" in logs:
        assert torch.allclose(logs["kl"], logs["kl_dims"].sum())


def test_weighted_terms_and_penalty_add_up_to_the_loss(method: Method) -> None:
    objective = build(method).eval()
    p = forward(toy(objective), images(B), noise(B))
    loss, _ = objective(p, clock())
    means = {name: term(p) for name, term in objective.terms.items()}
    means = {name: value.mean(0) if value.ndim else value for name, value in means.items()}
    monitors = {name: monitor(p).mean() for name, monitor in objective.monitors.items()}
    seen = {**clock(), **monitors, **means, "accuracy": torch.tensor(0.5)}
    weights = objective.balance(seen)
    assert set(weights) == set(objective.balance.terms)
    total = sum((weights.get(name, torch.ones(())) * mean).sum() for name, mean in means.items())
    assert torch.allclose(total + objective.balance.penalty(seen), loss)


def test_state_round_trip_gives_the_same_loss_and_codes(method: Method) -> None:
    objective = build(method)
    model = toy(objective)
    objective(forward(model, images(B), noise(B)), clock(2))
    other = build(method, seed=5)
    copied = toy(other, seed=9)
    copied.load_state_dict(copy.deepcopy(model.state_dict()))
    other.load_state_dict(copy.deepcopy(objective.state_dict()))
    x, eps = images(B), noise(B)
    assert torch.equal(objective(forward(model, x, eps), clock(3))[0], other(forward(copied, x, eps), clock(3))[0])
    assert torch.equal(model.posterior(x)[0], copied.posterior(x)[0])


def test_evaluation_moves_nothing(method: Method) -> None:
    objective = build(method).eval()
    model = toy(objective)
    before = copy.deepcopy(objective.state_dict())
    p = forward(model, images(B), noise(B))
    first = objective(p, clock(2))[0]
    assert torch.equal(objective(p, clock(7))[0], first)
    assert all(torch.equal(before[name], value) for name, value in objective.state_dict().items())


def test_presets_are_settings_that_exist_and_all_settings_go_round_through_toml(method: Method) -> None:
    for preset in (None, *method.presets):
        chosen = {} if preset is None else {"method.preset": preset}
        config = resolve({"data": "dsprites", "method": method.name, **chosen})
        for key, value in (method.presets[preset].settings if preset else {}).items():
            assert config.flat()[key] == (list(value) if isinstance(value, tuple) else value)
        sections = tomllib.loads(config.to_toml())
        flat = {
            f"{section}.{key}" if isinstance(values, dict) else section: value
            for section, values in sections.items()
            for key, value in (values.items() if isinstance(values, dict) else [(section, values)])
        }
        assert resolve(flat, complete=True).flat() == config.flat()


def test_settings_that_make_a_method_small_are_of_methods_that_exist() -> None:
    assert set(SMALL) <= set(METHODS)
