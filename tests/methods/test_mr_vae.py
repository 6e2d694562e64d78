"""mr-vae: gates, the loss and the ordinary model of one beta, against formulas written out by hand."""

import math
from typing import Any

import pytest
import torch
from tests.conftest import SHAPE, SMALL, build, clock, forward, images, noise, toy
from tests.methods.conftest import B, loss_and_gradients, same

from equipoise import gates, nets
from equipoise.errors import InputError
from equipoise.gates import Gated, Rates
from equipoise.methods import Shape
from equipoise.methods.beta_vae import BetaVAE
from equipoise.methods.isa_vae import ISAVAE
from equipoise.methods.mr_vae import MRVAE
from equipoise.model import VAE

RATES, PUBLISHED = Rates(0.1, 10.0, 1.0), Rates(0.01, 10.0, 1.0)

WIDE = Shape((3, 16, 12), latent=4, images=10)


def opened(model: VAE, seed: int = 5) -> VAE:
    """Give all gates slopes and offsets of their own."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for gate in (module for module in model.modules() if isinstance(module, gates.Gate)):
            for values in (gate.slope, gate.offset):
                values += 0.2 * torch.randn(len(values), generator=generator, dtype=torch.float64)
    return model


def a_model(**settings: Any) -> VAE:
    objective = build(MRVAE(**settings))
    return opened(toy(objective))


@pytest.mark.parametrize(("law", "exponent"), [("balanced", 0.25), ("published", 0.0)])
def test_the_loss_is_that_of_its_formula_image_by_image(law: str, exponent: float) -> None:
    objective = build(MRVAE(law=law, beta_min=0.5, beta_max=8.0, likelihood="mse"))
    model = opened(toy(objective))
    x, eps = images(B), noise(B)
    p = forward(model, x, eps)
    loss, logs = objective(p, clock())

    _, first, _, head = model.encoder.net
    start, _, last, _ = model.decoder.net
    of_first, of_head = model.encoder.gates["1"], model.encoder.gates["3"]
    of_start = model.decoder.gates["0"]
    assert set(model.encoder.gates) == {"1", "3"}
    assert set(model.decoder.gates) == {"0"}, "the last layer of the decoder has no gate"
    middle = (math.log(0.5) + math.log(8.0)) / 2
    total, sum_kl, sum_rec = 0.0, 0.0, 0.0
    for i in range(B):
        log_beta = float(p.beta[i].log())
        opening = [1 / (1 + (-5 * (g.slope * (log_beta - middle) + g.offset)).exp()) for g in (of_first, of_head)]
        root = (1 - (5 * (of_start.slope * (log_beta - middle) + of_start.offset)).exp()).clamp(min=0).sqrt()
        hidden = (opening[0] * (first.weight @ x[i].flatten() + first.bias)).tanh()
        mean, logvar = (opening[1] * (head.weight @ hidden + head.bias)).chunk(2)
        z = mean + (logvar / 2).exp() * eps[i]
        out = last.weight @ (root * (start.weight @ z + start.bias)).tanh() + last.bias
        kl = 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum()
        rec = (torch.sigmoid(out) - x[i].flatten()).square().sum()
        total += (rec + math.exp(log_beta) * kl) / math.exp(exponent * (log_beta - middle))
        sum_kl, sum_rec = sum_kl + kl, sum_rec + rec
    assert torch.allclose(loss, total / B)
    assert torch.allclose(logs["kl"], sum_kl / B), "the log has the KL without its weight"
    assert torch.allclose(logs["rec"], sum_rec / B), "and the reconstruction"


def test_log_beta_is_drawn_for_each_image_and_covers_the_range_evenly() -> None:
    encoder = toy(build(MRVAE())).encoder.float()
    encoder.rates = RATES
    beta, level = encoder.draw(400, torch.Generator().manual_seed(0))
    shares = (beta.log() - math.log(0.1)) / math.log(100)
    assert torch.equal((shares * 400).floor(), torch.arange(400.0)), "one in each part of the range"
    assert torch.allclose(level, beta.log() - RATES.middle, atol=1e-6)
    assert not torch.equal(beta, encoder.draw(400, torch.Generator().manual_seed(1))[0])


@pytest.mark.parametrize("net", nets.NETS)
@pytest.mark.parametrize("beta", [0.1, 0.7, 10.0])
def test_the_ordinary_model_of_a_beta_is_the_gated_one_for_every_net(net: str, beta: float) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pair = nets.build(net, (3, 16, 12), latent=4)
    model = VAE(*gates.add(*pair, RATES), build(MRVAE()).likelihood, build(MRVAE()).prior, (3, 16, 12), 10).double()
    opened(model)
    x, z = images(5, WIDE), noise(5, WIDE)
    model.train()
    model.posterior(x, *[torch.zeros(5).double()])  # moves the running means of a batch normalisation
    model.eval()
    level = torch.full((5,), RATES.level(beta), dtype=torch.float64)
    plain = model.at(beta)
    assert not any(isinstance(module, Gated) for module in plain.modules())
    assert [type(layer) for layer in plain.encoder] == [type(layer) for layer in pair[0]]
    assert torch.allclose(plain.posterior(x)[0], model.posterior(x, level)[0], atol=1e-12)
    assert torch.allclose(plain.out(z), model.out(z, level), atol=1e-12)


def test_the_model_itself_has_the_beta_of_its_settings() -> None:
    model = a_model(beta=2.5)
    assert torch.equal(model.posterior(images(B))[0], model.at(2.5).posterior(images(B))[0])
    assert torch.equal(model.out(noise(B)), model.at().out(noise(B)))
    assert not torch.equal(model.posterior(images(B))[0], model.at(0.1).posterior(images(B))[0])
    assert model.at(0.1).at() is not model


def test_a_range_of_one_beta_is_beta_vae_on_the_ordinary_model() -> None:
    objective = build(MRVAE(beta_min=3.0, beta_max=3.0, beta=3.0))
    model = opened(toy(objective))
    loss, _ = objective(forward(model, images(B), noise(B)), clock())
    other, _ = build(BetaVAE(beta=3.0))(forward(model.at(), images(B), noise(B)), clock())
    assert torch.allclose(loss, other)


def test_at_first_the_gates_are_open_and_the_same_for_every_beta() -> None:
    model = toy(build(MRVAE()))
    x = images(B)
    assert torch.equal(model.at(0.01).posterior(x)[0], model.at(10.0).posterior(x)[0])
    for gated, first in ((model.encoder, 0.8808), (model.decoder, 0.9299)):
        for gate in gated.gates.values():
            assert torch.allclose(gate(torch.tensor(1.0)), torch.tensor(first).double(), atol=1e-4)


def test_a_gate_of_the_decoder_can_close_and_its_gradient_stays_finite() -> None:
    gate = gates.Gate(3, of_decoder=True)
    with torch.no_grad():
        gate.offset.copy_(torch.tensor([1.0, 0.0, -50.0]))
    values = gate(torch.zeros(2))
    assert values.tolist() == [[0.0, 0.0, 1.0]] * 2
    values.sum().backward()
    assert gate.offset.grad.isfinite().all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "mse", "half_mse", "gaussian", "calibrated", "calibrated_learned"])
def test_every_likelihood_and_the_prior_of_isa_train_it(likelihood: str) -> None:
    for prior in ("standard-normal", {"name": "lp-nested", "layout": [2, 1], "learned": True}):
        method = MRVAE(likelihood=likelihood, prior=prior)
        loss, gradients = loss_and_gradients(method, images(B), noise(B))
        assert loss.isfinite()
        assert all(gradient.isfinite().all() for gradient in gradients.values())


def test_with_one_beta_and_the_prior_of_isa_it_has_the_terms_of_isa_vae() -> None:
    prior = {"name": "lp-nested", "layout": [2, 1], "p0": 2.1, "p": 2.2}
    objective = build(MRVAE(**{**SMALL["mr-vae"], "prior": prior}))
    model = opened(toy(objective))
    loss, _ = objective(forward(model, images(B), noise(B)), clock())
    other, _ = build(ISAVAE(layout=(2, 1), beta=2.0))(forward(model.at(), images(B), noise(B)), clock())
    assert torch.allclose(loss, other)


def test_gradients_of_images_with_other_betas_add_up() -> None:
    """A batch over a range has the mean of the gradients of its images, each with its own beta."""
    x, eps = images(B), noise(B)
    whole = loss_and_gradients(MRVAE(), x, eps)[1]
    objective = build(MRVAE())
    model = toy(objective)
    p = forward(model, x, eps)
    total: dict[str, torch.Tensor] = {}
    for i in range(B):
        beta = float(p.beta[i])
        one = build(MRVAE())
        single = toy(one)
        single.encoder.rates = single.decoder.rates = Rates(beta, beta, beta)
        level = torch.tensor([math.log(beta) - PUBLISHED.middle], dtype=torch.float64)
        single.encoder.draw = lambda *_, b=p.beta[i : i + 1], level=level: (b, level)
        loss, _ = one(forward(single, x[i : i + 1], eps[i : i + 1]), clock(3))
        loss.backward()
        networks = {**dict(single.encoder.named_parameters("e")), **dict(single.decoder.named_parameters("d"))}
        for name, parameter in networks.items():
            total[name] = total.get(name, 0) + parameter.grad / B
    assert same(whole, total)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"beta": 20.0}, "beta is 20 and its range 0.01 to 10; expected a range of positive numbers with beta in it"),
        ({"beta_min": 5.0, "beta_max": 2.0, "beta": 3.0}, "expected a range of positive numbers"),
        ({"prior": {"name": "lp-nested", "layout": [4]}}, "method.prior has 4 latents, but net.latent is 3"),
    ],
)
def test_settings_in_conflict_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        MRVAE(**settings).build(SHAPE)


def test_a_beta_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"beta is 11; this model was trained for 0.01 to 10"):
        a_model().at(11.0)
    with pytest.raises(InputError, match="beta is 2, but this model has a single one; leave beta out"):
        a_model().at(1.0).at(2.0)
    ordinary = a_model().at()
    assert ordinary.at() is ordinary
