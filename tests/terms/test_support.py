"""The distances of codes from the prior and from a product of marginals, against samples and loops."""

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
from tests.conftest import build, forward, images, noise, toy
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from equipoise.errors import InputError
from equipoise.methods.vae import PlainVAE
from equipoise.model import Pass
from equipoise.priors import LpNested
from equipoise.terms import hausdorff, mmd, support


def codes(z: Tensor) -> Pass:
    """A pass with these codes as means and samples."""
    p = forward(toy(build(PlainVAE())), images(12), noise(12))
    return dataclasses.replace(p, mean=z, z=z)


def draws(n: int, latent: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(n, latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(a: Tensor, b: Tensor) -> Tensor:
    return torch.exp(-torch.cdist(a, b).square() / (2 * a.shape[1]))


def test_mmd_is_that_of_many_draws_of_the_prior() -> None:
    z, prior, other = 0.5 * draws(20) + 0.4, draws(4000, seed=1), draws(4000, seed=2)
    expected = kernel(z, z).mean() - 2 * kernel(z, prior).mean() + kernel(prior, other).mean()
    assert float(mmd(codes(z))) == pytest.approx(float(expected), abs=0.01)


def test_mmd_of_draws_of_the_prior_has_the_stated_mean_and_is_larger_for_others() -> None:
    of_prior = sum(float(mmd(codes(draws(50, seed=seed)))) for seed in range(200)) / 200
    assert of_prior == pytest.approx((1 - (3 / 5) ** 1.5) / 50, rel=0.1)
    for other in (draws(50) + 1, 0.1 * draws(50), draws(50)[:1].expand(50, 3)):
        assert float(mmd(codes(other))) > 4 * of_prior


def test_mmd_needs_the_standard_normal_prior() -> None:
    p = dataclasses.replace(codes(draws(4)), prior=LpNested([2, 1]))
    with pytest.raises(InputError, match="mmd needs the prior standard-normal, and it is lp-nested"):
        mmd(p)


def test_the_hausdorff_distance_is_that_of_a_loop() -> None:
    z = draws(7, latent=4)
    expected = 0.0
    for i, j in itertools.combinations(range(4), 2):
        points = [(a, b) for a in z[:, i].tolist() for b in z[:, j].tolist()]
        rows = z[:, [i, j]].tolist()
        expected += max(min(math.dist(point, row) for row in rows) for point in points)
    assert float(hausdorff(codes(z))) == pytest.approx(expected)


def test_a_grid_has_distance_0_and_its_diagonal_the_distance_of_the_empty_corner() -> None:
    grid = torch.cartesian_prod(torch.arange(3.0), torch.arange(4.0)).double().requires_grad_()
    value = hausdorff(codes(grid))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert grid.grad is not None
    assert bool(grid.grad.isfinite().all())
    diagonal = torch.arange(4.0)[:, None].expand(4, 2).double()
    assert float(hausdorff(codes(diagonal))) == pytest.approx(math.sqrt(5))  # (0, 3) and (1, 1)


def test_gradients_are_those_of_finite_differences() -> None:
    for term in (mmd, hausdorff):
        z = draws(6).requires_grad_()
        assert torch.autograd.gradcheck(lambda values, term=term: term(codes(values)), z)


class Largest(TorchDispatchMode):
    """Records the number of entries of the largest tensor that is computed."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple) else (result,):
            self.size = max(self.size, each.numel() if isinstance(each, Tensor) else 0)
        return result


def test_slices_of_the_hausdorff_distance_have_its_value_and_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    z = draws(64).float().requires_grad_()
    with Largest() as whole:
        value = hausdorff(codes(z))
    (gradient,) = torch.autograd.grad(value, z)
    assert whole.size == 64**3
    monkeypatch.setattr(support, "LARGEST", 5 * 64**2 + 1)
    with Largest() as part:
        sliced = hausdorff(codes(z))
    assert part.size == 5 * 64**2, "five rows at a time"
    assert torch.equal(sliced, value)
    assert torch.equal(torch.autograd.grad(sliced, z)[0], gradient)
