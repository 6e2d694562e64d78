"""The moments of DIP-VAE: their laws."""

import numpy as np
import pytest
import torch
from tests.terms.conftest import codes, of

from equipoise import terms
from equipoise.errors import InputError


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_values_are_those_of_loops_over_the_covariance(kind: terms.Kind) -> None:
    p = codes(40, 4)
    m = np.cov(p.mean.detach().numpy().T, bias=True)
    if kind == "ii":
        m += np.diag(np.exp(p.logvar.detach().numpy()).mean(0))
    off = sum(m[i, j] ** 2 for i in range(4) for j in range(4) if i != j)
    assert float(terms.cov_off(p, kind).detach()) == pytest.approx(off)
    assert float(terms.cov_diag(p, kind).detach()) == pytest.approx(sum((m[i, i] - 1) ** 2 for i in range(4)))


def test_whitened_means_have_no_penalty_of_the_first_kind() -> None:
    p = codes(40, 4)
    centred = p.mean.detach() - p.mean.detach().mean(0)
    white = centred @ torch.linalg.cholesky(torch.linalg.inv(centred.T @ centred / 40))
    q = of(white, p.logvar, p.z)
    assert float(terms.cov_off(q, "i").detach()) == pytest.approx(0, abs=1e-20)
    assert float(terms.cov_diag(q, "i").detach()) == pytest.approx(0, abs=1e-20)


def test_the_kinds_differ_by_the_mean_variance_on_the_diagonal_alone() -> None:
    p = codes(40, 4)
    assert torch.equal(terms.cov_off(p, "i"), terms.cov_off(p, "ii"))
    one = p.mean.var(0, correction=0) + p.logvar.exp().mean(0)
    assert torch.allclose(terms.cov_diag(p, "ii"), (one - 1).square().sum())


def test_one_dimension_has_nothing_off_the_diagonal() -> None:
    assert float(terms.cov_off(codes(12, 1)).detach()) == 0


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_neither_order_nor_copies_of_the_batch_matter(kind: terms.Kind) -> None:
    p, order = codes(12, 3), torch.randperm(12, generator=torch.Generator().manual_seed(3)).repeat(2)
    q = of(p.mean[order], p.logvar[order], p.z[order])
    for term in (terms.cov_off, terms.cov_diag):
        assert torch.allclose(term(p, kind), term(q, kind))


def test_gradients_are_those_of_finite_differences() -> None:
    p = codes(6, 3)
    inputs = [t.detach().requires_grad_() for t in (p.mean, p.logvar)]
    assert torch.autograd.gradcheck(lambda m, v: terms.cov_off(of(m, v, m)) + terms.cov_diag(of(m, v, m)), inputs)


def test_a_kind_of_another_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"did you mean ii\?"):
        terms.cov_off(codes(), "iii")  # type: ignore[arg-type]
