"""The three parts of the KL: their laws, and loops over single densities."""

import itertools
import math
from typing import get_args

import pytest
import torch
from tests.terms.conftest import IMAGES, codes, log_normal, loops, of
from torch import Tensor

from equipoise import priors, terms
from equipoise.errors import InputError
from equipoise.model import Pass
from equipoise.terms import decomposition
from equipoise.terms.decomposition import stratified

WEIGHTINGS: list[terms.Weighting] = list(get_args(terms.Weighting))


def matrix(weights: terms.Weighting, batch: int, images: int) -> Tensor:
    """w [B, B], written out."""
    m = batch - 1
    w = torch.empty(batch, batch, dtype=torch.float64)
    for i, j in itertools.product(range(batch), repeat=2):
        if weights in ("batch", "mws"):
            w[i, j] = 1 / batch if weights == "batch" else 1 / (images * batch)
        elif i == j:
            w[i, j] = 1 / images
        elif weights == "mss_rb":
            w[i, j] = (images - 1) / (images * m)
        else:
            w[i, j] = (images - m) / (images * m) if j == (i + 1) % batch else 1 / m
    return w


@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_values_are_those_of_loops_over_single_densities(weights: terms.Weighting) -> None:
    p = codes(7, 3)
    joint, marginals = loops(p, matrix(weights, 7, IMAGES))
    triples = zip(p.z.detach(), p.mean.detach(), p.logvar.detach(), strict=True)
    own = [sum(log_normal(*numbers) for numbers in zip(*row, strict=True)) for row in triples]
    assert torch.allclose(terms.mi(p, weights), torch.tensor(own, dtype=torch.float64) - joint)
    assert torch.allclose(terms.tc(p, weights), joint - marginals)
    assert torch.allclose(terms.dim_kl(p, weights), marginals - p.prior.log_prob(p.z))


@pytest.mark.parametrize("weights", WEIGHTINGS)
@pytest.mark.parametrize("prior", [priors.StandardNormal(4), priors.LpNested([2, 2])])
def test_the_three_add_up_to_the_sampled_kl_of_each_image(weights: terms.Weighting, prior: priors.Prior) -> None:
    p = codes(12, 4, prior=prior)
    total = terms.mi(p, weights) + terms.tc(p, weights) + terms.dim_kl(p, weights)
    assert torch.allclose(total, terms.kl_mc(p).sum(1), atol=1e-12)


def test_mws_differs_from_the_mixture_of_the_batch_by_constants() -> None:
    p = codes(12, 3)
    log_n = math.log(IMAGES)
    assert torch.allclose(terms.mi(p, "mws") - terms.mi(p), torch.full((12,), log_n, dtype=torch.float64))
    assert torch.allclose(terms.tc(p, "mws") - terms.tc(p), torch.full((12,), 2 * log_n, dtype=torch.float64))
    assert torch.allclose(terms.dim_kl(p, "mws") - terms.dim_kl(p), torch.full((12,), -3 * log_n, dtype=torch.float64))


@pytest.mark.parametrize("batch", [2, 3, 12, IMAGES])
@pytest.mark.parametrize("rao_blackwell", [False, True])
def test_rows_of_stratified_weights_sum_to_one_with_one_nth_for_oneself(batch: int, rao_blackwell: bool) -> None:
    w = stratified(torch.zeros(batch, 1, dtype=torch.float64), IMAGES, rao_blackwell).exp()
    assert torch.allclose(w.sum(1), torch.ones(batch, dtype=torch.float64))
    assert torch.allclose(w.diagonal(), torch.full((batch,), 1 / IMAGES, dtype=torch.float64))
    assert torch.allclose(w, matrix("mss_rb" if rao_blackwell else "mss", batch, IMAGES))


@pytest.mark.parametrize("weights", ["mss", "mss_rb"])
def test_stratified_densities_are_unbiased_over_all_batches_that_hold_an_image(weights: terms.Weighting) -> None:
    everything = codes(5, 2, images=5)
    exact = terms.dim_kl(everything) + everything.prior.log_prob(everything.z)  # B = N: the mixture itself
    joint = terms.tc(everything) + exact
    found = []
    for others in itertools.permutations(range(1, 5), 2):
        rows = [0, *others]
        p = of(everything.mean[rows], everything.logvar[rows], everything.z[rows], images=5)
        marginals = terms.dim_kl(p, weights) + p.prior.log_prob(p.z)
        found.append((terms.tc(p, weights) + marginals)[0].exp())
    assert torch.allclose(torch.stack(found).mean(), joint[0].exp())


def test_averaged_stratified_weights_are_exact_where_the_batch_is_all_there_is_and_plain_ones_are_not() -> None:
    p = codes(12, 3, images=12)
    for term in (terms.mi, terms.tc, terms.dim_kl):
        assert torch.allclose(term(p, "mss_rb"), term(p), atol=1e-12)
        assert not torch.allclose(term(p, "mss"), term(p), atol=1e-2)


@pytest.mark.parametrize(("batch", "images"), [(1, 50), (12, 11)])
@pytest.mark.parametrize("weights", ["mss", "mss_rb"])
def test_stratified_weights_refuse_a_batch_without_others_or_larger_than_the_data(
    batch: int, images: int, weights: terms.Weighting
) -> None:
    with pytest.raises(InputError, match=rf"batch of {batch} out of {images} images; .* train\.batch"):
        terms.tc(codes(batch, images=images), weights)


def test_weights_of_another_name_are_refused() -> None:
    with pytest.raises(InputError, match=r"did you mean mss\?"):
        terms.tc(codes(), "msss")  # type: ignore[arg-type]


def test_one_dimension_has_no_total_correlation() -> None:
    assert torch.equal(terms.tc(codes(12, 1)), torch.zeros(12, dtype=torch.float64))


def test_mutual_information_of_a_batch_is_at_most_the_log_of_its_size() -> None:
    assert torch.allclose(terms.mi(codes(12, 3, logvar=-20.0)), torch.full((12,), math.log(12), dtype=torch.float64))


@pytest.mark.parametrize(
    ("latent", "correlation", "exact", "batches", "tolerance"),
    [
        (3, 0.6, 0.2, {"batch": 0.6, "mss": -0.1, "mss_rb": -0.1, "mws": 15.8}, 0.15),
        (10, 0.0, 5, {"batch": 8, "mss": 5, "mss_rb": 5, "mws": 76}, 0.6),
    ],
)
def test_the_bias_of_small_batches_is_as_stated(
    latent: int, correlation: float, exact: float, batches: dict[terms.Weighting, float], tolerance: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    mean, noise = (torch.randn(2000, latent, generator=generator, dtype=torch.float64) for _ in range(2))
    mean[:, 1] = correlation * mean[:, 0] + (1 - correlation**2) ** 0.5 * mean[:, 1]
    p = of(mean, torch.full_like(mean, 2 * math.log(0.3)), mean + 0.3 * noise, images=2000)
    assert float(terms.tc(p).mean()) == pytest.approx(exact, abs=tolerance)
    for weights, value in batches.items():
        draws = [torch.randperm(2000, generator=generator)[:64] for _ in range(60)]
        assert float(sum(terms.tc(reordered(p, i), weights).mean() for i in draws)) / 60 == pytest.approx(
            value, abs=tolerance
        )


def reordered(p: Pass, order: Tensor) -> Pass:
    return of(p.mean[order], p.logvar[order], p.z[order], p.dataset_size)


@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_the_order_of_the_batch_matters_to_mss_alone(weights: terms.Weighting) -> None:
    p, order = codes(12, 3), torch.randperm(12, generator=torch.Generator().manual_seed(3))
    for term in (terms.mi, terms.tc, terms.dim_kl):
        same = torch.allclose(term(reordered(p, order), weights), term(p, weights)[order])
        assert same == (weights != "mss")


@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_duplicating_the_batch_matters_to_stratified_weights_alone(weights: terms.Weighting) -> None:
    """`mws` and `batch` divide by B what has doubled."""
    p = codes(12, 3)
    same = torch.allclose(terms.tc(reordered(p, torch.arange(24) % 12), weights)[:12], terms.tc(p, weights))
    assert same == (weights in ("batch", "mws"))


@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_gradients_of_the_parts_are_those_of_finite_differences(weights: terms.Weighting) -> None:
    p = codes(5, 2)
    inputs = [t.detach().requires_grad_() for t in (p.mean, p.logvar, p.z)]

    def parts(mean: Tensor, logvar: Tensor, z: Tensor) -> tuple[Tensor, ...]:
        other = of(mean, logvar, z)
        return terms.mi(other, weights), terms.tc(other, weights), terms.dim_kl(other, weights)

    assert torch.autograd.gradcheck(parts, inputs)


def test_the_parts_share_one_mixture_and_what_is_logged_first_takes_no_gradient_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def counted(*args: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(torch.is_grad_enabled())
        return original(*args)

    original = decomposition.log_mixture
    monkeypatch.setattr(decomposition, "log_mixture", counted)
    p = codes()
    with torch.no_grad():
        logged = terms.tc(p)
    assert not logged.requires_grad
    total = terms.mi(p) + terms.tc(p, "mws") + terms.dim_kl(p)
    assert total.requires_grad
    with torch.no_grad():
        assert torch.equal(terms.tc(p), logged)
    assert calls == [False, True]
