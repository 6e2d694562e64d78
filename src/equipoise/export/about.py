"""The description of an exported model in config.json: how to rebuild it, and its latents."""

import importlib.metadata
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equipoise import config as configuration
from equipoise import scoring
from equipoise.config import Config
from equipoise.data import DATASETS, factor_table
from equipoise.errors import InputError
from equipoise.likelihoods import LIKELIHOODS
from equipoise.part import Part, spec_of
from equipoise.priors import PRIORS
from equipoise.report.findings import analyse
from equipoise.report.latents import Latent
from equipoise.run import Run
from equipoise.training import checkpoint

FORMAT = 1  # of config.json


def describe(run: Run, kind: str) -> dict[str, Any]:
    """Return the description of the model of a run for config.json. It contains no local paths.

    Raises `InputError` for a likelihood or prior that is not in the tables of Equipoise.
    """
    model = run.model
    own_beta = {} if run.beta is None else {"method.beta": run.beta}
    return {
        "library": "equipoise",
        "format": FORMAT,
        "kind": kind,
        "versions": {name: importlib.metadata.version(name) for name in ("equipoise", "torch")},
        "net": run.config.net.name,
        "latent": model.latent,
        "image": list(model.shape),
        "images": model.dataset_size,
        **({} if model.scaling is None else {"scaling": model.scaling.to_dict()}),
        "likelihood": _spec(model.likelihood, LIKELIHOODS),
        "prior": _spec(model.prior, PRIORS),
        "name": name(run),
        "step": checkpoint.load(run.path / "checkpoint.pt")["step"],
        "checkpoint": checkpoint.digest(run.path / "checkpoint.pt"),
        "factors": run.meta["data"]["factor_names"],
        "scores": _scores(run),
        "latents": [
            {"index": latent.index, "nats": latent.nats, "low": latent.low, "high": latent.high}
            | {"active": latent.active, "follows": latent.factor}
            for latent in latents(run)
        ],
        "settings": json.loads(json.dumps(configuration_of(run).flat() | own_beta)),
    }


def _spec(part: Part, table: Mapping[str, type[Part]]) -> dict[str, Any]:
    """Return name and settings of a part. Raise `InputError` if the table does not have it."""
    if table.get(part.name) is not type(part):
        raise InputError(f"a model with {type(part).__name__} cannot be exported: it is not in the table of its kind")
    return spec_of(part)


def name(run: Run) -> str:
    """Return the name of the model: the method, and the data set or the last part of the path of the images."""
    return f"{run.config.method.name}-{_data(run.config)}"


def configuration_of(run: Run) -> Config:
    """Return the settings of a run, with each path reduced to its last part."""
    config, data = run.config, run.config.data
    table, columns = factor_table.split(data.factors)
    file = [] if table is None else [Path(table).name]
    factors = [*file, *columns] if columns else "".join(file) or None
    settings = config.flat() | {"data.name": _data(config)} | ({} if factors is None else {"data.factors": factors})
    if config.train.init is not None:
        settings["train.init"] = Path(config.train.init).name or "run"
    return configuration.resolve({**settings, "out": Path(config.out).name or "run"}, complete=True)


def latents(run: Run) -> list[Latent]:
    """Return the latents of a run, most information first; none where its last checkpoint is not encoded."""
    path = run.results / "codes.npz"
    if not path.exists() or str(run.codes["checkpoint"]) != checkpoint.digest(run.path / "checkpoint.pt"):
        return []
    return analyse(run).latents


def _scores(run: Run) -> dict[str, float]:
    """Return the finite scores of the last checkpoint of a run."""
    file = run.results / "scores.json"
    if not file.exists() or scoring.read(file)["checkpoint"] != checkpoint.digest(run.path / "checkpoint.pt"):
        return {}
    return {name: score.value for name, score in run.scores.items() if math.isfinite(score.value)}


def _data(config: Config) -> str:
    """Return the data set of a run, or the last part of the path of its images."""
    return config.data.name if config.data.name in DATASETS else Path(config.data.name).name or "images"
