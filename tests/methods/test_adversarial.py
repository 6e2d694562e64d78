"""Methods with an adversary against their formulas, and against each other where one contains another."""

import pytest
import torch
from tests.conftest import SHAPE, build, clock, forward, images, noise, toy
from tests.methods.conftest import B, loss_and_gradients, parts, same
from torch import Tensor

from equipoise.config import resolve
from equipoise.errors import InputError
from equipoise.methods import Method
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.dava import DAVA
from equipoise.methods.factor_vae import FactorVAE
from equipoise.methods.progressive_factor_vae import ProgressiveFactorVAE
from equipoise.methods.progressive_rf_vae import ProgressiveRFVAE
from equipoise.methods.rf_vae import RFVAE
from equipoise.methods.vae import PlainVAE

SMALL = {"width": 8, "layers": 2, "likelihood": "mse"}
ALL = (1, 1, 1)


def made(kind: type[Method], **settings: object) -> Method:
    return kind(**{**SMALL, **settings})


def tc(method: Method, mask: Tensor | None = None) -> Tensor:
    """The mean log ratio of the method's discriminator on the fixed batch, by its formula."""
    objective = build(method)
    p = forward(toy(objective), images(B), noise(B))
    logits = objective.adversary.net(p.z if mask is None else mask * p.z)
    return (logits[:, 0] - logits[:, 1]).mean().detach()


def kl_dims(method: Method) -> Tensor:
    p = forward(toy(build(method)), images(B), noise(B))
    return (0.5 * (p.mean**2 + p.logvar.exp() - p.logvar - 1)).mean(0).detach()


def test_factor_vae_adds_the_log_ratio() -> None:
    method = made(FactorVAE, gamma=35.0)
    rec, kl = parts(method)
    assert torch.allclose(loss_and_gradients(method, images(B), noise(B))[0], rec + kl + 35 * tc(method))


def test_factor_vae_without_gamma_has_the_gradients_of_the_vae() -> None:
    ours, vae = (
        loss_and_gradients(m, images(B), noise(B)) for m in (made(FactorVAE, gamma=0.0), PlainVAE(likelihood="mse"))
    )
    assert torch.allclose(ours[0], vae[0])
    assert same(ours[1], vae[1])


def test_rf_vae_with_relevance_given_weighs_each_kl_and_masks_the_codes() -> None:
    method = made(RFVAE, relevance=(1, 0, 1), gamma=6.4)
    rec, _ = parts(method)
    weights = torch.tensor([0.1, 10.0, 0.1], dtype=torch.float64)
    expected = rec + (weights * kl_dims(method)).sum() + 6.4 * tc(method, torch.tensor([1.0, 0.0, 1.0]).double())
    assert torch.allclose(loss_and_gradients(method, images(B), noise(B))[0], expected)


def test_rf_vae_of_relevant_latents_alone_is_factor_vae() -> None:
    settings = {"gamma": 7.0, "adversary_lr": 1e-4}
    ours = loss_and_gradients(made(RFVAE, relevance=ALL, lambda_min=1.0, **settings), images(B), noise(B))
    theirs = loss_and_gradients(made(FactorVAE, **settings), images(B), noise(B))
    assert torch.allclose(ours[0], theirs[0])
    assert same(ours[1], theirs[1])


def test_rf_vae_without_total_correlation_and_with_equal_lambdas_is_beta_vae() -> None:
    ours = loss_and_gradients(
        made(RFVAE, gamma=0.0, lambda_min=4.0, lambda_max=4.0, eta_s=0.0, eta_h=0.0), images(B), noise(B)
    )
    theirs = loss_and_gradients(BetaVAE(beta=4.0, likelihood="mse"), images(B), noise(B))
    assert torch.allclose(ours[0], theirs[0])
    assert same(ours[1], theirs[1])


def test_relevance_of_another_number_of_latents_is_refused() -> None:
    with pytest.raises(InputError, match=r"^the relevance is \[1, 0\]; expected 1 or 0 for each of 10 latents$"):
        resolve({"data": "dsprites", "method": "rf-vae", "method.relevance": [1, 0]})


def test_rf_vae_learns_relevance_from_all_four_terms() -> None:
    method = made(RFVAE, gamma=6.4)
    rec, _ = parts(method)
    objective = build(method)
    logits = objective.balance.balances[0].logits.detach()
    r = logits.sigmoid()
    entropy = -(r * r.log() + (1 - r) * (1 - r).log()).sum()
    expected = rec + ((10 - 9.9 * r) * kl_dims(method)).sum() + 6.4 * tc(method, r) + r.sum() + 100 * entropy
    loss, gradients = loss_and_gradients(method, images(B), noise(B))
    assert torch.allclose(loss, expected)

    leaf = logits.clone().requires_grad_()
    again = leaf.sigmoid()
    p = forward(toy(objective), images(B), noise(B))
    ratio = objective.adversary.net(again * p.z.detach())
    entropy = -(again * again.log() + (1 - again) * (1 - again).log()).sum()
    own = ((10 - 9.9 * again) * kl_dims(method)).sum() + 6.4 * (ratio[:, 0] - ratio[:, 1]).mean()
    (own + again.sum() + 100 * entropy).backward()
    found = next(gradient for name, gradient in gradients.items() if name.endswith("logits"))
    assert torch.allclose(found, leaf.grad)


def test_progressive_forms_start_as_their_base_with_beta_0_and_keep_it_where_scale_is_one() -> None:
    for kind, base in ((ProgressiveFactorVAE, FactorVAE), (ProgressiveRFVAE, RFVAE)):
        for settings in ({}, {"scale": 1.0}):
            ours = loss_and_gradients(made(kind, beta_0=3.0, **settings), images(B), noise(B), step=1)
            theirs = loss_and_gradients(made(base, gamma=3.0), images(B), noise(B), step=1)
            assert torch.allclose(ours[0], theirs[0])
            assert same({k.replace("balances.1.", ""): g for k, g in ours[1].items()}, theirs[1])


def test_progressive_weight_follows_the_accuracy_of_the_discriminators_last_step() -> None:
    objective = build(made(ProgressiveFactorVAE, smoothing=0.0, scale=0.5, beta_0=4.0))
    p = forward(toy(objective), images(B), noise(B))
    for accuracy, weight in ((0.9, 8.0), (0.75, 8.0), (0.6, 4.0)):
        objective.adversary.accuracy.fill_(accuracy)
        _, logs = objective(p, clock(2))
        assert float(logs["weight.tc"]) == weight
        assert float(logs["tc_equivalent"]) == weight


def test_dava_is_reconstruction_and_a_fourth_power_of_the_distance_from_the_capacity() -> None:
    method = DAVA(likelihood="mse")
    rec, kl = parts(method)
    loss, gradients = loss_and_gradients(method, images(B), noise(B), step=1)
    assert torch.allclose(loss, rec + 500 * (kl / SHAPE.latent) ** 4)

    objective = build(method)
    model = toy(objective)
    p = forward(model, images(B), noise(B))
    per_dimension = 0.5 * (p.mean**2 + p.logvar.exp() - p.logvar - 1).sum() / B / SHAPE.latent
    (((torch.sigmoid(p.out) - p.x) ** 2).sum() / B + 500 * per_dimension**4).backward()
    for name, parameter in model.encoder.named_parameters("e"):
        assert torch.allclose(gradients[name], parameter.grad)
