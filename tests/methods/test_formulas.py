"""Methods without an adversary against their formulas, written out by hand."""

import dataclasses
import math
from typing import Any

import pytest
import torch
from tests.conftest import SHAPE, build, clock, forward, images, noise, toy
from tests.methods.conftest import B, loss_and_gradients, parts, same

from equipoise.config import resolve
from equipoise.errors import InputError
from equipoise.methods.annealed_vae import AnnealedVAE
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.geco import GECO
from equipoise.methods.hfs import HFS
from equipoise.methods.info_vae import InfoVAE
from equipoise.methods.isa_vae import ISAVAE
from equipoise.methods.l_vae import LVAE
from equipoise.methods.sigma_vae import SigmaVAE
from equipoise.methods.vae import PlainVAE

MSE: dict[str, Any] = {"likelihood": "mse"}


def test_vae_is_reconstruction_plus_kl() -> None:
    rec, kl = parts(PlainVAE(**MSE))
    assert torch.allclose(loss_and_gradients(PlainVAE(**MSE), images(B), noise(B))[0], rec + kl)


def test_beta_vae_at_one_is_the_vae_bit_for_bit() -> None:
    ours, vae = (loss_and_gradients(m, images(B), noise(B)) for m in (BetaVAE(beta=1.0), PlainVAE()))
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
    ours, vae = (loss_and_gradients(m, images(B), noise(B)) for m in (LVAE(law="published"), PlainVAE(**MSE)))
    assert torch.allclose(ours[0], vae[0] + 2)
    assert same(ours[1], vae[1])


def test_l_vae_at_the_stationary_sigmas_descends_the_sum_of_roots() -> None:
    """there the networks' gradient is that of 2 sqrt(R) + 2 sqrt(K), and the sigmas' is 0."""
    rec, kl = parts(LVAE(law="published"))
    objective = build(LVAE(law="published"))
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
        objective = build(LVAE(law="published", likelihood=likelihood, initial=1.5))  # type: ignore[arg-type]
        _, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
        assert float(logs["beta_equivalent"]) == pytest.approx(1 / unit)


def test_l_vae_in_closed_form_descends_the_sum_of_roots_at_once() -> None:
    """with the weights of this very batch its gradient is that of 2 sqrt(R) + 2 sqrt(K)."""
    method = LVAE(law="published", weights="closed", smoothing=0.0)
    rec, kl = parts(method)
    loss, gradients = loss_and_gradients(method, images(B), noise(B))
    assert torch.allclose(loss, 2 * rec.sqrt() + 2 * kl.sqrt())
    objective = build(LVAE(law="published"))
    with torch.no_grad():
        objective.balance.sigma["rec"].fill_(rec**0.25)
        objective.balance.sigma["kl"].fill_(kl**0.25)
    model = toy(objective)
    objective(forward(model, images(B), noise(B)), clock())[0].backward()
    for name, parameter in model.encoder.named_parameters("e"):
        assert torch.allclose(gradients[name], parameter.grad)


def test_l_vae_in_closed_form_has_no_log_regulariser() -> None:
    with pytest.raises(InputError, match="weights is closed"):
        build(LVAE(law="published", weights="closed", regulariser="log"))


def test_l_vae_with_the_log_regulariser_settles_where_its_algebra_says() -> None:
    """sigma_i^2 = 2 L_i, beta = R / K, and the value there is 1 + log(4 R K) / 2."""
    rec, kl = parts(LVAE(law="published"))
    objective = build(LVAE(law="published", regulariser="log"))
    with torch.no_grad():
        objective.balance.sigma["rec"].copy_((2 * rec).sqrt())
        objective.balance.sigma["kl"].copy_((2 * kl).sqrt())
    loss, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
    loss.backward()
    assert torch.allclose(loss, 1 + 0.5 * (4 * rec * kl).log())
    assert torch.allclose(logs["beta_equivalent"], rec / kl)
    assert all(abs(float(sigma.grad)) < 1e-9 for sigma in objective.balance.sigma.values())


def test_sigma_vae_is_the_calibrated_likelihood_plus_kl() -> None:
    squared, kl = parts(SigmaVAE())
    pixels = 64
    for form, variance in (("optimal", float(squared) / pixels), ("learned", 1.0)):
        log_sigma = -6 + math.log1p(math.exp(0.5 * math.log(variance) + 6))
        expected = squared / (2 * math.exp(2 * log_sigma)) + pixels * (log_sigma + 0.5 * math.log(2 * math.pi)) + kl
        assert torch.allclose(loss_and_gradients(SigmaVAE(form=form), images(B), noise(B))[0], expected)


def test_sigma_vae_logs_the_weight_of_the_kl_beside_a_squared_error() -> None:
    objective = build(SigmaVAE(form="learned"))
    _, logs = objective(forward(toy(objective), images(B), noise(B)), clock())
    assert torch.allclose(logs["beta_equivalent"], 2 * logs["sigma"] ** 2)


def test_isa_vae_is_reconstruction_plus_beta_times_the_sampled_kl() -> None:
    method = ISAVAE(layout=(2, 1), beta=2.5, likelihood="mse")
    objective = build(method)
    p = forward(toy(objective), images(B), noise(B))
    log_q = torch.distributions.Normal(p.mean, (0.5 * p.logvar).exp()).log_prob(p.z).sum(1)
    expected = parts(method)[0] + 2.5 * (log_q - objective.prior.log_prob(p.z)).mean()
    assert torch.allclose(objective(p, clock())[0], expected)


def test_isa_vae_with_exponents_of_two_and_a_scale_of_two_has_the_normal_prior() -> None:
    objective = build(ISAVAE(layout=(2, 1), p0=2.0, p=2.0, scale=2.0, likelihood="mse"))
    vae = build(PlainVAE(likelihood="mse"))
    p = forward(toy(objective), images(B), noise(B))
    assert torch.allclose(objective.prior.log_prob(p.z), vae.prior.log_prob(p.z))
    many = torch.randn(4000, B, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    mean, logvar = p.mean.detach(), p.logvar.detach()
    z = mean + (0.5 * logvar).exp() * many
    sampled = objective.prior.kl(mean.repeat(4000, 1), logvar.repeat(4000, 1), z.reshape(-1, 3)).sum(1).mean()
    assert float(sampled) == pytest.approx(float(vae.prior.kl(mean, logvar, z[0]).sum(1).mean()), rel=0.02)


def test_learned_exponents_have_their_own_rate_and_the_first_exponent_none() -> None:
    objective = build(ISAVAE(layout=(2, 1), learned=True, p=2.0))
    groups = objective.parameter_groups(toy(objective))
    (group,) = (group for group in groups if group.get("lr") == 5e-4)
    assert set(group["params"]) == set(objective.prior.parameters())
    loss, _ = objective(forward(toy(objective), images(B), noise(B)), clock())
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in objective.prior.parameters())


@pytest.mark.parametrize("likelihood", ["bernoulli", "mse"])
def test_geco_is_reconstruction_plus_the_kl_at_the_inverse_of_the_multiplier(likelihood: str) -> None:
    """the error is the squared error, whatever the likelihood, and the bound tells in which unit."""
    x, eps = images(B), noise(B)
    method = GECO(tau=10.0, unit="sse", ki=8.0, kp=0.5, start=1.0, likelihood=likelihood)
    objective = build(method)
    p = forward(toy(objective), x, eps)
    rec, kl = objective.likelihood(p.out, x).mean(), parts(method)[1]
    sse = float((p.out.sigmoid() - x).square().sum().detach()) / B
    mean = x.mean(0).clamp(1e-4, 1 - 1e-4)
    if likelihood == "mse":
        spread = (x - mean).square().sum() / B
    else:
        entropy = -(x * x.log() + (1 - x) * (1 - x).log()).sum() / B
        spread = -(x * mean.log() + (1 - x) * (1 - mean).log()).sum() / B - entropy
    error = math.log(sse / 10.0)
    assert abs(error) < 1
    beta = float(spread) * 1.0 * math.exp(-(8.0 * error / 10 + 0.5 * error))
    loss, _ = loss_and_gradients(method, x, eps, 1)
    assert torch.allclose(loss, rec + beta * kl, rtol=1e-4)


def test_the_bound_of_geco_in_every_unit_is_one_squared_error() -> None:
    pixels = math.prod(SHAPE.image)
    for tau, unit in ((6.4, "sse"), (6.4 / pixels, "mse"), (-10 * math.log10(6.4 / pixels), "psnr")):
        assert GECO(tau=tau, unit=unit).build(SHAPE).balance.bound == pytest.approx(6.4)  # type: ignore[arg-type]
    assert GECO(tau=0.8).build(SHAPE).balance.bound is None
    with pytest.raises(InputError, match=r"method.unit is psnr, but method.tau is unset"):
        build(GECO(unit="psnr"))


def test_info_vae_weighs_the_kl_of_each_image_and_the_distance_of_all_codes() -> None:
    rec, kl = parts(InfoVAE(**MSE))
    objective = build(InfoVAE(**MSE))
    mmd = objective.terms["mmd"](forward(toy(objective), images(B), noise(B))).detach()
    for alpha, weight in ((0.0, 500.0), (0.5, 1000.0), (1.0, 3.0)):
        loss, _ = loss_and_gradients(InfoVAE(alpha=alpha, lambda_mmd=weight, **MSE), images(B), noise(B))
        assert torch.allclose(loss, rec + (1 - alpha) * kl + (alpha + weight - 1) * mmd)
    vae = loss_and_gradients(PlainVAE(**MSE), images(B), noise(B))
    assert torch.allclose(vae[0], loss_and_gradients(InfoVAE(alpha=0.0, lambda_mmd=1.0, **MSE), images(B), noise(B))[0])
    with pytest.raises(InputError, match=r"method.alpha is 0.5 and method.lambda_mmd 0; their sum has to be 1 or more"):
        build(InfoVAE(alpha=0.5, lambda_mmd=0.0))


def test_hfs_is_beta_vae_and_the_distance_of_the_support() -> None:
    rec, kl = parts(HFS(**MSE))
    objective = build(HFS(**MSE))
    distance = objective.terms["hausdorff"](forward(toy(objective), images(B), noise(B))).detach()
    for beta, gamma in ((1.0, 10.0), (4.0, 0.0)):
        loss, _ = loss_and_gradients(HFS(beta=beta, gamma=gamma, **MSE), images(B), noise(B))
        assert torch.allclose(loss, rec + beta * kl + gamma * distance)


def test_the_squared_error_of_beta_vae_is_added_to_a_cross_entropy() -> None:
    method = BetaVAE(beta=2.0, warmup=1.0, likelihood="bernoulli")
    plain, _ = loss_and_gradients(method, images(B), noise(B))
    loss, _ = loss_and_gradients(dataclasses.replace(method, squared_error=3.0), images(B), noise(B))
    assert torch.allclose(loss, plain + 3 * parts(PlainVAE(**MSE))[0])


def test_cyclical_annealing_rises_in_the_first_half_of_each_of_four_cycles() -> None:
    method = resolve({"data": "dsprites", "method": "compose", "method.preset": "cyclical"}).method
    balance = build(method).balance.train()
    for progress, beta in ((0.0, 0.0), (0.0625, 0.5), (0.125, 1.0), (0.24, 1.0), (0.3125, 0.5), (1.0, 1.0)):
        seen = {"progress": torch.tensor(progress, dtype=torch.float64), "kl": torch.tensor(1.0)}
        assert float(balance(seen)["kl"]) == pytest.approx(beta)
