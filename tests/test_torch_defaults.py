"""What the caller has set in torch changes neither a training nor what is done with its model."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import equipoise as eq
from equipoise.torch_defaults import torch_defaults

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
SETTINGS = {"train.batch": 8, "evaluate.which": "mse", "evaluate.interval": False, "net.latent": 3, "train.threads": 1}


@contextmanager
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


Block = Callable[[], AbstractContextManager[Any]]
BLOCKS: dict[str, Block] = {
    "float64": doubles,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "device": partial(torch.device, "meta"),
    "autocast": partial(torch.autocast, "cpu", dtype=torch.bfloat16),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> eq.Run:
    return train(tmp_path_factory.mktemp("run"))


def train(out: Path) -> eq.Run:
    return eq.train(IMAGES, "vae", net="mlp", steps=3, out=out, settings=SETTINGS, progress=False)


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_a_training_is_the_same_inside_any_block_of_torch(block: Block, run: eq.Run, tmp_path: Path) -> None:
    with block():
        other = train(tmp_path)
    assert np.array_equal(other.codes["mean"], run.codes["mean"])
    assert other.scores["mse"].value == run.scores["mse"].value
    assert {parameter.dtype for parameter in other.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["float64", "no_grad", "inference_mode"])
def test_a_model_gives_the_same_inside_any_block_of_torch(name: str, run: eq.Run, tmp_path: Path) -> None:
    def results(folder: Path) -> list[Any]:
        opened = dataclasses.replace(run)  # without a model yet
        model = eq.load_model(eq.export_run(opened, out=folder))
        opened.explore()
        return [
            opened.encode(IMAGES[:3])["mean"],
            opened.sample(3).pixels([0, 1, 2]),
            opened.pipe(seen=64).value,
            model.decode(model.encode(IMAGES[:3, None])[0]).numpy(),
        ]

    expected = results(tmp_path / "before")
    with BLOCKS[name]():
        inside = results(tmp_path / "inside")
    for one, other in zip(expected, inside, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_estimator_is_the_same_inside_any_block_of_torch() -> None:
    X = np.random.default_rng(0).normal(size=(30, 4))
    expected = eq.Disentangler(latent=2, steps=3, batch=8).fit(X).transform(X)
    for name in ("float64", "no_grad", "inference_mode", "autocast"):
        with BLOCKS[name]():
            estimator = eq.Disentangler(latent=2, steps=3, batch=8).fit(X)
        np.testing.assert_array_equal(estimator.transform(X), expected)


def test_the_settings_of_the_caller_are_as_before_after_the_block() -> None:
    with doubles(), torch.no_grad(), torch.device("meta"), torch.autocast("cpu"):
        with torch_defaults():
            assert torch.zeros(1, requires_grad=True).mul(2).requires_grad
            assert torch.zeros(1).device.type == "cpu"
            assert torch.zeros(1).dtype == torch.float32
            assert not torch.is_autocast_enabled("cpu")
        assert not torch.is_grad_enabled()
        assert torch.zeros(1).device.type == "meta"
        assert torch.get_default_dtype() == torch.float64
        assert torch.is_autocast_enabled("cpu")
