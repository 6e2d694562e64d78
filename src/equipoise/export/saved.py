"""A model as model.safetensors and config.json, from which it is built again: no data, no settings, no pickles."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from equipoise import nets
from equipoise.errors import InputError
from equipoise.export.about import FORMAT
from equipoise.export.folder import CONFIG, digest
from equipoise.likelihoods import LIKELIHOODS
from equipoise.model import VAE
from equipoise.part import rebuild
from equipoise.priors import PRIORS

WEIGHTS = "model.safetensors"


def write(model: VAE, folder: Path) -> None:
    """Write the weights of encoder, decoder, likelihood and prior to `folder`."""
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(weights, metadata={"format": "pt"}))


def load_model(folder: str | Path) -> VAE:
    """The model in a folder that `equipoise export` wrote, to safetensors or hub-folder: on the CPU, in evaluation.

    `mean, logvar = model.encode(x)` and `model.decode(z)` give the same numbers as those of the run. Nothing is
    unpickled. Raises `InputError` when the folder holds no such model, or files that are torn or changed.
    """
    folder = Path(folder)
    known = _known(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{path} is missing; expected what `equipoise export --to safetensors` writes, whole")
    files = known.get("files")
    if not isinstance(files, dict) or digest(path) != files.get(WEIGHTS):
        raise InputError(f"{path} is torn or changed (its SHA-256 is not the one in {CONFIG}); get it again")
    try:
        model = _built(known, safetensors.torch.load(path.read_bytes()))
    except (KeyError, TypeError, ValueError, ArithmeticError, RuntimeError, SafetensorError) as error:
        # Whatever else a file may claim that Equipoise did not write.
        raise InputError(f"{folder} does not hold a model of this version ({error}); export it again") from None
    return model.eval()


def _known(folder: Path) -> dict[str, Any]:
    """What config.json says, when it is one of ours that describes a model to load."""
    path = folder / CONFIG
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); expected an exported model") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); get it again") from None
    if not isinstance(known, dict) or known.get("library") != "equipoise":
        raise InputError(f"{folder} was not exported by Equipoise; expected what `equipoise export` writes")
    if known.get("kind") == "onnx":
        raise InputError(f"{folder} holds ONNX graphs, for ONNX Runtime; export the run to safetensors to load it")
    if known.get("format") != FORMAT:
        raise InputError(f"{folder} has format {known.get('format')}; this version reads format {FORMAT}")
    return known


def _built(known: dict[str, Any], weights: dict[str, Tensor]) -> VAE:
    """The model that config.json describes, with these weights: all of them, each of its shape and kind of number."""
    channels, height, width = known["image"]
    shape = (int(channels), int(height), int(width))
    latent = int(known["latent"])
    # Without memory until the weights are seen to fit: the sizes are claims of a file that anyone may have written.
    with torch.device("meta"):
        encoder, decoder = nets.build(known["net"], shape, latent)
    _fit({f"encoder.{k}": v for k, v in encoder.state_dict().items()}, weights, "encoder.")
    _fit({f"decoder.{k}": v for k, v in decoder.state_dict().items()}, weights, "decoder.")
    likelihood, prior = rebuild(LIKELIHOODS, known["likelihood"]), rebuild(PRIORS, known["prior"])
    if prior.latent != latent:
        raise InputError(f"the prior has {prior.latent} latents, the nets have {latent}")
    model = VAE(encoder, decoder, likelihood, prior, shape, int(known["images"]))
    _fit(model.state_dict(), weights, "")
    # Copies lie in memory as torch aligns it, as those of a run do: sums are then taken in the same order.
    model.load_state_dict({name: tensor.clone() for name, tensor in weights.items()}, assign=True)
    return model


def _fit(expected: dict[str, Tensor], weights: dict[str, Tensor], prefix: str) -> None:
    """Raises `InputError` unless the weights that begin with `prefix` are those expected, in name, shape and type."""
    found = {name: tensor for name, tensor in weights.items() if name.startswith(prefix)}
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            raise InputError(f"{name} is {'missing' if name in expected else 'no weight of this model'}")
        want, have = expected[name], found[name]
        if (want.shape, want.dtype) != (have.shape, have.dtype):
            raise InputError(f"{name} is {have.dtype} {list(have.shape)}; expected {want.dtype} {list(want.shape)}")
