"""Adversaries: what they see, what they estimate, and that nothing leaks between them and the model."""

import math
from typing import Any

import pytest
import torch
from tests.conftest import build, clock, forward, images, noise, toy
from torch import Tensor

from equipoise.adversary import Adversary, resample, shuffle
from equipoise.balance import Relevance
from equipoise.methods.dava import DAVA
from equipoise.methods.factor_vae import FactorVAE
from equipoise.methods.rf_vae import RFVAE
from equipoise.objective import Objective
from equipoise.training import speed

B = 12


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def discriminator(latent: int, **settings: Any) -> Adversary:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Adversary(latent, **{"width": 8, "layers": 2, **settings})


def optimisers(objective: Objective, model: torch.nn.Module) -> dict[str, torch.optim.Optimizer]:
    made: dict[str, torch.optim.Optimizer] = {}
    for group in objective.parameter_groups(model):
        made.setdefault(group["optimiser"], speed.adam([{"params": group["params"]}], fused=False))
    return made


def copied(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def test_shuffling_keeps_what_each_column_holds_and_moves_the_columns_apart() -> None:
    z = torch.randn(50, 4, generator=generator())
    shuffled = shuffle(z, generator(1))
    assert torch.equal(shuffled.sort(0).values, z.sort(0).values)
    rows = {tuple(row.tolist()) for row in z}
    assert sum(tuple(row.tolist()) in rows for row in shuffled) < 5


def test_resampling_draws_each_entry_from_its_own_column() -> None:
    z = torch.randn(20, 3, generator=generator())
    drawn = resample(z, generator(1))
    assert all(bool(torch.isin(drawn[:, j], z[:, j]).all()) for j in range(3))


def test_the_loss_reaches_the_discriminator_and_not_the_codes() -> None:
    adversary = discriminator(3)
    z = torch.randn(B, 3, generator=generator(), requires_grad=True)
    adversary.loss(z, z, generator(1)).backward()
    assert z.grad is None
    assert all(parameter.grad is not None for parameter in adversary.parameters())


def test_the_log_ratio_reaches_the_codes_and_not_the_discriminator() -> None:
    adversary = discriminator(3)
    z = torch.randn(B, 3, generator=generator(), requires_grad=True)
    adversary.log_ratio(z).mean().backward()
    assert z.grad is not None
    assert bool(z.grad.abs().sum() > 0)
    assert all(parameter.grad is None for parameter in adversary.parameters())


def test_the_loss_is_the_mean_cross_entropy_of_both_classes() -> None:
    adversary = discriminator(2)
    z, other = torch.randn(2, 6, 2, generator=generator()).unbind()
    logits = [adversary.net(z), adversary.net(shuffle(other, generator(5)))]
    expected = sum(-0.5 * torch.log_softmax(each, 1)[:, label].mean() for label, each in enumerate(logits))
    assert torch.allclose(adversary.loss(z, other, generator(5)), expected)


def test_accuracy_is_that_before_the_step_and_moves_in_training_alone() -> None:
    adversary = discriminator(2)
    z, other = torch.randn(2, 6, 2, generator=generator()).unbind()
    right = (adversary.net(z).argmax(1) == 0).sum() + (adversary.net(shuffle(other, generator(5))).argmax(1) == 1).sum()
    adversary.eval().loss(z, other, generator(5))
    assert float(adversary.accuracy) == 0.5
    adversary.train().loss(z, other, generator(5))
    assert float(adversary.accuracy) == pytest.approx(float(right) / 12)


@pytest.mark.parametrize("source", ["other", "split", "same"])
def test_a_step_changes_the_discriminator_and_nothing_else(source: str) -> None:
    objective = build(FactorVAE(width=8, layers=2, second=source))
    model = toy(objective)
    adams = optimisers(objective, model)
    p = forward(model, images(B), noise(B))
    loss, _ = objective(p, clock())
    loss.backward()
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    before, adversary = copied(model), copied(objective.adversary)
    second = images(B, seed=7) if objective.needs_second_batch else None
    objective.after_step(model, p, second, adams, generator())
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]), name
        assert torch.equal(parameter.grad, gradients[name]), name
    assert all(not torch.equal(p, adversary[name]) for name, p in objective.adversary.named_parameters())


def test_only_the_published_form_asks_for_a_second_batch() -> None:
    wants = {source: build(FactorVAE(second=source)).needs_second_batch for source in ("other", "split", "same")}
    assert wants == {"other": True, "split": False, "same": False}


def test_with_relevance_given_the_discriminator_does_not_see_nuisance_codes() -> None:
    objective = build(RFVAE(relevance=(1, 0, 1), width=8, layers=2))
    z = torch.randn(B, 3, generator=generator())
    moved = z.clone()
    moved[:, 1] += 5
    assert torch.equal(objective.adversary.log_ratio(z), objective.adversary.log_ratio(moved))
    losses = [objective.adversary.loss(each, each, generator(2)) for each in (z, moved)]
    assert torch.equal(*losses)


def test_relevance_learns_from_the_log_ratio_and_not_from_the_discriminators_loss() -> None:
    with torch.random.fork_rng(devices=[]):
        relevance = Relevance(3)
    adversary = discriminator(3, view=relevance.mask)
    z = torch.randn(B, 3, generator=generator())
    adversary.loss(z, z, generator(1)).backward()
    assert relevance.logits.grad is None
    adversary.log_ratio(z).mean().backward()
    assert relevance.logits.grad is not None


def test_the_log_ratio_approaches_the_total_correlation_of_gaussian_pairs() -> None:
    """ten dimensions in five pairs of correlation rho have TC = -(5/2) log(1 - rho^2) nats; it is underestimated."""
    rho, source = 0.6, generator(3)
    adversary = discriminator(10, width=128)
    adam = speed.adam([{"params": list(adversary.parameters()), "betas": (0.5, 0.9)}], fused=False)
    adam.param_groups[0]["lr"] = 1e-3

    def pairs(n: int) -> Tensor:
        a, b = torch.randn(2, n, 5, generator=source).unbind()
        return torch.stack([a, rho * a + math.sqrt(1 - rho**2) * b], 2).reshape(n, 10)

    for _ in range(600):
        adam.zero_grad()
        adversary.loss(pairs(256), pairs(256), source).backward()
        adam.step()
    with torch.no_grad():
        estimate = float(adversary.log_ratio(pairs(20_000)).mean())
        nothing = float(adversary.log_ratio(shuffle(pairs(20_000), source)).mean())
    truth = -2.5 * math.log(1 - rho**2)
    assert 0.6 * truth < estimate < 1.1 * truth
    assert nothing < 0
    assert 0.55 < float(adversary.accuracy) < 0.9


def test_a_discriminator_of_independent_codes_finds_no_total_correlation() -> None:
    source = generator(4)
    adversary = discriminator(4, width=32)
    adam = speed.adam([{"params": list(adversary.parameters())}], fused=False)
    for _ in range(150):
        adam.zero_grad()
        z, other = torch.randn(2, 256, 4, generator=source).unbind()
        adversary.loss(z, other, source).backward()
        adam.step()
    z = torch.randn(20_000, 4, generator=source)
    with torch.no_grad():
        assert abs(float(adversary.log_ratio(z).mean())) < 0.02
        adversary.loss(z, z.flip(0), source)
    assert float(adversary.accuracy) == pytest.approx(0.5, abs=0.02)


def test_dava_leaves_everything_in_place_while_its_discriminator_is_at_a_loss() -> None:
    """accuracy 1/2 or less gives the adversarial phase no weight: gradients of 0."""
    objective = build(DAVA())
    model = toy(objective)
    p = forward(model, images(B), noise(B))
    with torch.no_grad():
        objective.adversary.net[-1].weight.zero_()
        objective.adversary.net[-1].bias.fill_(-9.0)
    before = copied(model)
    logs = objective.after_step(model, p, None, optimisers(objective, model), generator())
    assert float(logs["accuracy"]) == 0.5  # all called resampled: half of them are
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_davas_third_phase_takes_the_first_ones_gradients_along_only_where_asked() -> None:
    for accumulate in (False, True):
        objective = build(DAVA(accumulate=accumulate))
        model = toy(objective)
        p = forward(model, images(B), noise(B))
        objective(p, clock())[0].backward()
        first = [parameter.grad.clone() for parameter in model.decoder.parameters()]
        with torch.no_grad():
            objective.adversary.net[-1].weight.zero_()
            objective.adversary.net[-1].bias.fill_(-9.0)  # half are classed rightly: the third phase has no weight
        objective.after_step(model, p, None, optimisers(objective, model), generator())
        for parameter, gradient in zip(model.decoder.parameters(), first, strict=True):
            assert torch.equal(parameter.grad, gradient if accumulate else torch.zeros_like(gradient))


def test_dava_moves_encoder_and_decoder_against_a_discriminator_that_succeeds() -> None:
    objective = build(DAVA())
    model = toy(objective)
    p = forward(model, images(B), noise(B))
    adams = optimisers(objective, model)
    objective.adversary._learn = lambda *_: objective.adversary.accuracy.fill_(0.9)
    before, theirs = copied(model), copied(objective.adversary)
    objective.after_step(model, p, None, adams, generator())
    assert all(not torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())
    assert all(torch.equal(p, theirs[name]) for name, p in objective.adversary.named_parameters())
    norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in model.encoder.parameters()])
    assert float(norm) <= 1 + 1e-6
