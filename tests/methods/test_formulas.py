"""Methods without an adversary against their formulas, written out by hand."""

from typing import Any

import pytest
import torch
from tests.conftest import build, clock, forward, images, noise, toy
from tests.methods.conftest import B, loss_and_gradients, parts, same

from equipoise.methods.annealed_vae import AnnealedVAE
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.vae import VAE

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
    objective = build(LVAE())
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
        objective = build(LVAE(likelihood=likelihood, initial=1.5))  # type: ignore[arg-type]
        _, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
        assert float(logs["beta_equivalent"]) == pytest.approx(1 / unit)
