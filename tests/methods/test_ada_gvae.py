"""Ada-GVAE against its formulas, written out by hand; whole runs from each source of pairs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import build, clock, forward, images, noise, toy
from tests.methods.conftest import B
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from equipoise.config import resolve
from equipoise.errors import InputError
from equipoise.methods.ada_gvae import AdaGVAE
from equipoise.pairing import Pairing
from equipoise.runs import execute
from equipoise.sklearn import Disentangler
from equipoise.training.loop import Stopped


def posteriors(x: Tensor, **settings: bool | int) -> tuple[Tensor, Tensor, Tensor]:
    """The means of the encoder, and means and standard deviations of the pairs, by loops over pairs and latents."""
    model = toy(build(AdaGVAE(**settings)))  # type: ignore[arg-type]
    mean, logvar = model.posterior(x)
    deviation = (0.5 * logvar).exp()
    means, deviations = mean.clone(), deviation.clone()
    for i in range(0, len(x), 2):
        j = i + 1
        kl = kl_divergence(Normal(mean[i], deviation[i]), Normal(mean[j], deviation[j]))
        if settings.get("known"):
            least = sorted(kl.tolist())[: len(kl) - int(settings["changed"])]
            shared = [d for d in range(len(kl)) if kl[d].item() in least]
        else:
            shared = [d for d in range(len(kl)) if kl[d] < (kl.min() + kl.max()) / 2]
        for d in shared:
            means[i, d] = means[j, d] = (mean[i, d] + mean[j, d]) / 2
            deviations[i, d] = deviations[j, d] = ((deviation[i, d] ** 2 + deviation[j, d] ** 2) / 2).sqrt()
    return mean, means, deviations


@pytest.mark.parametrize("settings", [{}, {"known": True, "changed": 1}, {"known": True, "changed": 2}])
def test_the_loss_is_that_of_the_shared_posteriors(settings: dict[str, bool | int]) -> None:
    x, eps = images(B), noise(B)
    objective = build(AdaGVAE(beta=3.0, likelihood="mse", **settings))  # type: ignore[arg-type]
    model = toy(objective)
    p = forward(model, x, eps)
    mean, means, deviations = posteriors(x, **settings)
    assert not torch.allclose(mean, means)
    z = means + deviations * eps
    rec = (torch.sigmoid(model.decoder(z)) - x).square().sum() / B
    kl = kl_divergence(Normal(means, deviations), Normal(0.0, 1.0)).sum() / B
    loss, logs = objective(p, clock())
    assert torch.allclose(loss, rec + 3 * kl)
    assert torch.allclose(logs["kl"], kl)
    assert torch.allclose(p.z, z)


def test_the_images_of_a_pair_have_one_posterior_of_what_they_share() -> None:
    x = images(B)
    x[1::2] = x[::2]
    p = forward(toy(build(AdaGVAE())), x, noise(B))
    assert torch.allclose(p.mean[::2], p.mean[1::2])


def test_codes_of_a_trained_model_do_not_depend_on_pairs() -> None:
    model = toy(build(AdaGVAE()).float(), dtype=torch.float32).eval()
    x = images(B).float()
    assert torch.allclose(model.encode(x[:3])[0], model.encode(x)[0][:3])


def test_batches_and_settings_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="a batch of 3 images is not made of pairs"):
        Pairing("factors")(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(InputError, match="4 latents of a pair change, but there are 2; lower"):
        Pairing("factors", 4, 4)(torch.zeros(2, 2), torch.zeros(2, 2))
    with pytest.raises(InputError, match=r"method\.known needs the number in method\.changed"):
        resolve({"data": "dsprites", "method": "ada-gvae", "method.known": True, "method.changed": 0})
    with pytest.raises(InputError, match="ada-gvae learns from pairs of images, which X has not"):
        Disentangler("ada-gvae", steps=1).fit(np.zeros((8, 1, 16, 16), np.uint8))


SETTINGS: dict[str, object] = {
    "method": "ada-gvae", "net": "small", "net.latent": 3, "train.batch": 16, "train.steps": 8, "train.threads": 1,
    "train.checkpoint_every": 3, "evaluate.which": "sse", "evaluate.n": 20,
}  # fmt: skip


@pytest.mark.parametrize("pairs", ["factors", "neighbours", "table"])
def test_a_run_that_stopped_resumes_with_the_same_pairs(pairs: str, squares: Callable[[], str], tmp_path: Path) -> None:
    if pairs == "table":
        pairs = str(tmp_path / "pairs.csv")
        (tmp_path / "pairs.csv").write_text("".join(f"{i},{i + 3}\n" for i in range(40)))
    data = squares()
    settings = {**SETTINGS, "data": data, "method.pairs": pairs}
    runs = []
    for name in ("whole", "broken"):
        config = resolve({**settings, "out": str(tmp_path / name)})
        if name == "broken":
            count = iter(range(100))
            with pytest.raises(Stopped):
                execute(config, progress=False, stop=lambda count=count: next(count) == 5)
        runs.append(execute(config, progress=False))
    whole, broken = (run.model.state_dict() for run in runs)
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_a_changed_table_of_pairs_is_refused_on_resume(squares: Callable[[], str], tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("".join(f"{i},{i + 3}\n" for i in range(40)))
    settings = {**SETTINGS, "data": squares(), "method.pairs": str(table), "out": str(tmp_path / "run")}
    execute(resolve({**settings, "train.schedule_steps": 8}), progress=False)
    table.write_text("".join(f"{i},{i + 4}\n" for i in range(40)))
    with pytest.raises(InputError, match="was trained on other images or factors or pairs than"):
        execute(resolve({**settings, "train.schedule_steps": 8, "train.steps": 9}), progress=False)
