"""Codes: the same images, encoded once, for every run on a data set."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise import likelihoods
from equipoise.data import Images, npz
from equipoise.errors import InputError
from equipoise.files import replacing
from equipoise.model import VAE

Codes = dict[str, npt.NDArray[Any]]
"""index int64 [N], factors [N, K] where known, mean, logvar, z float32 [N, D], sse, bce float32 [N], pixels []."""


def index(images: Images, n: int) -> npt.NDArray[np.int64]:
    """Which images are encoded, [min(n, N)] in random order: the same ones at every call for the same N and n."""
    return np.random.default_rng(0).permutation(len(images))[:n]


@torch.no_grad()
def encode(model: VAE, images: Images, index: npt.NDArray[np.int64], batch: int = 500) -> Codes:
    """Codes of the images at `index`: posterior mean, log-variance and one sample z, and the error of each picture.

    `sse` and `bce` are per image, of the picture decoded from the posterior mean. The sample depends on `index` alone,
    not on the batches.
    """
    model.eval()
    noise = torch.randn(len(index), model.latent, generator=torch.Generator().manual_seed(0))
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in ("mean", "logvar", "sse", "bce")}
    for start in range(0, len(index), batch):
        x = torch.from_numpy(images.pixels(index[start : start + batch]))
        mean, logvar = model.encode(x)
        errors = likelihoods.per_image(likelihoods.as_float(x).to(mean.device), model.decode(mean))
        for name, value in {"mean": mean, "logvar": logvar, **errors}.items():
            parts[name].append(value.cpu())
    tensors = {name: torch.cat(values) for name, values in parts.items()}
    tensors["z"] = tensors["mean"] + (0.5 * tensors["logvar"]).exp() * noise
    codes: Codes = {"index": index, **{name: tensor.numpy() for name, tensor in tensors.items()}}
    codes["pixels"] = np.array(math.prod(images.shape))
    if images.factors is not None:
        codes["factors"] = images.factors[index]
    return codes


def save(path: Path, codes: Codes, checkpoint: str) -> None:
    """Write `codes` to an `.npz` that names the checkpoint they come from, whole or not at all."""
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, checkpoint=np.array(checkpoint), **codes)


def load(path: Path) -> Codes:
    """The arrays of an `.npz` of codes, without unpickling; raises `InputError` when it cannot be read."""
    # Opened here, since numpy leaves a file open that turns out not to be a whole archive.
    with npz.naming(path), path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise InputError(f"{path} holds a single array; expected an .npz of named ones")
        return {name: file[name] for name in file.files}
