"""What all tests share: one thread, a toy autoencoder, a pass with known noise, a folder of toy images."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equipoise import gates
from equipoise.methods import METHODS, Method, Shape
from equipoise.model import VAE, Pass
from equipoise.objective import Objective

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _global_state_is_left_as_found() -> Iterator[None]:
    """No test, and nothing that a test calls, may move the generators or switches that a user's process shares."""
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002
    yield
    after = np.random.get_state()[1], torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002
    assert np.array_equal(before[0], after[0]), "numpy's global generator was used"
    assert torch.equal(before[1], after[1]), "torch's global generator was used"
    assert before[2] == after[2], "the number of threads was changed"


SHAPE = Shape(image=(1, 8, 8), latent=3, images=100)

# A test for any device runs on the CPU, and with `make gpu` also on a GPU.
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_GPU])]


@contextmanager
def deterministic() -> Iterator[None]:
    """Use only operations that give the same bits each time. The variable is for matrix products on a GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True):
            yield
    finally:
        torch.use_deterministic_algorithms(False)


# Settings that make a method small enough for `SHAPE`.
SMALL: dict[str, dict[str, Any]] = {
    "factor-vae": {"width": 8, "layers": 2},
    "rf-vae": {"width": 8, "layers": 2},
    "progressive-factor-vae": {"width": 8, "layers": 2},
    "progressive-rf-vae": {"width": 8, "layers": 2},
    "isa-vae": {"layout": (2, 1)},
    "aligned-vae": {"every": 2, "codes": 16},
    "outline-vae": {"every": 2},
    "isa-tcvae": {"layout": (2, 1)},
    "mr-vae": {"beta_min": 2.0, "beta_max": 2.0, "beta": 2.0},  # one beta, so that the loss has no random weights
}


def small(name: str) -> Method:
    """The method called `name`, as small as it can be."""
    return METHODS[name](**SMALL.get(name, {}))


def build(method: Method, shape: Shape = SHAPE, seed: int = 0) -> Objective:
    """The objective of `method` in double precision; what it draws at random is drawn from `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return method.build(shape).double()


def toy(objective: Objective, shape: Shape = SHAPE, seed: int = 0, dtype: torch.dtype = torch.float64) -> VAE:
    """A small autoencoder with random weights for `objective`."""
    pixels = int(np.prod(shape.image))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 16), nn.Tanh(), nn.Linear(16, 2 * shape.latent))
        decoder = nn.Sequential(
            nn.Linear(shape.latent, 16), nn.Tanh(), nn.Linear(16, pixels), nn.Unflatten(1, shape.image)
        )
        if objective.edges is not None:
            objective.edges.attach(decoder, shape.image)
            objective.edges.to(dtype)
        encoder, decoder = gates.add(encoder, decoder, objective.rates)
    model = VAE(encoder, decoder, objective.likelihood, objective.prior, shape.image, shape.images)
    model.pairing = objective.pairing
    model.keeps_features = objective.edges is not None
    return model.to(dtype)


def images(n: int, shape: Shape = SHAPE, seed: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    """n random images in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((n, *shape.image), generator=generator).to(dtype)


def forward(model: VAE, x: Tensor, noise: Tensor) -> Pass:
    """Return the pass of `VAE.forward`, in the precision of x, with `noise` [B, D] in place of random numbers."""

    def randn(shape: tuple[int, ...], **_: object) -> Tensor:
        assert shape == noise.shape
        return noise

    with mock.patch.object(torch, "randn", randn):
        p: Pass = model(x, torch.Generator().manual_seed(4))
    return p


def noise(n: int, shape: Shape = SHAPE, seed: int = 2) -> Tensor:
    """Standard normal noise [n, D] in double precision."""
    return torch.randn(n, shape.latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clock(step: int = 1, length: int = 10) -> dict[str, Tensor]:
    """What the training loop tells a balance about time."""
    return {"step": torch.tensor(step), "progress": torch.tensor(min(step / length, 1.0), dtype=torch.float64)}


@pytest.fixture
def squares(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    """Writes a data file of 8x8 squares at 5 x 5 places in 3 sizes, with its factors, and says where."""

    def write() -> str:
        path = tmp_path_factory.mktemp("data") / "squares.npz"
        pictures, factors = [], []
        for size in range(3):
            for x in range(5):
                for y in range(5):
                    picture = np.zeros((16, 16), np.uint8)
                    picture[2 * y : 2 * y + 4 + size, 2 * x : 2 * x + 4 + size] = 255
                    pictures.append(picture)
                    factors.append((size, x, y))
        np.savez(path, images=np.stack(pictures), factors=np.array(factors), factor_names=["size", "x", "y"])
        return str(path)

    return write


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, for tests with the marker browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        yield opened
        opened.close()
