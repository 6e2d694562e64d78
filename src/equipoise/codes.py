"""Codes of a sample of the images, the same images for every run on a data set."""

import math
from collections import defaultdict
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
"""Arrays by name: index int64 [N]; factors [N, K] if they are known; mean, logvar, z float32 [N, D]; pixels []; and
float32 [N] sse, bce, sampled_sse, sampled_bce, log_px_z, kl. See `encode`."""

ERRORS = ("sse", "bce", "pixels", "sampled_sse", "sampled_bce", "log_px_z", "kl")  # what metrics call `recon`


def index(images: Images, n: int) -> npt.NDArray[np.int64]:
    """Rows [min(n, N)] of the images to encode, in an order that depends only on N and n."""
    return np.random.default_rng(0).permutation(len(images))[:n]


@torch.no_grad()
def encode(model: VAE, images: Images, index: npt.NDArray[np.int64], batch: int = 500) -> Codes:
    """Codes of the images at `index`: posterior mean, log-variance, one sample z, and errors of reconstruction.

    `sse` and `bce` are the errors of the pictures decoded from the posterior mean, `sampled_sse` and `sampled_bce` of
    those decoded from z. In nats per image, `log_px_z` is the log-likelihood of the image given z and `kl` the KL of
    posterior and prior, both those of the model; the KL is estimated from z if it has no closed form. `log_px_z` less
    `kl` is the evidence lower bound. z depends on `index` only, not on `batch`.
    """
    model.eval()
    noise = torch.randn(len(index), model.latent, generator=torch.Generator().manual_seed(0))
    parts: dict[str, list[torch.Tensor]] = defaultdict(list)
    for start in range(0, len(index), batch):
        rows = slice(start, start + batch)
        x = torch.from_numpy(images.pixels(index[rows]))
        mean, logvar = model.encode(x)
        x = likelihoods.as_float(x).to(mean.device)
        z = mean + (0.5 * logvar).exp() * noise[rows].to(mean.device)
        out = model.out(z)
        of_mean = likelihoods.per_image(x, model.decode(mean))
        of_sample = likelihoods.per_image(x, model.likelihood.mean(out))
        values = {"mean": mean, "logvar": logvar, "z": z, **of_mean}
        values |= {f"sampled_{name}": errors for name, errors in of_sample.items()}
        values |= {"log_px_z": model.likelihood.log_prob(out, x), "kl": model.prior.kl(mean, logvar, z).sum(1)}
        for name, value in values.items():
            parts[name].append(value.cpu())
    codes: Codes = {"index": index, **{name: torch.cat(values).numpy() for name, values in parts.items()}}
    codes["pixels"] = np.array(math.prod(images.shape))
    if images.factors is not None:
        codes["factors"] = images.factors[index]
    return codes


def save(path: Path, codes: Codes, checkpoint: str) -> None:
    """Write `codes` and the digest of their checkpoint to an `.npz`, which appears whole or not at all."""
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, checkpoint=np.array(checkpoint), **codes)


def load(path: Path) -> Codes:
    """The arrays of an `.npz` of codes, without unpickling. Raises `InputError` if it cannot be read."""
    # Opened here, because numpy leaves the file open if it is not a whole archive.
    with npz.naming(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise InputError(f"{path} holds a single array; expected an .npz of named ones")
        return {name: file[name] for name in file.files}
