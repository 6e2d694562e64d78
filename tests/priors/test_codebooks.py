"""Codebooks: values, frequencies, draws and gradients against loops and counts."""

import math

import pytest
import torch
from torch import Tensor

from equipoise.priors import Codebooks


def codes(n: int = 40, latent: int = 3) -> Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("learned", [True, False])
def test_the_nearest_value_is_that_of_a_loop(learned: bool) -> None:
    prior = Codebooks(3, values=5, learned=learned).double()
    mean = prior.bound(codes())
    nearest = prior.nearest(mean)
    for row, of_row in zip(mean.tolist(), nearest.tolist(), strict=True):
        for j, value in enumerate(row):
            assert of_row[j] == min(prior.levels[j].tolist(), key=lambda level: abs(level - value))


def test_values_start_as_published_and_fixed_ones_are_those_of_fsq() -> None:
    assert torch.allclose(Codebooks(2, 5).levels, torch.tensor([-0.5, -0.25, 0, 0.25, 0.5]).expand(2, 5))
    fixed = Codebooks(2, 3, learned=False)
    assert not list(fixed.parameters())
    assert torch.equal(fixed.levels, torch.tensor([-1.0, 0, 1]).expand(2, 3))
    # FSQ: round((V - 1) / 2 tanh(x)) / ((V - 1) / 2) for an odd V
    x, odd = codes(), Codebooks(3, 7, learned=False).double()
    normal = (x - x.mean(0)) / x.std(0, correction=0)
    assert torch.allclose(odd.nearest(odd.bound(x)), torch.round(3 * normal.tanh()) / 3, atol=1e-4)
    assert torch.equal(odd.eval().bound(x[:1]), odd.bound(x)[:1])


def test_the_gradient_passes_straight_through_and_reaches_the_values_of_the_nearest_alone() -> None:
    prior, mean = Codebooks(3, 5).double(), codes().requires_grad_()
    weights = codes(40).flip(0)
    z = prior.straight_through(mean)
    assert torch.allclose(z, prior.nearest(mean))
    (z * weights).sum().backward()
    assert mean.grad is not None
    assert torch.equal(mean.grad, weights)
    assert prior.levels.grad is None
    prior.nearest(mean).sum().backward()
    counts = torch.stack([(prior.nearest(mean) == prior.levels[:, v]).sum(0) for v in range(5)], 1)
    assert torch.equal(prior.levels.grad, counts.double())


def test_frequencies_follow_the_batches_in_training_alone() -> None:
    prior = Codebooks(2, 4)
    z = prior.levels[:, [0, 0, 0, 3]].T.detach()
    for _ in range(2000):
        prior.count(z)
    assert torch.allclose(prior.usage, torch.tensor([0.75, 0, 0, 0.25]).expand(2, 4), atol=1e-3)
    assert torch.allclose(prior.usage.sum(1), torch.ones(2))
    before = prior.usage.clone()
    prior.eval().count(-z)
    assert torch.equal(before, prior.usage)
    kl = prior.kl(z, z, z)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert torch.allclose(kl.mean(0), torch.full((2,), entropy), atol=2e-3)
    assert torch.allclose(prior.log_prob(z), -kl.sum(1))


def test_draws_have_the_frequencies_of_the_values() -> None:
    prior = Codebooks(2, 3, learned=False)
    prior.usage.copy_(torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.4, 0.0]]))
    draws = prior.sample(20_000, torch.Generator().manual_seed(0))
    shares = torch.stack([(draws == value).float().mean(0) for value in (-1.0, 0.0, 1.0)], 1)
    assert torch.allclose(shares, prior.usage, atol=0.015)
    assert float(prior.parts(torch.tensor([[0.0, 1.0]]))[0, 1]) == pytest.approx(math.log(1e-6))
