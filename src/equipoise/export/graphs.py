"""Encoder and decoder as ONNX graphs, which are compared with the model."""

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
LARGEST = 1e-4  # allowed difference of a code or pixel
BATCHES = (1, 5)  # batch sizes of the comparison; exporters often get 1 wrong


class Encoder(nn.Module):
    """The encoder as a module: x [B, C, H, W] in [0, 1] -> mean, logvar [B, D]."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logvar [B, D] of images x [B, C, H, W]."""
        return self.model.posterior(x)


class Decoder(nn.Module):
    """The decoder as a module: z [B, D] -> pixels [B, C, H, W] in [0, 1]."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor) -> Tensor:
        """Return pixels [B, C, H, W] of codes z [B, D]."""
        return self.model.likelihood.mean(self.model.decoder(z))


def check() -> None:
    """Raise `InputError` where a package that the export needs is not installed."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise InputError(f"an export to onnx needs {package}; pip install equipoise[onnx]")


def write(model: VAE, folder: Path, about: Mapping[str, Any]) -> float:
    """Write encoder.onnx and decoder.onnx to `folder`, and return the largest difference from the model.

    The encoder takes `x`, float32 [batch, C, H, W] in [0, 1], and returns `mean` and `logvar` [batch, D]. The decoder
    takes `z` [batch, D] and returns `pixels` [batch, C, H, W] in [0, 1]. Raises `RunError` for a difference of a code
    or pixel above 1e-4.
    """
    generator = torch.Generator().manual_seed(0)
    # Decoded samples, so that the comparison needs no data.
    z = torch.randn(max(BATCHES), model.latent, generator=generator)
    x = model.decode(z)
    metadata = {
        "equipoise": about["versions"]["equipoise"],
        "model": about["name"],
        "checkpoint": about["checkpoint"],
        "images": f"float32 [batch, {', '.join(map(str, model.shape))}] "
        + ("in [0, 1]" if model.scaling is None else "scaled by scaling of config.json"),
        "latents": ", ".join(f"z{latent['index']}" for latent in about["latents"]) or "not ordered",
        "factors": ", ".join(about["factors"]),
    }
    differences = []
    for name, module, example, takes, gives in (
        ("encoder", Encoder(model), x, "x", ["mean", "logvar"]),
        ("decoder", Decoder(model), z, "z", ["pixels"]),
    ):
        path = folder / f"{name}.onnx"
        _write(module.eval(), example, takes, gives, metadata, path)
        differences.append(_difference(module, example, path))
    largest = float(torch.tensor(differences).max())  # nan if any is, unlike Python's max
    if not largest <= LARGEST:
        raise RunError(
            f"the ONNX graphs differ from the model by {largest:.1e}, more than {LARGEST:g}; nothing was written"
        )
    return largest


def _write(
    module: nn.Module, example: Tensor, takes: str, gives: list[str], metadata: dict[str, str], path: Path
) -> None:
    with _quiet_exporter(), torch.no_grad():
        program: Any = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[takes],
            output_names=gives,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    for node in program.model.graph:
        node.metadata_props.clear()  # stack traces with local paths
    program.model.metadata_props.update(metadata)
    program.save(path)
    import_module("onnx").checker.check_model(path, full_check=True)


def _difference(module: nn.Module, example: Tensor, path: Path) -> float:
    """Return the largest absolute difference between a module and its graph over all batch sizes."""
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()[0].name
    differences = []
    for n in BATCHES:
        with torch.no_grad():
            ours = module(example[:n])
        theirs = session.run(None, {takes: example[:n].numpy()})
        for left, right in zip(ours if isinstance(ours, tuple) else (ours,), theirs, strict=True):
            differences.append((left - torch.from_numpy(right)).abs().max())
    return float(torch.stack(differences).max())


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter, which warns of optional packages and of its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
