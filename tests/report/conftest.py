"""A run without training: blobs whose place is the code, so that every number and picture is known beforehand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.report.explored import explored
from tests.study.compared import page_of, write
from torch import Tensor, nn

from equipoise import metrics, report
from equipoise.config import Config, Data
from equipoise.data import Images
from equipoise.likelihoods import SquaredError, as_float, per_image
from equipoise.methods.l_vae import LVAE
from equipoise.metrics import Score
from equipoise.model import VAE
from equipoise.priors import Prior, StandardNormal
from equipoise.report import explorer
from equipoise.sections import Evaluate, Net, Train

SIDE, LATENT, PLACES = 16, 4, 8


class Centroid(nn.Module):
    """Codes z0 = -x and z1 = y of the centre of mass, in [-2, 2]; z2 and z3 stay at the prior unless `dead` is all."""

    def __init__(self, dead: bool = False) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))
        self.dead = dead

    def forward(self, x: Tensor) -> Tensor:
        place = torch.arange(SIDE, dtype=torch.float32)
        light = x.mean(1)
        total = light.sum((1, 2)).clamp(min=1e-6)
        across, down = (light.sum(1) @ place) / total, (light.sum(2) @ place) / total
        mean, logvar = torch.zeros(len(x), LATENT), torch.zeros(len(x), LATENT)
        if not self.dead:
            mean[:, 0], mean[:, 1] = (7.5 - across) / 2, (down - 7.5) / 2
            logvar[:, 0], logvar[:, 1] = -4.0, -3.0
        return torch.cat([mean, logvar], 1) * self.one


class Blob(nn.Module):
    """Logits of a blob at the place that z0 and z1 say."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))
        self.channels = channels

    def forward(self, z: Tensor) -> Tensor:
        place = torch.arange(SIDE, dtype=torch.float32)
        x = (place[None, None] - (7.5 - 2 * z[:, :1, None])).square()
        y = (place[None, :, None] - (7.5 + 2 * z[:, 1:2, None])).square()
        return ((4 - x - y) * 0.4 * self.one)[:, None].expand(-1, self.channels, -1, -1)


def blobs(channels: int = 1, dead: bool = False, prior: Prior | None = None) -> VAE:
    prior = prior or StandardNormal(LATENT)
    return VAE(Centroid(dead), Blob(channels), SquaredError(), prior, (channels, SIDE, SIDE), PLACES**2).eval()


@dataclass(frozen=True)
class FakeRun:
    path: Path
    config: Config
    meta: dict[str, Any]
    model: VAE
    logs: list[dict[str, Any]]
    codes: dict[str, Any]
    scores: dict[str, Score]
    images: Images

    @property
    def results(self) -> Path:
        return self.path

    def but(self, **changes: Any) -> "FakeRun":
        return replace(self, **changes)


@pytest.fixture
def model() -> VAE:
    return blobs()


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FakeRun]:
    """A function that gives a run on disk, as training would have left it."""

    def run(
        *, channels: int = 1, dead: bool = False, factors: bool = True, scored: bool = True, **named: Any
    ) -> FakeRun:
        model = blobs(channels, dead, named.get("prior"))
        table = np.stack(np.unravel_index(np.arange(PLACES**2 * 4), (PLACES, PLACES, 4)), axis=1)
        centre = torch.from_numpy((table[:, :2] - (PLACES - 1) / 2) / 2).float()
        z = torch.cat([-centre[:, :1], centre[:, 1:], torch.zeros(len(table), 2)], 1)
        pixels = (model.decode(z) * 255).round().to(torch.uint8)
        images = Images(
            pixels.numpy(),
            name=named.get("name", "blobs"),
            factors=table if factors else None,
            factor_names=named.get("factor_names", ("across", "down", "mood")) if factors else None,
        )
        index = np.random.default_rng(0).permutation(len(images))
        x = torch.from_numpy(images.pixels(index))
        mean, logvar = model.encode(x)
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
        codes = {
            "index": index,
            "mean": mean.numpy(),
            "logvar": logvar.numpy(),
            "z": (mean + (0.5 * logvar).exp() * noise).numpy(),
            **{name: value.numpy() for name, value in per_image(as_float(x), model.decode(mean)).items()},
        }
        if images.factors is not None:
            codes["factors"] = images.factors[index]
        scores = {}
        if factors and scored and not dead:
            scores = metrics.score(codes["mean"], codes["factors"], which=["mig", "sap", "irs"])
        folder = tmp_path_factory.mktemp("runs") / named.get("folder", "first")
        folder.mkdir()
        config = Config(
            data=Data(name=images.name),
            method=named.get("method", LVAE(law="published")),
            preset=None,
            net=Net(latent=LATENT),
            train=Train(steps=400, batch=8),
            evaluate=Evaluate(convention="default"),
            out=str(folder),
        )
        (folder / "config.toml").write_text(named.get("settings", config.to_toml()))
        if scores:
            table = {name: score.to_dict() for name, score in scores.items()}
            written = {"checkpoint": "0", "convention": "default", "n": 9, "scores": table}
            (folder / "scores.json").write_text(json.dumps(written))
        meta = {
            "command": named.get("command", "equipoise train data=blobs"),
            "versions": {"torch": "2.9"},
            "parts": {"onednn": True},
            "shape": list(model.shape),
            "images": len(images),
            "data": {"factor_names": list(images.factor_names)},
        }
        return FakeRun(folder, config, meta, model, log(), codes, scores, images)

    return run


@pytest.fixture(name="log")
def log_fixture() -> Callable[..., list[dict[str, Any]]]:
    return log


def log(
    rows: int = 4, *, rec: float = 16.0, kl: float = 4.0, sigma_rec: float = 1.5, sigma_kl: float = 1.25
) -> list[dict[str, Any]]:
    """Rows as training writes them, the last with just these values."""
    out = []
    for number in range(rows):
        left = rows - 1 - number
        out.append(
            {
                "step": 100 * (number + 1),
                "loss": 30.0 + left,
                "rec": rec + 10 * left,
                "kl": kl,
                "kl_dims": [0.7 * kl, 0.3 * kl, 0.0, 0.0],
                "weight.rec": sigma_rec**-2,
                "weight.kl": sigma_kl**-2,
                "beta_equivalent": sigma_rec**2 / sigma_kl**2,
                "sigma.rec": sigma_rec,
                "sigma.kl": sigma_kl,
                "lr": 1e-4,
                "images_per_second": 1000.0,
                "seconds": 3.0 * (number + 1),
            }
        )
    return out


@pytest.fixture(scope="module")
def pages(make: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages of a run and of a study, by their names."""
    run = explored(make)
    study = write(tmp_path_factory.mktemp("study") / "mine")
    page_of(study)
    return {"report": report.write(run), "explorer": explorer.write(run), "compare": study / "compare.html"}
