"""The density of the L^p-nested prior: the paper's formulas, special cases, symmetries, limits, learned exponents."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import gammaln
from tests.priors.paper import TREES, count, log_surface, norm, normal
from torch.distributions import Normal

from equipoise.errors import InputError
from equipoise.priors import LpNested, StandardNormal


@pytest.mark.parametrize("beta", [False, True])
@pytest.mark.parametrize(("layout", "p0", "p"), TREES)
def test_log_prob_is_that_of_the_paper(layout: Any, p0: float, p: list[float], beta: bool) -> None:
    """psi_0(f) / (f^(n-1) S_f(1)), Eqs. 7 and 11, with both forms of S_f."""
    n, s = count(layout), 1.4
    z = normal(30, n)
    f = norm(layout, iter([p0, *p]), z.numpy())
    psi = math.log(p0) + (n - 1) * np.log(f) - f**p0 / s - gammaln(n / p0) - n / p0 * math.log(s)
    naive = psi - (n - 1) * np.log(f) - n * math.log(2) - log_surface(layout, iter([p0, *p]), beta)
    ours = LpNested(layout, p0, p, scale=s).log_prob(z).numpy()
    assert np.abs(ours - naive).max() < 1e-10


@pytest.mark.parametrize("layout", [[3], [1, 2], [4, 4], [[2, 3], 4]])
def test_exponents_of_two_and_a_scale_of_two_are_the_standard_normal(layout: Any) -> None:
    prior = LpNested(layout, p0=2, p=2, scale=2)
    z = normal(50, prior.latent)
    standard = Normal(*torch.tensor([0.0, 1.0], dtype=torch.float64)).log_prob(z).sum(1)
    assert (prior.log_prob(z) - standard).abs().max() < 1e-12
    # A scale of 1 is a variance of 1/2.
    half = LpNested(layout, p0=2, p=2).log_prob(z / 2**0.5) - prior.latent * math.log(2) / 2
    assert (half - standard).abs().max() < 1e-12


@pytest.mark.parametrize("p", [1.0, 1.6, 2.3])
def test_equal_exponents_are_a_product_of_generalised_normals(p: float) -> None:
    z, s = normal(50, 6), 0.7
    each = math.log(p) - z.abs() ** p / s - math.log(2) - math.lgamma(1 / p) - math.log(s) / p
    for layout in ([6], [1] * 6, [2, 4], [[1, 2], 3]):
        assert (LpNested(layout, p, p, scale=s).log_prob(z) - each.sum(1)).abs().max() < 1e-12


@pytest.mark.parametrize(("layout", "p0", "p"), [([2], 2.1, 2.2), ([2], 1.0, 3.0), ([1, 1], 1.5, 1.0), ([2], 3.0, 1.3)])
def test_the_density_integrates_to_one(layout: list[int], p0: float, p: float) -> None:
    middle = (torch.arange(1500, dtype=torch.float64) + 0.5) / 1500 * (15 if p0 < 2 else 6)
    z = torch.cartesian_prod(middle, middle)
    quadrant = LpNested(layout, p0, p).log_prob(z).exp().sum() * (middle[1] - middle[0]) ** 2
    assert abs(4 * float(quadrant) - 1) < 1e-4


def test_parts_are_the_densities_of_the_subspaces_and_add_up() -> None:
    z = normal(20, 9)
    prior = LpNested([4, [2, 3]], p=[2.2, 1.5, 2.5, 1.2])
    parts = prior.parts(z)
    assert parts.shape == (20, 2)
    assert torch.allclose(parts.sum(1), prior.log_prob(z))
    assert torch.allclose(parts[:, 0], LpNested([4], p=2.2).log_prob(z[:, :4]))
    assert torch.allclose(parts[:, 1], LpNested([[2, 3]], p=[1.5, 2.5, 1.2]).log_prob(z[:, 4:]))


def test_pool_sums_over_the_dimensions_of_each_part() -> None:
    t = normal(5, 9)
    expected = torch.stack([t[:, :4].sum(1), t[:, 4:].sum(1)], 1)
    for layout in ([4, [2, 3]], [4, 5]):
        assert torch.allclose(LpNested(layout).pool(t), expected)
    assert torch.equal(StandardNormal(9).pool(t), t)


def test_signs_and_orders_within_and_of_equal_subspaces_change_nothing() -> None:
    prior, z = LpNested([3, 3, 2]), normal(20, 8)
    density = prior.log_prob(z)
    assert torch.allclose(prior.log_prob(z * torch.sign(normal(8, seed=1))), density)
    assert torch.allclose(prior.log_prob(z[:, [2, 0, 1, 3, 5, 4, 7, 6]]), density)
    assert torch.allclose(prior.log_prob(z[:, [3, 4, 5, 0, 1, 2, 6, 7]]), density)
    assert not torch.allclose(prior.log_prob(z[:, [0, 1, 6, 3, 4, 5, 2, 7]]), density, atol=1e-3)


def test_rotations_of_a_subspace_are_free_only_for_an_exponent_of_two() -> None:
    z, rotation = normal(20, 8), torch.eye(8, dtype=torch.float64)
    rotation[:4, :4] = torch.linalg.qr(normal(4, 4, seed=1)).Q
    for p, free in ((2.0, True), (2.2, False), (1.8, False)):
        prior = LpNested([4, 4], p=[p, 2.2])
        change = (prior.log_prob(z @ rotation) - prior.log_prob(z)).abs()
        assert change.max() < 1e-12 if free else change.median() > 1e-3


# Values and gradients where they could break down.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("layout", "p0", "p"), [*TREES, ([4, 4], 1.1, [3.0, 3.0]), ([3], 0.8, [9.0])])
def test_value_and_gradients_are_finite_at_zero(layout: Any, p0: float, p: list[float], dtype: torch.dtype) -> None:
    prior = LpNested(layout, p0, [q + 0.1 for q in p], learned=True).to(dtype)
    near = prior.log_prob(normal(1, prior.latent).to(dtype) * 1e-6).detach()
    z = normal(3, prior.latent).to(dtype)
    z[0] = 0
    z[1, : prior.sizes[0]] = 0  # one part
    z[2, 0] = 0
    z.requires_grad_()
    density = prior.log_prob(z)
    density.sum().backward()
    density = density.detach()
    assert density.dtype == dtype
    assert density.isfinite().all()
    assert density[0] == pytest.approx(float(near), abs=1e-3)
    for gradient in (z.grad, prior.raw.grad):
        assert gradient is not None
        assert gradient.isfinite().all()
    assert z.grad is not None
    assert (z.grad[0] == 0).all()
    assert (z.grad[1, : prior.sizes[0]] == 0).all()
    assert z.grad[2, 0] == 0


def test_large_exponents_and_distant_codes_neither_over_nor_underflow() -> None:
    prior = LpNested([2, 2], p0=2.0, p=9.0)
    for size in (1e6, 1e-6):
        z = torch.tensor([[1.0, 0.5, 0.0, 0.0]]) * size
        r = size * (1 + 0.5**9) ** (1 / 9)
        peak = prior.log_prob(torch.zeros(1, 4))
        assert torch.allclose(peak - prior.log_prob(z), torch.tensor([r**2]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("layout", "p0", "p"), TREES)
def test_gradients_are_those_of_finite_differences(layout: Any, p0: float, p: list[float]) -> None:
    p = [q + 0.2 for q in p]
    prior = LpNested(layout, p0, p, learned=True).double()
    z = normal(4, prior.latent).requires_grad_()
    assert torch.autograd.gradcheck(prior.log_prob, (z,))
    prior.log_prob(z).sum().backward()
    assert prior.raw.grad is not None
    by_exponent, z = prior.raw.grad / torch.sigmoid(prior.raw.detach()), z.detach()
    for k in range(len(p)):
        up, down = ([*p[:k], p[k] + step, *p[k + 1 :]] for step in (1e-5, -1e-5))
        slope = (LpNested(layout, p0, up).log_prob(z) - LpNested(layout, p0, down).log_prob(z)).sum() / 2e-5
        assert float(by_exponent[k]) == pytest.approx(float(slope), abs=1e-4)


def test_precision_follows_the_codes_and_is_never_half() -> None:
    prior = LpNested([4] * 5)
    z = normal(6, 20)
    exact = prior.log_prob(z)
    assert exact.dtype == torch.float64
    assert prior.log_prob(z.half()).dtype == torch.float32
    assert torch.allclose(prior.log_prob(z.float()).double(), exact, atol=1e-4)
    assert torch.equal(copy.deepcopy(prior).double().log_prob(z), exact)


# Learned exponents.


def test_learned_exponents_start_at_p_are_the_only_parameters_and_never_reach_p_min() -> None:
    prior = LpNested([4, 4], p=[2.0, 2.5], learned=True, p_min=1.8)
    assert torch.allclose(prior.exponents, torch.tensor([2.0, 2.5]))
    assert torch.equal(prior.logs()["exponents"], prior.exponents)
    assert {name for name, _ in prior.named_parameters()} == {"raw"}
    fixed = LpNested([4, 4], p=[2.0, 2.5])
    assert (list(fixed.parameters()), fixed.state_dict(), fixed.logs()) == ([], {}, {})
    z = normal(10, 8)
    assert torch.allclose(prior.double().log_prob(z), fixed.log_prob(z), atol=1e-5)
    with torch.no_grad():
        prior.raw.fill_(-20.0)
    assert (prior.exponents > 1.8).all()


def test_descent_finds_the_exponents_of_draws() -> None:
    z = LpNested([4, 4], p=[1.4, 3.0]).sample(5_000, torch.Generator().manual_seed(7))
    prior = LpNested([4, 4], p=2.0, learned=True)
    optimiser = torch.optim.Adam(prior.parameters(), lr=0.1)
    for _ in range(50):
        optimiser.zero_grad()
        (-prior.log_prob(z).mean()).backward()
        optimiser.step()
    assert torch.allclose(prior.exponents, torch.tensor([1.4, 3.0]), atol=0.1)


def test_state_round_trip_and_copy_give_the_same_density() -> None:
    prior = LpNested([[2, 3], 4], learned=True)
    with torch.no_grad():
        prior.raw += torch.arange(4) / 10
    other = LpNested([[2, 3], 4], p=3.0, learned=True)
    other.load_state_dict(prior.state_dict())
    z = normal(5, 9)
    for same in (other, copy.deepcopy(prior)):
        assert torch.equal(same.log_prob(z), prior.log_prob(z))


@pytest.mark.parametrize("learned", [False, True])
def test_settings_can_be_checked_on_the_meta_device(learned: bool) -> None:
    with torch.device("meta"):
        prior = LpNested([4] * 5, learned=learned, scale="unit_variance")
        assert prior.log_prob(torch.zeros(3, 20)).shape == (3,)
        with pytest.raises(InputError):
            LpNested([4, 0])
    assert prior.exponents.is_meta
    assert prior.scale == pytest.approx(2.0931, abs=5e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": []}, r"layout has \[\] where sizes"),
        ({"layout": 4}, "layout has 4 where sizes"),
        ({"layout": [[2], []]}, r"layout has \[\] where sizes"),
        ({"layout": [4, 0]}, "a subspace of size 0"),
        ({"layout": [4, 2.0]}, r"a subspace of size 2\.0"),
        ({"layout": [4, True]}, "a subspace of size True"),
        ({"p": 0.9}, r"p is 0\.9, 0\.9; expected exponents of 1 or more"),
        ({"p": float("nan")}, "p is nan"),
        ({"p": [2.0, 2.0, 2.0]}, "p has 3 exponents, but the layout takes 2"),
        ({"layout": [[2, 3], 4], "p": [2.0, 2.0]}, "p has 2 exponents, but the layout takes 4"),
        ({"p0": 0.0}, "p0 is 0; expected a positive number"),
        ({"scale": 0.0}, r"scale is 0\.0"),
        ({"scale": "unit"}, "scale is 'unit'; expected a positive number, or \"unit_variance\""),
        ({"p": 1.8, "learned": True, "p_min": 1.8}, r"p_min is 1\.8 and p starts from 1\.8"),
        ({"learned": True, "p_min": 0.5}, r"p_min is 0\.5"),
        ({"layout": [1, 1], "learned": True}, "have no effect"),
    ],
)
def test_settings_out_of_range_are_refused_in_a_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LpNested(**{"layout": [4, 4], **settings})


def test_codes_of_another_width_are_refused() -> None:
    with pytest.raises(InputError, match="z has 7 dimensions; expected 8"):
        LpNested([4, 4]).log_prob(torch.zeros(2, 7))
