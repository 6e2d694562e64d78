"""QLAE against its formulas, written out by hand; codes that take few values in scores, exports and runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import SHAPE, build, clock, forward, images, noise, toy
from tests.methods.conftest import B

from equipoise import codes as coding
from equipoise import metrics
from equipoise.config import resolve
from equipoise.errors import InputError
from equipoise.export import export_run, load_model
from equipoise.methods.compose import Compose
from equipoise.methods.qlae import QLAE
from equipoise.model import POINT
from equipoise.runs import execute
from equipoise.scoring import score_codes
from equipoise.training.loop import Stopped

PIXELS = int(np.prod(SHAPE.image))


def test_the_loss_is_reconstruction_and_two_distances_to_the_values() -> None:
    objective = build(QLAE(values=4, quantise=0.3, commit=0.7, likelihood="mse"))
    model = toy(objective)
    x = images(B)
    output = model.encoder(x)[:, : SHAPE.latent]
    levels = torch.tensor([-0.5, -1 / 6, 1 / 6, 0.5], dtype=torch.float64)
    nearest = levels[(output[..., None] - levels).abs().argmin(2)]
    rec = (torch.sigmoid(model.decoder(nearest)) - x).square().sum() / B
    distance = PIXELS * (output - nearest).square().mean()
    loss, logs = objective(forward(model, x, noise(B)), clock())
    assert torch.allclose(loss, rec + distance)
    assert torch.allclose(logs["quantise"], distance)
    assert torch.allclose(logs["commit"], distance)


def test_each_distance_has_its_own_gradient() -> None:
    for weights, moves_values in (({"quantise": 1.0, "commit": 0.0}, True), ({"quantise": 0.0, "commit": 1.0}, False)):
        objective = build(QLAE(**weights))
        p = forward(toy(objective), images(B), noise(B))
        (gradient, levels) = torch.autograd.grad(
            sum(weights[name] * objective.terms[name](p).mean() for name in weights),
            [p.mean, objective.prior.levels],  # type: ignore[list-item]
            allow_unused=True,
            materialize_grads=True,
        )
        assert bool(levels.any()) == moves_values
        assert bool(gradient.any()) != moves_values


def test_fixed_values_have_no_further_terms_and_compose_has_the_same_parts() -> None:
    fixed = build(QLAE(learned=False, values=5))
    assert list(fixed.terms) == ["rec"]
    prior = {"name": "codebooks", "values": 5}
    weights = {"name": "fixed", "weights": {"quantise": 0.01, "commit": 0.01, "kl": 0.0}}
    composed = build(Compose(terms=("kl", "quantise", "commit"), prior=prior, balance=(weights,)))
    ours = build(QLAE(values=5))
    x = images(B)
    losses = [objective(forward(toy(objective), x, noise(B)), clock())[0] for objective in (composed, ours)]
    assert torch.allclose(*losses)
    other = build(Compose(terms=("kl", "commit")))
    p = forward(toy(other), x, noise(B))
    with pytest.raises(InputError, match="quantise and commit need codebooks, and the prior is standard-normal"):
        other(p, clock())


def test_encoded_images_have_values_of_the_codebook_and_no_noise() -> None:
    objective = build(QLAE(values=4))
    model = toy(objective).eval()
    mean, logvar = model.posterior(images(B))
    assert set(mean.flatten().tolist()) <= set(objective.prior.levels.flatten().tolist())  # type: ignore[arg-type]
    assert (logvar == POINT).all()


def test_scores_count_the_values_and_leave_out_what_needs_noise() -> None:
    rng = np.random.default_rng(0)
    factors = rng.integers((3, 4), size=(600, 2))
    mean = np.stack([factors[:, 0] / 3.0, factors[:, 1] / 4.0], 1).astype(np.float32)
    codes = coding.Codes(mean=mean, logvar=np.full_like(mean, POINT), z=mean, factors=factors)
    scores = score_codes(codes, ("infom", "mig"), interval=False, progress=False)
    assert scores["infom"].params["discrete_latents"]
    assert scores["infom"].value == metrics.infom(mean, factors, discrete_latents=True).value
    assert not {"kl", "active_units", "mig_aggregate"} & set(score_codes(codes, interval=False, progress=False))
    with_noise = coding.Codes({**codes, "logvar": np.zeros_like(mean)})
    assert not score_codes(with_noise, "infom", interval=False, progress=False)["infom"].params["discrete_latents"]


SETTINGS: dict[str, object] = {
    "method": "qlae", "net": "mlp", "net.latent": 3, "train.batch": 16, "train.steps": 8, "train.threads": 1,
    "train.lr": 1e-3,
    "train.checkpoint_every": 3, "evaluate.which": "sse", "evaluate.n": 75,
}  # fmt: skip


def test_a_run_resumes_exactly_and_is_exported_bit_for_bit(squares: Callable[[], str], tmp_path: Path) -> None:
    data, runs = squares(), []
    for name in ("whole", "broken"):
        config = resolve({**SETTINGS, "data": data, "out": str(tmp_path / name)})
        if name == "broken":
            count = iter(range(100))
            with pytest.raises(Stopped):
                execute(config, progress=False, stop=lambda count=count: next(count) == 5)
        runs.append(execute(config, progress=False))
    whole, broken = (run.model.state_dict() for run in runs)
    assert all(torch.equal(whole[name], broken[name]) for name in whole)
    loaded = load_model(export_run(runs[0]))
    x = runs[0].images.pixels(range(20))
    assert torch.equal(loaded.encode(x)[0], runs[0].model.encode(x)[0])
    assert len(np.unique(runs[0].codes["mean"][:, 0])) <= 12
    with pytest.raises(InputError, match="kl"):
        execute(resolve({**SETTINGS, "data": data, "evaluate.which": "kl"}), progress=False)
