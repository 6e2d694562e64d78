"""The start of a run from the weights of another run: `train.init`."""

from pathlib import Path
from typing import Any

from equipoise import config as configuration
from equipoise.config import Config, Settings
from equipoise.errors import InputError
from equipoise.files import read_json
from equipoise.model import VAE
from equipoise.run import Run
from equipoise.run_folder import Meta, load_checkpoint
from equipoise.training import checkpoint


def complete(settings: Settings) -> Settings:
    """The settings of a user, with the net, its latents and the size of the images of the run in `train.init`, if any.

    Those that are set keep their value. Raises `InputError` if there is no such run.
    """
    request = configuration.expand(settings)
    init = request.get("train.init")
    if not isinstance(init, str):
        return settings
    own = Path(str(request.get("out") or "")) / "config.toml"
    if "out" in request and own.is_file():  # resumed, also where the other run is gone
        saved_settings = configuration.read(own)
        names = ("net.name", "net.latent", "data.size")
        return {key: saved_settings[key] for key in names if key in saved_settings} | request
    run = _open(init)
    _, height, width = run.meta["shape"]
    size = {"data.size": height} if height == width else {}
    return {"net.name": run.config.net.name, "net.latent": run.config.net.latent, **size, **request}


def start_from(model: VAE, config: Config) -> dict[str, Any]:
    """Load the weights of encoder and decoder from the run in `train.init`, and return its description for meta.json.

    Likelihood, prior, weights of the terms and optimisers are new. Raises `InputError` if images or nets differ from
    those of that run, or if an interrupted start used another checkpoint of it.
    """
    run = _open(str(config.train.init))
    state = load_checkpoint(run.path, run.config)
    shape, net, own = tuple(run.meta["shape"]), run.config.net, config.net
    if shape != model.shape:
        raise InputError(
            f"train.init: {run.path} was trained on images of shape {shape}, this run has {model.shape}; give images "
            "of that shape, see data.size and data.grey"
        )
    names, own_names = (None if each is None else each.names for each in (run.scaling, model.scaling))
    if names != own_names:
        raise InputError(
            f"train.init: {run.path} was trained on other columns, or on the same in another order; give those of that "
            "run"
        )
    if net != own:
        raise InputError(
            f"train.init: {run.path} has the net {net.name} with {net.latent} latents, this run {own.name} with "
            f"{own.latent}; set net={net.name} net.latent={net.latent}"
        )
    source = run.model
    if source.encoder.state_dict().keys() != model.encoder.state_dict().keys():
        source = source.at()  # without gates
    if source.encoder.state_dict().keys() != model.encoder.state_dict().keys():
        raise InputError(
            f"train.init: {run.path} was trained by {run.config.method.name}, whose nets have no gates; start "
            f"{config.method.name} from one of its own runs"
        )
    about = {
        "run": str(run.path.resolve()),
        "method": run.config.method.name,
        "step": state["step"],
        "checkpoint": checkpoint.digest(run.path / "checkpoint.pt"),
    }
    meta = Path(config.out) / "meta.json"
    if meta.exists() and read_json(meta, Meta).get("init") != about:
        raise InputError(f"{config.out} began from another checkpoint of {run.path}; choose another out")
    model.encoder.load_state_dict(source.encoder.state_dict())
    model.decoder.load_state_dict(source.decoder.state_dict())
    return about


def _open(init: str) -> Run:
    path = Path(init)
    if not (path / "config.toml").is_file():
        raise InputError(f"train.init: {path} is not a run (it has no config.toml); give the folder of a trained run")
    return Run(path, configuration.load(path / "config.toml"))
