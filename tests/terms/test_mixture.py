"""The hand-written mixture against autograd of its definition: values, gradients, precision, pieces."""

import math

import pytest
import torch
from tests.terms.conftest import codes
from torch import Tensor

from equipoise.terms import mixture
from equipoise.terms.mixture import log_mixture


def defined(z: Tensor, mean: Tensor, logvar: Tensor, log_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The definition."""
    log_q = -0.5 * ((z[:, None] - mean).square() / logvar.exp() + logvar + math.log(2 * math.pi))
    w = torch.zeros(len(z), len(z), dtype=z.dtype) if log_weights is None else log_weights
    return torch.logsumexp(w + log_q.sum(2), 1), torch.logsumexp(w[:, :, None] + log_q, 1).sum(1)


def leaves(batch: int, latent: int, logvar: float = -1.0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    p = codes(batch, latent, logvar=logvar)
    return [t.detach().to(dtype).requires_grad_() for t in (p.z, p.mean, p.logvar)]


def some_weights(batch: int) -> Tensor:
    return torch.randn(batch, batch, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def gradients(f: object, inputs: list[Tensor], *weights: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Both values, and the gradients of a mean in which every row and output weighs differently."""
    joint, marginals = f(*inputs, *weights)  # type: ignore[operator]
    up = torch.linspace(-1, 2, len(joint), dtype=joint.dtype)
    given = torch.autograd.grad((up * joint + (up + 0.5) * marginals).mean(), inputs)
    return joint.detach(), marginals.detach(), list(given)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_finite_differences(weighted: bool) -> None:
    weights = [some_weights(5)] if weighted else []
    assert torch.autograd.gradcheck(lambda *inputs: log_mixture(*inputs, *weights), leaves(5, 3))


@pytest.mark.parametrize("weighted", [False, True])
def test_values_and_gradients_are_those_of_the_definition(weighted: bool) -> None:
    weights = [some_weights(17)] if weighted else []
    ours = gradients(log_mixture, leaves(17, 4), *weights)
    theirs = gradients(defined, leaves(17, 4), *weights)
    for a, b in zip([*ours[:2], *ours[2]], [*theirs[:2], *theirs[2]], strict=True):
        assert torch.allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("stored", [0, 10**9])
def test_computing_in_pieces_changes_nothing(stored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of codes are independent, so values are the same to the bit; gradients are sums, added in another order."""
    weights = some_weights(17)
    whole = gradients(log_mixture, leaves(17, 4), weights)
    monkeypatch.setattr(mixture, "CHUNK", 17 * 4 * 5)  # 5 rows at once, and 2 at the end
    monkeypatch.setattr(mixture, "MAX_STORED", stored)
    pieces = gradients(log_mixture, leaves(17, 4), weights)
    assert torch.equal(whole[0], pieces[0])
    assert torch.equal(whole[1], pieces[1])
    for a, b in zip(whole[2], pieces[2], strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-14)


def test_densities_that_are_not_stored_are_computed_again_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gradients(log_mixture, leaves(17, 4))
    monkeypatch.setattr(mixture, "MAX_STORED", 0)
    anew = gradients(log_mixture, leaves(17, 4))
    assert all(torch.equal(a, b) for a, b in zip([*whole[:2], *whole[2]], [*anew[:2], *anew[2]], strict=True))


@pytest.mark.parametrize(("logvar", "tolerance"), [(-1.0, 1e-6), (-3.0, 2e-6), (-6.0, 1e-5)])
def test_single_precision_is_enough_for_sharp_posteriors(logvar: float, tolerance: float) -> None:
    """The error grows with |mean| / standard deviation, 20 on average at -6, as does that of z itself."""
    single = leaves(64, 10, logvar, torch.float32)
    double = [t.detach().double().requires_grad_() for t in single]
    ours, exact = gradients(log_mixture, single), gradients(defined, double)
    for a, b in zip([*ours[:2], *ours[2]], [*exact[:2], *exact[2]], strict=True):
        assert float((a - b).abs().max()) < tolerance * float(b.abs().max())


def test_codes_far_from_every_posterior_have_finite_values_and_gradients() -> None:
    """A sum of densities would be 0 and its logarithm infinite."""
    single = leaves(8, 3, -4.0, torch.float32)
    single[0] = (single[0].detach() + 100).requires_grad_()
    ours = gradients(log_mixture, single)
    exact = gradients(defined, [t.detach().double().requires_grad_() for t in single])
    for a, b in zip([*ours[:2], *ours[2]], [*exact[:2], *exact[2]], strict=True):
        assert torch.allclose(a.double(), b, rtol=1e-4)


def test_the_graph_can_be_used_twice() -> None:
    inputs = leaves(6, 2)
    total = sum(t.sum() for t in log_mixture(*inputs))
    assert isinstance(total, Tensor)
    first = torch.autograd.grad(total, inputs, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(first, torch.autograd.grad(total, inputs), strict=True))
