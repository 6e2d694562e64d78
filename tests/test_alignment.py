"""Rotation of the latent axes: what it finds, and what it leaves unchanged."""

import math

import pytest
import torch
from tests.conftest import SHAPE, build, forward, images, noise, toy

from equipoise import nets
from equipoise.alignment import Alignment, entropy, head_of, rotation, stem_of
from equipoise.errors import InputError
from equipoise.methods import METHODS, Shape
from equipoise.model import VAE


def turn(degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def square(n: int = 4000) -> torch.Tensor:
    return torch.rand(n, 2, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_entropies_of_known_densities() -> None:
    generator = torch.Generator().manual_seed(0)
    uniform, normal = torch.rand(50_000, generator=generator) * 4, torch.randn(50_000, generator=generator)
    found = entropy(torch.stack([uniform, normal]))
    assert found.tolist() == pytest.approx([math.log(4), 0.5 * math.log(2 * math.pi * math.e)], abs=0.03)


@pytest.mark.parametrize("degrees", [10.0, 30.0, -40.0, 44.0])
def test_a_rotated_square_is_rotated_back(degrees: float) -> None:
    z = square(20_000) @ turn(degrees).T
    back, decrease = rotation(z)
    whole = back @ turn(degrees)  # up to the order and the sign of the axes
    assert whole.abs().max(1).values.min() > math.cos(math.radians(3))
    # The sum of the entropies of the rotated square: each marginal is a trapezoid, the sum of two uniform variables.
    a, b = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    trapezoid = math.log(2 * max(a, b)) + min(a, b) / (2 * max(a, b))
    assert decrease == pytest.approx(2 * (trapezoid - math.log(2)), abs=0.04)


def test_independent_and_gaussian_codes_are_not_rotated() -> None:
    assert rotation(square(), threshold=0.01)[1] == 0
    gaussian = torch.randn(4000, 3, generator=torch.Generator().manual_seed(1))
    assert rotation(gaussian, threshold=0.02)[1] == 0


def test_only_the_pairs_that_are_listed_are_rotated() -> None:
    z = torch.cat([square() @ turn(30).T, square()[:, :1].flip(0)], 1)
    assert rotation(z, pairs=[(0, 2)], threshold=0.01)[1] == 0
    assert rotation(z, pairs=[(0, 1)])[1] > 0.1


@pytest.mark.parametrize("net", nets.NETS)
def test_a_rotation_leaves_the_reconstructions_of_the_means_unchanged(net: str) -> None:
    """The means are rotated, their total is not, and the average variances are those of the rotated posterior."""
    shape, latent = (1, 32, 32), 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder, decoder = nets.build(net, shape, latent)
    objective = METHODS["vae"]().build(Shape(shape, latent, 100))
    model = VAE(encoder, decoder, objective.likelihood, objective.prior, shape, 100).double().eval()
    x = torch.rand(50, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mean, logvar = model.posterior(x)
    out = model.out(mean)

    whole = torch.eye(latent, dtype=torch.float64)
    whole[:2, :2], whole[2:, 2:] = turn(35).double(), turn(-20).double()
    alignment = Alignment(latent, codes=50).double()
    alignment.window.copy_(torch.cat([mean, logvar], 1).detach())
    with torch.no_grad():
        alignment._rotate(model, torch.optim.Adam(model.parameters()), whole)
    rotated, changed = model.posterior(x)
    assert torch.allclose(rotated, mean @ whole.T, atol=1e-10)
    assert torch.allclose(model.out(rotated), out, atol=1e-8)
    assert torch.allclose(changed.mean(0), (logvar.exp() @ whole.square().T).log().mean(0), atol=1e-10)


def test_a_step_rotates_the_model_and_the_moments_and_lowers_the_total_correlation() -> None:
    """An encoder that gives a rotated square turns to its axes; Adam's moments turn with the weights."""
    objective = build(METHODS["aligned-vae"](every=1, codes=2000))
    model = toy(objective)
    optimiser = torch.optim.Adam(model.parameters())
    x = images(2000)
    p = forward(model, x, noise(2000))
    p.out.sum().backward()
    optimiser.step()
    head = head_of(model.encoder, SHAPE.latent)
    stem = stem_of(model.decoder, SHAPE.latent)
    moments = optimiser.state[stem.weight]["exp_avg"].clone()
    z = torch.cat([square(2000) @ turn(30).T, torch.zeros(2000, 1)], 1).double()
    logvar = torch.tensor([-6.0, -6.0, 0.0], dtype=torch.float64).expand(2000, 3)
    square_pass = p.__class__(x, z, logvar, z, p.out, p.dataset_size, p.prior, p.likelihood)
    before = head.weight.detach().clone()

    alignment = objective.alignment
    assert alignment is not None
    logs = alignment.step(
        model, square_pass, {"model": optimiser}, torch.Generator().manual_seed(0), step=1, progress=0.5
    )
    assert float(logs["tc_decrease"]) > 0.1
    moved = alignment.window[:, :3]
    assert entropy(moved[:, :2].T).sum() < entropy(z[:, :2].T).sum() - 0.1
    # The third latent is inactive and stays; the others are rotated by one matrix, in encoder, decoder and moments.
    back = torch.linalg.lstsq(z[:, :2], moved[:, :2]).solution.T
    assert torch.allclose(back @ back.T, torch.eye(2, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(head.weight[:2], back @ before[:2], atol=1e-5)
    assert torch.equal(head.weight[2], before[2])
    assert torch.allclose(optimiser.state[stem.weight]["exp_avg"][:, :2], moments[:, :2] @ back.T, atol=1e-6)


def test_latents_with_different_variances_keep_their_axes() -> None:
    alignment = Alignment(2, codes=2000, gap=1.0)
    mean = square(2000) @ turn(30).T
    similar, different = torch.tensor([-4.0, -4.5]), torch.tensor([-4.0, -6.0])
    assert alignment._partners(mean, similar.expand(2000, 2)) == [(1, 0)]
    assert alignment._partners(mean, different.expand(2000, 2)) == []
    assert alignment._partners(mean, similar.expand(2000, 2), is_apart=True) == []  # each is in a half of its own


def test_unused_latents_are_switched_off_at_the_end_and_only_then() -> None:
    objective = build(METHODS["aligned-vae"](every=1, codes=100))
    model, x = toy(objective), images(100)
    z = torch.cat([square(100), torch.full((100, 1), 1e-3)], 1).double()
    logvar = torch.tensor([-6.0, -6.0, -1e-3], dtype=torch.float64).expand(100, 3)
    p = forward(model, x, noise(100))
    codes = p.__class__(x, z, logvar, z, p.out, p.dataset_size, p.prior, p.likelihood)
    optimiser = torch.optim.Adam(model.parameters())
    alignment = objective.alignment
    assert alignment is not None
    alignment.step(model, codes, {"model": optimiser}, torch.Generator().manual_seed(0), step=1, progress=0.9)
    assert model.posterior(x)[0][:, 2].abs().min() > 0
    alignment.step(model, codes, {"model": optimiser}, torch.Generator().manual_seed(0), step=2, progress=0.96)
    mean, variance = model.posterior(x)
    assert torch.equal(mean[:, 2], torch.zeros(100, dtype=torch.float64))
    assert torch.equal(variance[:, 2], torch.zeros(100, dtype=torch.float64))
    assert mean[:, :2].abs().min() > 0


def test_a_net_without_linear_ends_is_refused() -> None:
    with torch.device("meta"):
        net = torch.nn.Sequential(torch.nn.Linear(4, 5))
    with pytest.raises(InputError, match="last layer is linear"):
        head_of(net, 3)
    with pytest.raises(InputError, match="first layer is linear"):
        stem_of(net, 3)
