"""Training that stops and goes on from its state is the training that did not stop, bit for bit, for every method."""

import io

import pytest
import torch
from tests.conftest import DEVICES, SHAPE, SMALL, deterministic, images

from equipoise.config import Config, resolve
from equipoise.methods import METHODS
from equipoise.runs import build
from equipoise.training.loop import Training

DECAY = {"train.weight_decay": 0.1, "train.schedule": "warmup-cosine"}
MUON = {"train.optimizer": "muon"}


def settings(method: str, more: dict[str, object]) -> Config:
    own = {f"method.{key}": value for key, value in SMALL.get(method, {}).items()}
    size = {"net": "mlp", "net.latent": SHAPE.latent, "train.batch": 8, "train.steps": 10, "train.lr": 1e-3}
    return resolve({"data": "array", "method": method, **size, **own, **more})


def started(config: Config, device: str, shape: tuple[int, int, int] = SHAPE.image) -> Training:
    model, objective = build(config, shape, SHAPE.images)
    training = Training(model, objective, config.train, torch.device(device))
    model.train()
    objective.train()
    return training


def go(training: Training, until: int) -> None:
    while training.step < until:
        x, second = (images(8, seed=10 * training.step + stream, dtype=torch.float32) for stream in (0, 1))
        training.advance(x, second if training.objective.needs_second_batch else None)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("method", "more"),
    [
        *((method, {}) for method in METHODS),
        ("l-vae", DECAY),
        ("aligned-vae", MUON),
        ("outline-vae", MUON),
        ("dava", MUON),
    ],
)
def test_training_resumed_from_its_saved_state_equals_training_that_never_stopped(
    method: str, more: dict[str, object], device: str
) -> None:
    config = settings(method, more)
    whole, broken = started(config, device), started(config, device)
    with deterministic():
        go(whole, 6)
        go(broken, 3)
        file = io.BytesIO()
        torch.save(broken.state(), file)
        file.seek(0)
        resumed = started(config, device)
        resumed.load_state(torch.load(file, weights_only=True, map_location="cpu"))
        go(resumed, 6)

    ours, theirs = whole.state(), resumed.state()
    assert ours["step"] == theirs["step"] == 6
    assert torch.equal(ours["pending"], theirs["pending"])
    for part in ("model", "objective"):
        for name, value in ours[part].items():
            assert torch.equal(value, theirs[part][name]), f"{part} {name}"
    for name, optimiser in ours["optimisers"].items():
        for index, moments in optimiser["state"].items():
            for moment, value in moments.items():
                assert torch.equal(value, theirs["optimisers"][name]["state"][index][moment]), f"{name} {moment}"
