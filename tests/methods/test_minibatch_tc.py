"""beta-TCVAE, ISA-beta-TCVAE and DIP-VAE against their formulas, written out by hand on a fixed batch."""

import math
from typing import get_args

import pytest
import torch
from tests.conftest import SHAPE, clock, forward, images, noise, toy
from torch import Tensor
from torch.distributions import Normal

from equipoise import terms
from equipoise.errors import InputError
from equipoise.methods.beta_tcvae import BetaTCVAE
from equipoise.methods.dip_vae import DIPVAE
from equipoise.methods.isa_tcvae import ISATCVAE
from equipoise.methods.isa_vae import ISAVAE
from equipoise.methods.method import Method
from equipoise.methods.vae import PlainVAE
from equipoise.model import Pass

B, N = 12, SHAPE.images
WEIGHTINGS: list[terms.Weighting] = list(get_args(terms.Weighting))
SMALL = {"layout": (2, 1), "likelihood": "bernoulli"}


def evaluated(method: Method) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor], Pass]:
    """Loss, log and the networks' gradients of a toy model on the fixed batch, and the pass."""
    objective = method.build(SHAPE).double()
    model = toy(objective)
    p = forward(model, images(B), noise(B))
    loss, logs = objective(p, clock())
    loss.backward()
    networks = {**dict(model.encoder.named_parameters("e")), **dict(model.decoder.named_parameters("d"))}
    return loss.detach(), logs, {name: parameter.grad for name, parameter in networks.items()}, p


def same(left: Method, right: Method) -> bool:
    """Whether two methods have the same loss and the same gradients."""
    (a, _, ours, _), (b, _, theirs, _) = evaluated(left), evaluated(right)
    return torch.allclose(a, b) and all(torch.allclose(ours[name], theirs[name], atol=1e-10) for name in theirs)


def by_hand(p: Pass, log_w: Tensor) -> tuple[float, float, float, float, float]:
    """R, the three parts of the KL, and the closed KL, from the definitions."""
    z, mean, logvar = p.z.detach(), p.mean.detach(), p.logvar.detach()
    log_q = Normal(mean, (0.5 * logvar).exp()).log_prob(z[:, None])  # [i, j, k]
    joint = torch.logsumexp(log_w + log_q.sum(2), 1)
    marginals = torch.logsumexp(log_w[:, :, None] + log_q, 1).sum(1)
    own = torch.diagonal(log_q.sum(2))
    rec = torch.nn.functional.binary_cross_entropy_with_logits(p.out.detach(), p.x, reduction="sum") / len(z)
    kl = 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum() / len(z)
    mi, tc = (own - joint).mean(), (joint - marginals).mean()
    return float(rec), float(mi), float(tc), float((marginals - p.prior.log_prob(z).detach()).mean()), float(kl)


def mws() -> Tensor:
    return torch.full((B, B), -math.log(N * B), dtype=torch.float64)


def test_the_loss_of_beta_tcvae_is_its_formula() -> None:
    loss, logs, _, p = evaluated(BetaTCVAE(alpha=0.5, beta=3.0, gamma=2.0))
    rec, mi, tc, dim_kl, kl = by_hand(p, mws())
    assert float(loss) == pytest.approx(rec + 0.5 * mi + 3 * tc + 2 * dim_kl)
    assert {name: float(logs[f"weight.{name}"]) for name in ("mi", "tc", "dim_kl")} == {"mi": 0.5, "tc": 3, "dim_kl": 2}
    assert float(logs["kl"]) == pytest.approx(kl)


def test_the_default_takes_the_closed_form_of_the_kl() -> None:
    loss, logs, _, p = evaluated(BetaTCVAE())
    rec, _, tc, _, kl = by_hand(p, mws())
    assert float(loss) == pytest.approx(rec + kl + 5 * tc)
    assert float(logs["kl"]) == pytest.approx(kl)


@pytest.mark.parametrize("form", ["analytic", "mc"])
def test_the_log_shows_the_parts_without_the_constants_of_mws(form: str) -> None:
    _, logs, _, p = evaluated(BetaTCVAE(form=form))  # type: ignore[arg-type]
    _, mi, tc, dim_kl, _ = by_hand(p, mws() + math.log(N))
    assert [float(logs[name]) for name in ("mi", "tc", "dim_kl")] == pytest.approx([mi, tc, dim_kl])


@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_beta_tcvae_at_one_is_the_vae(weights: terms.Weighting) -> None:
    (loss, _, ours, _), (vae, _, theirs, _) = evaluated(BetaTCVAE(beta=1.0, weights=weights)), evaluated(PlainVAE())
    assert torch.equal(loss, vae)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_beta_tcvae_at_one_by_monte_carlo_is_the_vae_with_a_sampled_kl(weights: terms.Weighting) -> None:
    loss, _, _, p = evaluated(BetaTCVAE(beta=1.0, form="mc", weights=weights))
    log_q = Normal(p.mean, (0.5 * p.logvar).exp()).log_prob(p.z)
    sampled = (log_q - Normal(0.0, 1.0).log_prob(p.z)).sum(1).mean()
    assert torch.allclose(loss, p.likelihood(p.out, p.x).mean() + sampled)


def test_mws_and_the_mixture_of_the_batch_have_the_same_gradients() -> None:
    _, _, ours, _ = evaluated(BetaTCVAE(weights="mws"))
    _, _, theirs, _ = evaluated(BetaTCVAE(weights="batch"))
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-12) for name in theirs)


def test_the_closed_form_is_refused_where_it_does_not_hold() -> None:
    with pytest.raises(InputError, match=r"alpha = gamma = 1, and they are 0 and 1; take form=mc"):
        BetaTCVAE(alpha=0.0, form="analytic").build(SHAPE)


def test_the_loss_of_isa_tcvae_is_its_formula() -> None:
    loss, logs, _, p = evaluated(ISATCVAE(beta=3.0, **SMALL))
    rec, mi, tc, dim_kl, _ = by_hand(p, mws())
    assert float(loss) == pytest.approx(rec + mi + 3 * tc + dim_kl)
    assert torch.allclose(logs["kl"], p.prior.kl(p.mean, p.logvar, p.z).sum(1).mean())
    assert torch.allclose(logs["mi"] + logs["tc"] + logs["dim_kl"], logs["kl"])


@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_isa_tcvae_at_one_is_isa_vae(weights: terms.Weighting) -> None:
    assert same(ISATCVAE(beta=1.0, weights=weights, **SMALL), ISAVAE(beta=1.0, **SMALL))


def test_learned_exponents_of_isa_tcvae_get_a_gradient_and_a_rate_of_their_own() -> None:
    objective = ISATCVAE(learned=True, prior_lr=5e-4, **SMALL).build(SHAPE).double()
    model = toy(objective)
    objective(forward(model, images(B), noise(B)), clock())[0].backward()
    (raw,) = objective.prior.parameters()
    assert raw.grad.isfinite().all()
    assert raw.grad.abs().max() > 0
    (group,) = (group for group in objective.parameter_groups(model) if any(raw is one for one in group["params"]))
    assert group["lr"] == 5e-4


@pytest.mark.parametrize(("kind", "diagonal"), [("i", 100.0), ("ii", 10.0)])
def test_the_loss_of_dip_vae_is_its_formula(kind: terms.Kind, diagonal: float) -> None:
    loss, logs, _, p = evaluated(DIPVAE(kind=kind))
    rec, _, _, _, kl = by_hand(p, mws())
    mean = p.mean.detach()
    m = mean.T @ mean / B - mean.mean(0).outer(mean.mean(0))
    if kind == "ii":
        m = m + torch.diag(p.logvar.detach().exp().mean(0))
    on = torch.diagonal(m)
    off = float(m.square().sum() - on.square().sum())
    assert float(loss) == pytest.approx(rec + kl + 10 * off + diagonal * float((on - 1).square().sum()))
    assert float(logs["cov_off"]) == pytest.approx(off)


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_dip_vae_without_weights_is_the_vae(kind: terms.Kind) -> None:
    assert same(DIPVAE(kind=kind, lambda_od=0.0), PlainVAE())


def test_the_weight_of_the_diagonal_can_be_given() -> None:
    assert DIPVAE(kind="i", lambda_od=2.0).diagonal == 20
    assert DIPVAE(lambda_od=2.0).diagonal == 2
    assert DIPVAE(lambda_od=2.0, lambda_d=0.0).diagonal == 0
