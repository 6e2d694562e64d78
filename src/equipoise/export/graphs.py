"""Encoder and decoder as ONNX graphs, each compared with the model it came from."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from equipoise.errors import InputError, RunError
from equipoise.model import VAE

OPSET = 20
LARGEST = 1e-4  # difference of a code or pixel, beyond which the graphs are refused
BATCHES = (1, 5)  # images in each comparison: the number is free, and 1 is where exporters go wrong


class Encoder(nn.Module):
    """x [B, C, H, W] -> mean, logvar [B, D]."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.model.posterior(x)


class Decoder(nn.Module):
    """z [B, D] -> pixels [B, C, H, W]."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        return self.model.likelihood.mean(self.model.decoder(z))


def check() -> None:
    """Raises `InputError` where a package is missing that the graphs need."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise InputError(f"an export to onnx needs {package}; pip install equipoise[onnx]")


def write(model: VAE, folder: Path, known: Mapping[str, Any]) -> float:
    """Write encoder.onnx and decoder.onnx to `folder`; the largest difference from the model, over codes and pixels.

    The encoder takes `x`, float32 [batch, C, H, W] in [0, 1], and gives `mean` and `logvar` [batch, D]; the decoder
    takes `z` [batch, D] and gives `pixels` [batch, C, H, W] in [0, 1]. Raises `RunError` for a difference above 1e-4.
    """
    generator = torch.Generator().manual_seed(0)
    # Pictures that the model itself makes up: the graphs are compared where they will be used, and without the data.
    z = torch.randn(max(BATCHES), model.latent, generator=generator)
    x = model.decode(z)
    said = {
        "equipoise": known["versions"]["equipoise"],
        "model": known["name"],
        "checkpoint": known["checkpoint"],
        "images": f"float32 [batch, {', '.join(map(str, model.shape))}] in [0, 1]",
        "latents": ", ".join(f"z{latent['index']}" for latent in known["latents"]) or "not ordered",
        "factors": ", ".join(known["factors"]),
    }
    differences = []
    for name, module, given, takes, gives in (
        ("encoder", Encoder(model), x, "x", ["mean", "logvar"]),
        ("decoder", Decoder(model), z, "z", ["pixels"]),
    ):
        path = folder / f"{name}.onnx"
        _write(module.eval(), given, takes, gives, said, path)
        differences.append(_difference(module, given, path))
    # A pixel that is no number is not within any distance, and `max` alone could miss it.
    worst = float(torch.tensor(differences).max())
    if not worst <= LARGEST:
        raise RunError(f"the ONNX graphs differ from the model by {worst:.1e}, more than {LARGEST:g}; nothing was kept")
    return worst


def _write(module: nn.Module, given: Tensor, takes: str, gives: list[str], said: dict[str, str], path: Path) -> None:
    with _quietly(), torch.no_grad():
        program: Any = torch.onnx.export(
            module,
            (given,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[takes],
            output_names=gives,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces, with paths of this machine
    program.model.metadata_props.update(said)
    program.save(path)
    import_module("onnx").checker.check_model(path, full_check=True)


def _difference(module: nn.Module, given: Tensor, path: Path) -> float:
    """The largest absolute difference between a module and its graph, over batches of several sizes."""
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()[0].name
    differences = []
    for n in BATCHES:
        with torch.no_grad():
            ours = module(given[:n])
        theirs = session.run(None, {takes: given[:n].numpy()})
        for left, right in zip(ours if isinstance(ours, tuple) else (ours,), theirs, strict=True):
            differences.append((left - torch.from_numpy(right)).abs().max())
    return float(torch.stack(differences).max())


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter tells of packages that it could do more with, and of its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
