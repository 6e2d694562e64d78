"""The training loop step by step: learning rate, clipping, noise, clock, rows, batches and checkpoints."""

import copy
from typing import Any

import pytest
import torch
from tests.conftest import build, images, small, toy
from torch import Tensor

from equipoise.balance import WarmUp
from equipoise.sections import Train
from equipoise.training.loop import Training, fit

BATCH = 8


def training(method: str = "vae", balance: WarmUp | None = None, **settings: Any) -> Training:
    """A toy model in training."""
    objective = build(small(method)).float()
    if balance is not None:
        objective.balance = balance
    train = Train(**{"steps": 4, "batch": BATCH, "lr": 1e-2, "log_every": 1, **settings})
    return Training(toy(objective).float(), objective, train, torch.device("cpu"))


def batch(step: int, stream: int = 0) -> Tensor:
    return images(BATCH, seed=100 * stream + step, dtype=torch.float32)


def run(of: Training) -> tuple[list[dict[str, Any]], list[int], list[tuple[int, int]]]:
    """Train to the end; return the rows, the steps of the checkpoints and the requests for batches."""
    rows: list[dict[str, Any]] = []
    saves: list[int] = []
    requests: list[tuple[int, int]] = []

    def request(step: int, stream: int) -> Tensor:
        requests.append((step, stream))
        return batch(step, stream)

    fit(
        of,
        request,
        log=rows.append,
        save=lambda: saves.append(of.step),
        after=lambda step: None,  # noqa: ARG005
        stop=lambda: False,
    )
    return rows, saves, requests


def weights(of: Training) -> Tensor:
    """All weights of the networks in one tensor."""
    return torch.cat([parameter.detach().flatten() for parameter in of.clipped])


def test_a_step_of_adam_moves_each_weight_by_the_learning_rate_of_the_schedule() -> None:
    """Adam's first step is the learning rate times the sign of the gradient; one-cycle starts at a tenth of `lr`."""
    for schedule, expected in (("constant", 1e-2), ("one-cycle", 1e-3)):
        one = training(schedule=schedule, steps=1000)
        before = weights(one)
        one.advance(batch(0))
        assert float((weights(one) - before).abs().max()) == pytest.approx(expected, rel=0.02)


def test_a_step_with_weight_decay_is_the_step_without_it_and_the_decay_computed_by_hand() -> None:
    """Adam's step does not depend on the decay, which subtracts rate * decay * weight from the networks alone."""
    for fast in (False, True):
        plain, decayed = (training("l-vae", weight_decay=decay, fast=fast) for decay in (0.0, 0.5))
        before = weights(plain)
        for one in (plain, decayed):
            one.advance(batch(0))
        assert torch.allclose(weights(decayed), weights(plain) - 1e-2 * 0.5 * before, atol=1e-7)
        ours, theirs = plain.objective.state_dict(), decayed.objective.state_dict()
        assert ours
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert any(parameter.requires_grad for parameter in plain.objective.balance.parameters())


def test_without_weight_decay_the_optimiser_is_adam_and_a_discriminator_never_decays() -> None:
    assert type(training().optimisers["model"]) is torch.optim.Adam
    one = training("factor-vae", weight_decay=0.1)
    assert type(one.optimisers["adversary"]) is torch.optim.Adam
    decays = {name: [group["weight_decay"] for group in of.param_groups] for name, of in one.optimisers.items()}
    assert decays == {"model": [0.1], "adversary": [0.0]}


def test_the_decay_follows_the_schedule_of_the_learning_rate() -> None:
    plain, decayed = (
        training(weight_decay=decay, schedule="warmup-cosine", schedule_steps=1000) for decay in (0.0, 0.5)
    )
    before = weights(plain)
    for one in (plain, decayed):
        one.advance(batch(0))
    assert torch.allclose(weights(decayed), weights(plain) - 1e-4 * 0.5 * before, atol=1e-7)
    assert not torch.allclose(weights(decayed), weights(plain), atol=1e-7)


def test_the_gradient_of_the_networks_is_clipped_to_its_norm() -> None:
    norms = []
    for clip in (None, 0.5):
        one = training(clip=clip)
        one.model.train()
        one.advance(batch(0))
        norms.append(float(torch.cat([parameter.grad.flatten() for parameter in one.clipped]).norm()))
    assert norms[0] > 1
    assert norms[1] == pytest.approx(0.5, rel=1e-4)


def test_the_gradient_of_a_step_is_that_of_its_own_batch() -> None:
    one = training(lr=1e-12)
    for step in range(2):
        one.advance(batch(step))
    gradient = one.clipped[0].grad.clone()
    other = training(lr=1e-12)
    other.step = 1  # the noise of a step depends on its number
    other.advance(batch(1))
    assert torch.allclose(gradient, other.clipped[0].grad, rtol=1e-4, atol=1e-6)


def test_noise_differs_between_steps_and_between_seeds() -> None:
    losses = {}
    for seed in (0, 1):
        one = training(seed=seed, lr=1e-12)
        for _ in range(3):
            one.advance(batch(0))  # the same images, with weights that hardly move
        column = list(one.sizes).index("rec")
        losses[seed] = [float(row[column]) for row in one.pending]
    everything = [*losses[0], *losses[1]]
    assert len({round(value, 4) for value in everything}) == 6


def test_progress_is_the_fraction_of_the_schedule() -> None:
    one = training(balance=WarmUp(4.0, until=1.0), steps=3, schedule_steps=8)
    assert [row["weight.kl"] for row in run(one)[0]] == [0.5, 1.0, 1.5]


def test_a_row_is_the_mean_of_the_steps_since_the_last_one() -> None:
    each, _, _ = run(training())
    pairs, _, _ = run(training(log_every=2))
    assert [row["step"] for row in pairs] == [2, 4]
    for n, row in enumerate(pairs):
        assert row["loss"] == pytest.approx((each[2 * n]["loss"] + each[2 * n + 1]["loss"]) / 2, rel=1e-6)
        mean = [(a + b) / 2 for a, b in zip(each[2 * n]["kl_dims"], each[2 * n + 1]["kl_dims"], strict=True)]
        assert row["kl_dims"] == pytest.approx(mean, rel=1e-5)


def test_the_second_batch_is_from_the_second_stream() -> None:
    assert run(training("factor-vae", steps=2))[2] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert run(training(steps=2))[2] == [(0, 0), (1, 0)]


def test_checkpoints_are_saved_at_their_interval_and_at_the_end() -> None:
    assert run(training(steps=5, checkpoint_every=2))[1] == [2, 4, 5]


def test_the_state_of_likelihood_and_prior_is_saved_once_and_earlier_checkpoints_still_load() -> None:
    one, other = training("sigma-vae"), training("sigma-vae")
    one.advance(batch(0))
    state = one.state()
    assert "likelihood.log_sigma" in state["model"]
    assert not any(name.startswith(("likelihood", "prior")) for name in state["objective"])
    state["objective"] = one.objective.state_dict()  # with likelihood and prior, as before
    other.load_state(state)
    assert torch.equal(one.objective.likelihood.log_sigma, other.objective.likelihood.log_sigma)


@pytest.mark.parametrize("schedule", ["constant", "one-cycle"])
def test_sigmas_move_by_a_share_of_the_schedule_whatever_the_learning_rate(schedule: str) -> None:
    """Adam's first step is the learning rate of the group: the travel of 10 over the length of the schedule."""
    for steps, lr in ((100, 1e-2), (100, 1e-5), (1000, 1e-3)):
        one = training("l-vae", steps=steps, lr=lr, schedule=schedule)
        before = {name: float(value.detach()) for name, value in one.objective.balance.named_parameters()}
        one.advance(batch(0))
        after = {name: float(value.detach()) for name, value in one.objective.balance.named_parameters()}
        assert before.keys() == {"sigma.rec", "sigma.kl"}
        assert abs(after["sigma.rec"] - before["sigma.rec"]) == pytest.approx(10 / steps, rel=1e-2)


def test_the_decoder_starts_at_the_mean_image_of_the_first_batch_and_only_then() -> None:
    plain, started = (training(start_at_mean=value, lr=1e-9) for value in (False, True))
    plain.advance(batch(0))
    started.advance(batch(0))
    bias = started.model.decoder[2].bias.detach()  # type: ignore[index,union-attr]
    mean = batch(0).mean(0).flatten()
    assert torch.allclose(bias.sigmoid(), mean, atol=1e-5)
    assert not torch.allclose(plain.model.decoder[2].bias.detach().sigmoid(), mean, atol=1e-2)  # type: ignore[index,union-attr]
    started.advance(batch(1))
    assert torch.allclose(bias.sigmoid(), mean, atol=1e-5)


def test_a_resumed_run_does_not_start_again_at_the_mean_image() -> None:
    first = training(start_at_mean=True, lr=0.1)
    first.advance(batch(0))
    other = training(start_at_mean=True, lr=0.1)
    other.load_state(copy.deepcopy(first.state()))
    first.advance(batch(1))
    other.advance(batch(1))
    assert torch.equal(weights(first), weights(other))


def test_the_optimiser_of_an_earlier_checkpoint_loads() -> None:
    """Groups had no `paced` then."""
    first = training(steps=10)
    first.advance(batch(0))
    state = copy.deepcopy(first.state())
    for group in state["optimisers"]["model"]["param_groups"]:
        del group["paced"]
    second = training(steps=10)
    second.load_state(state)
    second.advance(batch(1))
