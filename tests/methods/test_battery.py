"""Every method through one battery; then each against its formula, written out by hand."""

import copy
from typing import Any

import pytest
import torch
from tests.conftest import SHAPE, clock, forward, images, noise, toy
from torch import Tensor

from equipoise.methods import METHODS
from equipoise.methods.annealed_vae import AnnealedVAE
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.method import Method
from equipoise.methods.vae import VAE

B = 12


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    return METHODS[request.param]()


def loss_and_gradients(method: Method, x: Tensor, eps: Tensor, step: int = 3) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and the gradient of each parameter of the networks and the objective."""
    objective = method.build(SHAPE).double()
    model = toy(objective)
    loss, _ = objective(forward(model, x, eps), clock(step))
    loss.backward()
    networks = {**dict(model.encoder.named_parameters("e")), **dict(model.decoder.named_parameters("d"))}
    return loss.detach(), {name: p.grad for name, p in {**networks, **dict(objective.named_parameters())}.items()}


def parts(method: Method) -> tuple[Tensor, Tensor]:
    """R and K of the toy model on the fixed batch, from their formulas."""
    model = toy(method.build(SHAPE).double())
    p = forward(model, images(B), noise(B))
    kl = 0.5 * (p.mean**2 + p.logvar.exp() - p.logvar - 1).sum() / B
    return (torch.sigmoid(p.out) - p.x).square().sum().detach() / B, kl.detach()


def same(left: dict[str, Tensor], right: dict[str, Tensor], factor: float = 1.0) -> bool:
    return all(torch.allclose(left[name], factor * right[name], atol=1e-9) for name in right)


def test_the_loss_is_finite_and_every_parameter_gets_a_gradient(method: Method) -> None:
    loss, gradients = loss_and_gradients(method, images(B), noise(B))
    assert loss.isfinite()
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert gradient.isfinite().all(), name


def test_every_parameter_is_in_exactly_one_group(method: Method) -> None:
    objective = method.build(SHAPE)
    model = toy(objective)
    grouped = [p for group in objective.parameter_groups(model) for p in group["params"]]
    everything = {*model.parameters(), *objective.parameters()}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == everything


def test_only_the_networks_are_clipped(method: Method) -> None:
    objective = method.build(SHAPE)
    model = toy(objective)
    clipped = {p for group in objective.parameter_groups(model) if group["clip"] for p in group["params"]}
    assert clipped == {*model.encoder.parameters(), *model.decoder.parameters()}


def test_duplicating_the_batch_changes_neither_loss_nor_gradients(method: Method) -> None:
    """sums over pixels and dimensions, means over the batch."""
    x, eps = images(B), noise(B)
    once, gradients = loss_and_gradients(method, x, eps)
    twice, others = loss_and_gradients(method, x.repeat(2, 1, 1, 1), eps.repeat(2, 1))
    assert torch.allclose(once, twice)
    assert same(gradients, others)


def test_the_order_of_the_batch_does_not_matter(method: Method) -> None:
    x, eps, order = images(B), noise(B), torch.randperm(B, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(loss_and_gradients(method, x, eps)[0], loss_and_gradients(method, x[order], eps[order])[0])


def test_what_is_logged_is_detached_and_adds_up(method: Method) -> None:
    objective = method.build(SHAPE).double()
    p = forward(toy(objective), images(B), noise(B))
    loss, logs = objective(p, clock())
    assert not any(value.requires_grad for value in logs.values())
    assert torch.allclose(logs["kl"], logs["kl_dims"].sum())
    weighted = logs["weight.rec"] * logs["rec"] + logs["weight.kl"] * logs["kl"]
    seen = {**clock(), "rec": logs["rec"], "kl": logs["kl_dims"]}
    assert torch.allclose(weighted + objective.balance.penalty(seen), loss)


def test_state_round_trip_gives_the_same_loss(method: Method) -> None:
    objective = method.build(SHAPE).double()
    model = toy(objective)
    other = method.build(SHAPE).double()
    copied = toy(other, seed=9)
    copied.load_state_dict(copy.deepcopy(model.state_dict()))
    other.load_state_dict(copy.deepcopy(objective.state_dict()))
    x, eps = images(B), noise(B)
    assert torch.equal(objective(forward(model, x, eps), clock())[0], other(forward(copied, x, eps), clock())[0])


def test_presets_are_settings_that_exist(method: Method) -> None:
    from equipoise.config import resolve

    for name in method.presets:
        config = resolve({"data": "dsprites", "method": method.name, "method.preset": name})
        for key, value in method.presets[name].settings.items():
            assert config.flat()[key] == value


MSE: dict[str, Any] = {"likelihood": "mse"}


def test_vae_is_reconstruction_plus_kl() -> None:
    rec, kl = parts(VAE(**MSE))
    assert torch.allclose(loss_and_gradients(VAE(**MSE), images(B), noise(B))[0], rec + kl)


def test_beta_vae_at_one_is_the_vae_bit_for_bit() -> None:
    ours, vae = (loss_and_gradients(m, images(B), noise(B)) for m in (BetaVAE(beta=1.0), VAE()))
    assert torch.equal(ours[0], vae[0])
    assert all(torch.equal(ours[1][name], vae[1][name]) for name in vae[1])


def test_the_gradient_of_beta_vae_is_linear_in_beta() -> None:
    zero, one, four = (loss_and_gradients(BetaVAE(beta=b), images(B), noise(B))[1] for b in (0.0, 1.0, 4.0))
    for name in one:
        assert torch.allclose(four[name], zero[name] + 4 * (one[name] - zero[name]))


def test_warm_up_of_beta_vae_follows_the_schedule() -> None:
    rec, kl = parts(BetaVAE(**MSE))
    for step, share in ((1, 0.2), (5, 1.0), (10, 1.0)):
        loss, _ = loss_and_gradients(BetaVAE(beta=4.0, warmup=0.5, **MSE), images(B), noise(B), step)
        assert torch.allclose(loss, rec + 4 * share * kl)


def test_annealed_vae_is_the_distance_from_the_capacity() -> None:
    rec, kl = parts(AnnealedVAE(**MSE))
    for step, capacity in ((3, 12.5), (6, 25.0), (10, 25.0)):
        loss, _ = loss_and_gradients(AnnealedVAE(gamma=100.0, **MSE), images(B), noise(B), step)
        assert torch.allclose(loss, rec + 100 * (kl - capacity).abs())


def test_annealed_vae_without_capacity_is_beta_vae() -> None:
    ours, beta = (
        loss_and_gradients(m, images(B), noise(B)) for m in (AnnealedVAE(gamma=7.0, c_end=0.0), BetaVAE(beta=7.0))
    )
    assert torch.allclose(ours[0], beta[0])
    assert same(ours[1], beta[1])


def test_l_vae_with_sigmas_of_one_is_the_vae_plus_two() -> None:
    ours, vae = (loss_and_gradients(m, images(B), noise(B)) for m in (LVAE(), VAE(**MSE)))
    assert torch.allclose(ours[0], vae[0] + 2)
    assert same(ours[1], vae[1])


def test_l_vae_at_the_stationary_sigmas_descends_the_sum_of_roots() -> None:
    """there the networks' gradient is that of 2 sqrt(R) + 2 sqrt(K), and the sigmas' is 0."""
    rec, kl = parts(LVAE())
    objective = LVAE().build(SHAPE).double()
    with torch.no_grad():
        objective.balance.sigma["rec"].fill_(rec**0.25)
        objective.balance.sigma["kl"].fill_(kl**0.25)
    model = toy(objective)
    p = forward(model, images(B), noise(B))
    loss, logs = objective(p, clock())
    loss.backward()
    assert torch.allclose(loss, 2 * rec.sqrt() + 2 * kl.sqrt())
    assert torch.allclose(logs["beta_equivalent"], (rec / kl).sqrt())
    assert all(abs(float(sigma.grad)) < 1e-9 for sigma in objective.balance.sigma.values())

    other = toy(objective)
    q = forward(other, images(B), noise(B))
    r = objective.likelihood(q.out, q.x).mean()
    k = objective.prior.kl(q.mean, q.logvar, q.z).mean(0).sum()
    (2 * r.sqrt() + 2 * k.sqrt()).backward()
    for ours, theirs in zip(model.encoder.parameters(), other.encoder.parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad)


def test_l_vae_beta_scales_with_the_root_of_the_reconstruction() -> None:
    """beta holds for squared error summed over pixels; half of it gives beta / sqrt(2) in its own unit."""
    for likelihood, unit in (("mse", 1.0), ("half_mse", 0.5)):
        objective = LVAE(likelihood=likelihood, initial=1.5).build(SHAPE).double()  # type: ignore[arg-type]
        _, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
        assert float(logs["beta_equivalent"]) == pytest.approx(1 / unit)
