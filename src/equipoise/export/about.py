"""What is known of a model without its run: how to build it again, and what its latents are like."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from equipoise import config as configuration
from equipoise.config import Config
from equipoise.data import DATASETS
from equipoise.part import spec_of
from equipoise.report.findings import analyse_codes
from equipoise.report.latents import Latent
from equipoise.runs import Run
from equipoise.training import checkpoint

FORMAT = 1  # of config.json


def describe(run: Run, kind: str) -> dict[str, Any]:
    """What config.json says of the model of a run, ready for JSON; paths of this machine stay out of it.

    Raises `InputError` for a likelihood or prior that it has no words for.
    """
    model = run.model
    return {
        "library": "equipoise",
        "format": FORMAT,
        "kind": kind,
        "versions": {name: importlib.metadata.version(name) for name in ("equipoise", "torch")},
        "net": run.config.net.name,
        "latent": model.latent,
        "image": list(model.shape),
        "images": model.dataset_size,
        "likelihood": spec_of(model.likelihood),
        "prior": spec_of(model.prior),
        "name": name(run),
        "step": checkpoint.load(run.path / "checkpoint.pt")["step"],
        "checkpoint": checkpoint.digest(run.path / "checkpoint.pt"),
        "factors": run.meta["data"]["factor_names"],
        "latents": [
            {"index": latent.index, "nats": latent.nats, "low": latent.low, "high": latent.high}
            | {"active": latent.active, "follows": latent.factor}
            for latent in latents(run)
        ],
        "settings": json.loads(json.dumps(configuration_of(run).flat())),
    }


def name(run: Run) -> str:
    """What a run is called: its method, and the data set or the last part of the path of its images."""
    return f"{run.config.method.name}-{_data(run.config)}"


def configuration_of(run: Run) -> Config:
    """The settings of a run, with the last part of each path alone."""
    config, data = run.config, run.config.data
    factors = data.factors if data.factors in (None, "folders") else Path(data.factors).name
    said = config.flat() | {"data.name": _data(config)} | ({} if factors is None else {"data.factors": factors})
    return configuration.resolve({**said, "out": Path(config.out).name or "run"}, complete=True)


def latents(run: Run) -> list[Latent]:
    """The latents of a run by what they carry, largest first; none where its checkpoint is not encoded."""
    path = run.path / "codes.npz"
    if not path.exists() or str(run.codes["checkpoint"]) != checkpoint.digest(run.path / "checkpoint.pt"):
        return []
    # The images themselves may be gone; the names of their factors are in meta.json.
    return analyse_codes(run.model.prior, run.codes, run.meta["data"]["factor_names"], run.scores).latents


def _data(config: Config) -> str:
    """The data set a run was trained on, or the last part of the path of its images."""
    return config.data.name if config.data.name in DATASETS else Path(config.data.name).name or "images"
