"""PIPE: whether pictures of independently drawn latents can be distinguished from reconstructions, without labels."""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from equipoise import nets, progress
from equipoise.errors import InputError, check_whole, choose
from equipoise.metrics.result import Score
from equipoise.model import VAE
from equipoise.torch_defaults import torch_defaults

Latents = Literal["shuffled", "uniform"]

LEAST = 20  # codes, of which half are for the test
BATCH = 64  # pictures in a step, half of each kind
WIDTH = 256  # units of the hidden layers for vectors
LR = 1e-4  # of Adam, as published
DECODED = 500  # codes that are decoded at a time


@torch_defaults()
def pipe(model: VAE, mean: npt.NDArray[np.float32], latents: Latents, seen: int, seed: int) -> Score:
    """Return the PIPE of the codes `mean` [N, D] of a model.

    A discriminator learns to distinguish pictures decoded from the codes and pictures decoded from codes whose latents
    are drawn independently of each other. Half of the codes are for training, the other half for the test.

    Args:
        model: The model, whose decoder is used.
        mean: Posterior means of N images in random order, at least 20.
        latents: How the latents are drawn. `shuffled`: each from its own values. `uniform`: uniformly between its
            smallest and largest value, as in the authors' program.
        seen: The number of pictures in training.
        seed: The seed of the latents, and of the weights and batches of the discriminator.

    Returns:
        Twice the error rate of the discriminator in the test, at most 1, with the 95 % interval of its binomial
        distribution; `extra` has its accuracy.

    Raises:
        InputError: For fewer codes, another choice of latents, or images that the discriminator cannot have.
    """
    if len(mean) < LEAST:
        raise InputError(f"there are {len(mean)} codes; expected at least {LEAST}; raise evaluate.n")
    choose("choice of latents", latents, get_args(Latents))
    check_whole("seen", seen)
    check_whole("seed", seed)
    if seen < BATCH:
        raise InputError(f"seen is {seen}; expected at least {BATCH} pictures")
    if seed < 0:
        raise InputError(f"seed is {seed}; expected a whole number from 0 on")
    rng = np.random.default_rng([seed, *b"pipe"])
    low, high = mean.min(axis=0), mean.max(axis=0)
    resampled_codes = rng.permuted(mean, axis=0) if latents == "shuffled" else rng.uniform(low, high, mean.shape)
    both = torch.from_numpy(np.stack([mean, resampled_codes.astype(np.float32)]))  # [2, N, D]
    half = len(mean) // 2
    train, test = both[:, :half], both[:, half:]
    place = next(model.parameters()).device
    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**31)))
        discriminator = _discriminator(model.shape).to(place)
    optimiser = torch.optim.Adam(discriminator.parameters(), LR)
    with progress.bar("training the discriminator", seen // BATCH, "steps") as advance:
        for _ in range(seen // BATCH):
            rows = torch.from_numpy(rng.integers(half, size=(2, BATCH // 2)))
            logits = discriminator(_pictures(model, torch.cat([train[0, rows[0]], train[1, rows[1]]]))).squeeze(1)
            loss = F.binary_cross_entropy_with_logits(logits, _label(len(logits), place))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            advance(1)
    with torch.no_grad():
        parts = torch.split(test.flatten(0, 1), DECODED)
        logits = torch.cat([discriminator(_pictures(model, part)) for part in parts])
    accuracy = float(((logits.squeeze(1) >= 0) == (_label(len(logits), place) > 0)).float().mean())
    value, spread = 2 * (1 - accuracy), 2 * 1.96 * (accuracy * (1 - accuracy) / len(logits)) ** 0.5
    return Score(
        min(value, 1.0),
        low=min(max(value - spread, 0.0), 1.0),
        high=min(value + spread, 1.0),
        n=len(mean),
        params={"latents": latents, "seen": seen},
        seed=seed,
        extra={"accuracy": accuracy},
    )


def _discriminator(shape: tuple[int, int, int]) -> nn.Module:
    """A net from pictures [B, C, H, W] to a logit [B, 1]: that of DAVA, and a perceptron for vectors."""
    if shape[1] > 1:
        return nets.image_discriminator(shape)
    hidden = [nn.Linear(shape[0] * shape[2], WIDTH), nn.LeakyReLU(0.2), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(0.2)]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(WIDTH, 1))


def _pictures(model: VAE, codes: Tensor) -> Tensor:
    return model.decode(codes).contiguous()  # as in the discriminator of DAVA, instance norm is slow otherwise


def _label(n: int, place: torch.device) -> Tensor:
    """1 for the first half of n pictures, those of codes of the model, 0 for the second [n]."""
    return (torch.arange(n, device=place) < n / 2).float()
