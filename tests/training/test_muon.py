"""Muon beside the singular value decomposition and AdamW of torch, and what it leaves to AdamW."""

import math

import pytest
import torch
from tests.training.test_resume import go, settings, started
from torch import nn

from equipoise.errors import InputError
from equipoise.training import muon
from equipoise.training.muon import LIMIT, Muon, hidden_weights, orthogonal


@pytest.mark.parametrize("shape", [(4, 4), (8, 24), (24, 8), (1, 7)])
def test_the_update_has_the_singular_vectors_of_the_gradient_and_values_near_1(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.diagonal(u.T @ orthogonal(matrix) @ v.T)
    assert float(values.min()) > 0.65
    assert float(values.max()) < 1.25
    assert torch.allclose(u @ torch.diag(values) @ v, orthogonal(matrix), atol=1e-4)


def test_a_step_moves_a_weight_along_the_orthogonal_factor_of_the_averaged_gradients() -> None:
    """The second step by hand: mean = .05 g1 * .95 + .05 g2, then Nesterov's .05 g2 + .95 mean."""
    weight = nn.Parameter(torch.zeros(3, 2, 2, 2))
    optimiser = Muon([{"params": [weight], "lr": 0.1, "weight_decay": 0.5, "orthogonal": True}], fused=False)
    first, second = (torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    weight.grad = first.clone()
    optimiser.step()
    before = weight.detach().clone()
    weight.grad = second.clone()
    optimiser.step()
    mean = 0.95 * 0.05 * first + 0.05 * second
    update = orthogonal((0.05 * second + 0.95 * mean).reshape(3, 8)).reshape(weight.shape)
    expected = before * (1 - 0.1 * 0.5) - 0.1 * 0.2 * math.sqrt(8) * update
    assert torch.allclose(weight, expected, atol=1e-6)


def test_weights_beside_the_latents_biases_and_the_balance_take_the_steps_of_adamw() -> None:
    more = {"train.weight_decay": 0.1}
    config = settings("l-vae", more)
    plain = started(config, "cpu")
    ours = started(settings("l-vae", {**more, "train.optimizer": "muon"}), "cpu")
    for one in (plain, ours):
        go(one, 1)
    hidden = {id(weight) for weight in hidden_weights(ours.model)}
    assert len(hidden) == 4  # of six layers, three in the encoder
    pairs = list(zip(plain.model.named_parameters(), ours.model.named_parameters(), strict=True))
    for (name, theirs), (_, own) in pairs:
        assert torch.equal(theirs, own) == (id(own) not in hidden), name
    sigmas = [dict(one.objective.balance.named_parameters()) for one in (plain, ours)]
    assert sigmas[0]
    assert all(torch.equal(value, sigmas[1][name]) for name, value in sigmas[0].items())


@pytest.mark.parametrize("net", ["mlp", "small", "conv_bn", "locatello", "mlp_lvae", "mlp_tc"])
def test_matrices_too_large_to_be_made_orthogonal_in_a_step_take_the_steps_of_adamw(net: str) -> None:
    model = started(settings("vae", {"net": net, "net.latent": 10}), "cpu", (1, 32, 32)).model
    hidden = hidden_weights(model)
    weights = [weight for weight in model.parameters() if weight.ndim > 1]
    assert all(min(weight.flatten(1).shape) <= LIMIT for weight in hidden)
    assert len(hidden) == (0 if net in ("mlp_lvae", "mlp_tc") else len(weights) - 2)


def test_a_state_with_other_groups_of_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings("vae", {"train.optimizer": "muon"})
    monkeypatch.setattr(muon, "LIMIT", 200)
    earlier = started(config, "cpu")
    go(earlier, 1)
    monkeypatch.undo()
    with pytest.raises(InputError, match="the checkpoint is of an earlier version"):
        started(config, "cpu").load_state(earlier.state())
    go(earlier, 10)
    finished = started(config, "cpu")
    finished.load_state(earlier.state())  # which needs no optimiser any more
    assert finished.step == config.train.steps
