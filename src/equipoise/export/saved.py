"""A model as model.safetensors and config.json, without data, settings or pickles."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from equipoise import nets
from equipoise.data.columns import Scaling
from equipoise.errors import InputError
from equipoise.export.about import FORMAT
from equipoise.export.folder import CONFIG, digest
from equipoise.export.source import find
from equipoise.likelihoods import LIKELIHOODS
from equipoise.model import VAE
from equipoise.part import rebuild
from equipoise.priors import PRIORS
from equipoise.torch_defaults import torch_defaults

WEIGHTS = "model.safetensors"


def write(model: VAE, folder: Path) -> None:
    """Write the weights of encoder, decoder, likelihood and prior to `folder`."""
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(weights, metadata={"format": "pt"}))


@torch_defaults()
def load_model(source: str | Path) -> VAE:
    """Load a model by name, or from a folder that `equipoise export` wrote, to safetensors or hub-folder.

    Codes and pictures equal those of the run. Loading does not unpickle anything.

    Args:
        source: The folder of the export; the name of a model of the package, as `equipoise models list` prints them; or
            `hf:owner/name`, a repository of the Hugging Face hub.

    Returns:
        The model, on the CPU, in evaluation mode. `model.encode(x)` returns mean and logvar, `model.decode(z)` pixels;
        of vectors, `model.scaling.restore(model.decode(z))` are the values in the units of the data.

    Raises:
        InputError: If there is no such model, or if its files are incomplete or changed.
        RunError: If a repository cannot be downloaded.

    Example:
        >>> import equipoise as eq
        >>> folder = eq.export_run("runs/first")
        >>> model = eq.load_model(folder)
        >>> model.latent
        10
        >>> eq.load_model("rooms3d").shape
        (3, 32, 32)
    """
    folder = find(source)
    about = _description(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{path} is missing; copy the whole folder that `equipoise export` wrote")
    files = about.get("files")
    if not isinstance(files, dict) or digest(path) != files.get(WEIGHTS):
        raise InputError(
            f"{path} is incomplete or changed (its SHA-256 is not that of {CONFIG}); copy or export it again"
        )
    try:
        model = _build(about, safetensors.torch.load(path.read_bytes()))
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError, SafetensorError) as error:
        # Any other content that Equipoise did not write.
        raise InputError(f"{folder} does not hold a model of this version ({error}); export it again") from None
    return model.eval()


def _description(folder: Path) -> dict[str, Any]:
    """Return the content of config.json. Raise `InputError` unless it describes a model that can be loaded."""
    path = folder / CONFIG
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected an exported model") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); copy or export it again") from None
    if not isinstance(about, dict) or about.get("library") != "equipoise":
        raise InputError(f"{folder} was not exported by Equipoise; expected a folder that `equipoise export` wrote")
    if about.get("kind") == "onnx":
        raise InputError(f"{folder} holds ONNX graphs, for ONNX Runtime; export the run to safetensors to load it")
    if about.get("format") != FORMAT:
        raise InputError(f"{folder} has format {about.get('format')}; this version reads format {FORMAT}")
    return about


def _build(about: dict[str, Any], weights: dict[str, Tensor]) -> VAE:
    """Build the model that config.json describes with these weights, which must all have its shapes and types."""
    channels, height, width = about["image"]
    shape = (int(channels), int(height), int(width))
    latent = int(about["latent"])
    # On the meta device, which needs no memory: the sizes are untrusted until the weights are seen to fit.
    with torch.device("meta"):
        encoder, decoder = nets.build(about["net"], shape, latent)
    _check_weights({f"encoder.{k}": v for k, v in encoder.state_dict().items()}, weights, "encoder.")
    _check_weights({f"decoder.{k}": v for k, v in decoder.state_dict().items()}, weights, "decoder.")
    likelihood, prior = rebuild(LIKELIHOODS, about["likelihood"]), rebuild(PRIORS, about["prior"])
    if prior.latent != latent:
        raise InputError(f"the prior has {prior.latent} latents, the nets have {latent}")
    scaling = Scaling.from_dict(about["scaling"]) if "scaling" in about else None
    model = VAE(encoder, decoder, likelihood, prior, shape, int(about["images"]), scaling)
    _check_weights(model.state_dict(), weights, "")
    # Copies are aligned in memory as the weights of a run are, so that sums are taken in the same order.
    model.load_state_dict({name: tensor.clone() for name, tensor in weights.items()}, assign=True)
    return model


def _check_weights(expected: dict[str, Tensor], weights: dict[str, Tensor], prefix: str) -> None:
    """Raise `InputError` unless the weights that begin with `prefix` have the expected names, shapes and types."""
    present = {name: tensor for name, tensor in weights.items() if name.startswith(prefix)}
    for name in sorted(expected.keys() | present.keys()):
        if name not in present or name not in expected:
            raise InputError(f"{name} is {'missing' if name in expected else 'no weight of this model'}")
        here, there = expected[name], present[name]
        if (here.shape, here.dtype) != (there.shape, there.dtype):
            raise InputError(f"{name} is {there.dtype} {list(there.shape)}; expected {here.dtype} {list(here.shape)}")
