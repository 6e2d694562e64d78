"""Alignment: rotate the axes of the latent space to the directions in which the codes are least dependent.

The KL to a standard normal prior is the same for every rotation of the latent space. Nothing in a beta-VAE therefore
gives two factors of equal strength, such as the positions in x and in y, an axis each. The total correlation of the
codes does change with the rotation. This module estimates it and rotates encoder and decoder to its minimum.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from equipoise.balance.contract import Fraction, Positive, Steps
from equipoise.errors import InputError
from equipoise.model import VAE, Pass, first_half
from equipoise.part import Part

ACTIVE = 0.1  # nats of KL above which a latent is rotated, and below which it is switched off at the end
COARSE, FINE = 9, 45  # angles between -45 and 45 degrees that are tried; larger rotations only exchange axes
SWEEPS = 2  # passes over all pairs of latents


class Alignment(Part):
    """Rotates the latent axes to the least total correlation of the codes.

    Every `every` steps, the entropies of the single latents are estimated from the codes of the latest batches, for
    rotations of each pair of active latents. A rotation does not change the joint entropy, so it lowers the total
    correlation by as much as it lowers the sum of these entropies. The best rotation is applied to the last layer of
    the encoder, to the first layer of the decoder and to the moments of the optimiser. The means are rotated; the
    reconstructions of the means do not change. Latents are paired only if their posterior variances are similar: for
    the others, the KL is lowest on the present axes.

    Args:
        latent: number of latent dimensions D.
        every: steps between two rotations, 1 or more.
        codes: number of latest codes that are kept for the estimate, 16 or more.
        gap: largest difference of the mean log-variances of two latents that are paired, in nats, above 0.
        threshold: least decrease of the total correlation for which a pair is rotated, in nats, above 0.
        off_from: fraction of the schedule from which unused latents are switched off: those with a KL below 0.1 nats
            get mean 0 and variance 1 for every image. Otherwise their means vary slightly with the image. The decoder
            ignores this, but scores that do not depend on the scale of codes, such as MIG, count it.

    Source:
        Entropies from spacings and rotations of pairs: Learned-Miller & Fisher, ICA Using Spacings Estimates of
        Entropy, JMLR 4, 2003, https://www.jmlr.org/papers/v4/learned-miller03a.html

    Example:
        >>> import torch
        >>> from equipoise.alignment import rotation
        >>> square = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0)) - 0.5
        >>> cos, sin = torch.tensor(0.5).cos(), torch.tensor(0.5).sin()
        >>> codes = square @ torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])])
        >>> turn, decrease = rotation(codes)
        >>> bool((turn @ turn.T - torch.eye(2)).abs().max() < 1e-6), decrease > 0.05
        (True, True)
    """

    name: ClassVar[str] = "alignment"
    window: Tensor
    decrease: Tensor

    def __init__(
        self,
        latent: int,
        every: Steps = 200,
        codes: Annotated[int, Field(ge=16)] = 4096,
        gap: Positive = 1.0,
        threshold: Positive = 0.005,
        off_from: Fraction = 0.95,
    ) -> None:
        super().__init__()
        self.latent, self.every, self.codes, self.gap, self.threshold = latent, every, codes, gap, threshold
        self.off_from = off_from
        self.fixed: Sequence[int] = ()  # latents that are not rotated, since labels decide what they describe
        self.register_buffer("window", torch.zeros(codes, 2 * latent))
        self.register_buffer("decrease", torch.zeros(()))

    @torch.no_grad()
    def step(
        self,
        model: VAE,
        p: Pass,
        optimisers: Mapping[str, Optimizer],
        generator: torch.Generator,
        step: int,
        progress: float,
    ) -> dict[str, Tensor]:
        """Store the codes of the pass; at every `every`-th step rotate the axes, and at the end switch latents off.

        This happens after the model's own step. `step` is 1 for the first; the moments of the optimiser `model` are
        rotated too. Returns, for the log, the decrease of the total correlation by the latest rotation, [] in nats.
        """
        batch = torch.cat([p.mean.detach(), p.logvar.detach()], 1)[: self.codes].to(self.window.dtype)
        rows = (torch.arange(len(batch), device=batch.device) + (step - 1) * len(batch)) % self.codes
        self.window[rows] = batch
        is_filled = step * len(batch) >= self.codes
        mean, logvar = self.window.chunk(2, 1)
        if step % self.every == 0 and is_filled:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
            z = mean + (0.5 * logvar).exp() * noise
            turn, decrease = rotation(z, self._partners(mean, logvar, model.apart), self.threshold)
            self.decrease.fill_(decrease)
            if decrease > 0:
                self._rotate(model, optimisers["model"], turn)
        if progress >= self.off_from and is_filled:  # in each step, since the moments of Adam move the weights again
            self._switch_off(model, mean, logvar)
        return {"tc_decrease": self.decrease.clone()}

    def _partners(self, mean: Tensor, logvar: Tensor, is_apart: bool = False) -> list[tuple[int, int]]:
        """The pairs of active latents with similar variances, those with the largest KL first.

        is_apart: whether each half of the latents learns from a target of its own; then both are of one half.
        """
        kl = _kl(mean, logvar)
        level = logvar.mean(0)
        order = [j for j in kl.argsort(descending=True).tolist() if kl[j] > ACTIVE and j not in self.fixed]
        is_first = first_half(self.latent).tolist()
        pairs = ((i, j) for i, j in itertools.combinations(order, 2) if not is_apart or is_first[i] == is_first[j])
        return [(i, j) for i, j in pairs if abs(float(level[i] - level[j])) <= self.gap]

    def _switch_off(self, model: VAE, mean: Tensor, logvar: Tensor) -> None:
        """Set the posterior of unused latents to the prior, for the codes mean and logvar [codes, D] of the window."""
        unused = _kl(mean, logvar) < ACTIVE
        head = head_of(model.encoder, self.latent)
        rows = torch.cat([unused, unused])
        head.weight[rows] = 0
        head.bias[rows] = 0  # type: ignore[index]  # `head_of` requires a bias

    def _rotate(self, model: VAE, optimiser: Optimizer, turn: Tensor) -> None:
        """Rotate the latents of the model, the moments of the optimiser and the stored codes by `turn` [D, D]."""
        square = turn.square()  # maps variances, up to the correlations that a diagonal posterior leaves out
        head, stem = head_of(model.encoder, self.latent), stem_of(model.decoder, self.latent)
        mean, logvar = self.window.chunk(2, 1)
        variances = (logvar.exp() @ square.T).log()
        both = turn.new_zeros(2 * self.latent, 2 * self.latent)
        both[: self.latent, : self.latent], both[self.latent :, self.latent :] = turn, square
        # A linear layer cannot give the log of a mixture of exponentials; its mean over the codes is made exact.
        offset = torch.cat([mean.new_zeros(self.latent), variances.mean(0) - square @ logvar.mean(0)])
        bias: Tensor = head.bias  # type: ignore[assignment]  # `head_of` requires a bias
        for weight in (head.weight, bias):
            weight.copy_(_times(both, weight))
            for moment, matrix in _moments(optimiser, weight, both):
                moment.copy_(_times(matrix, moment))
        bias.add_(offset)
        axis = 0 if isinstance(stem, nn.ConvTranspose2d) else 1
        stem.weight.copy_(_times(turn, stem.weight.transpose(0, axis)).transpose(0, axis))
        for moment, matrix in _moments(optimiser, stem.weight, turn):
            moment.copy_(_times(matrix, moment.transpose(0, axis)).transpose(0, axis))
        self.window.copy_(torch.cat([mean @ turn.T, variances], 1))


def rotation(z: Tensor, pairs: list[tuple[int, int]] | None = None, threshold: float = 0.005) -> tuple[Tensor, float]:
    """Return the rotation [D, D] with the least total correlation of `z @ rotation.T`, and the decrease in nats.

    z are codes [N, D]. `pairs` of dimensions may be rotated into each other, by default all. A pair is rotated if that
    lowers the total correlation by more than `threshold`.

    Example:
        >>> import torch
        >>> rotation(torch.zeros(100, 3))[1]
        0.0
    """
    latent = z.shape[1]
    turn, total = torch.eye(latent, dtype=z.dtype, device=z.device), 0.0
    pairs = list(itertools.combinations(range(latent), 2)) if pairs is None else pairs
    for _ in range(SWEEPS):
        before = total
        for i, j in pairs:
            # A few angles on half of the codes show whether a finer search is worth its time.
            if _best(z[: len(z) // 2, i], z[: len(z) // 2, j], COARSE)[1] <= threshold:
                continue
            angle, decrease = _best(z[:, i], z[:, j], FINE)
            if decrease <= threshold:
                continue
            plane = torch.eye(latent, dtype=z.dtype, device=z.device)
            plane[i, i] = plane[j, j] = math.cos(angle)
            plane[i, j], plane[j, i] = -math.sin(angle), math.sin(angle)
            z, turn, total = z @ plane.T, plane @ turn, total + decrease
        if total == before:
            break
    return turn, total


def _best(u: Tensor, v: Tensor, angles: int) -> tuple[float, float]:
    """The best of several angles to rotate codes u, v [N] by, and how far it lowers the sum of their entropies."""
    grid = torch.arange(angles, device=u.device, dtype=u.dtype).sub_(angles // 2).mul_(math.pi / 2 / angles)
    cos, sin = grid.cos()[:, None], grid.sin()[:, None]
    total = entropy(cos * u - sin * v) + entropy(sin * u + cos * v)
    best = int(total.argmin())
    return float(grid[best]), float(total[angles // 2] - total[best])


def entropy(x: Tensor) -> Tensor:
    """Return the differential entropies [...] in nats of samples [..., N], estimated from the sorted samples' spacings.

    For equal samples it is the entropy of a spacing of 1e-12. Source: Vasicek, A Test for Normality Based on Sample
    Entropy, J. R. Stat. Soc. B 38, 1976.

    Example:
        >>> import torch
        >>> x = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
        >>> bool(entropy(4 * x).sub(math.log(4)).abs() < 0.02)
        True
    """
    n = x.shape[-1]
    m = max(1, round(math.sqrt(n)))
    ordered = _sorted(x)
    spacings = (ordered[..., m:] - ordered[..., :-m]).clamp(min=1e-12)
    return (spacings * ((n + 1) / m)).log().mean(-1)


def _sorted(x: Tensor) -> Tensor:
    """The samples [..., N] in ascending order. On a CPU NumPy sorts them, which takes a fifth of the time of torch."""
    return x.sort(dim=-1).values if x.is_cuda else torch.from_numpy(np.sort(x.numpy(force=True), axis=-1))


def head_of(encoder: nn.Module, latent: int) -> nn.Linear | nn.Conv2d:
    """Return the last layer of an encoder, which gives means and log-variances.

    Raises `InputError` if that is not a linear layer or a 1 x 1 convolution with 2 D outputs.
    """
    layers = [layer for layer in encoder.modules() if getattr(layer, "weight", None) is not None]
    last = layers[-1] if layers else None
    if isinstance(last, nn.Linear | nn.Conv2d) and len(last.weight) == 2 * latent and last.bias is not None:
        return last
    raise InputError("alignment needs an encoder whose last layer is linear, with 2 outputs for each latent and a bias")


def stem_of(decoder: nn.Module, latent: int) -> nn.Linear | nn.ConvTranspose2d:
    """Return the first layer of a decoder, which reads the codes.

    Raises `InputError` if that is not a linear layer or a transposed convolution with D inputs.
    """
    layers = [layer for layer in decoder.modules() if getattr(layer, "weight", None) is not None]
    first = layers[0] if layers else None
    if isinstance(first, nn.Linear) and first.in_features == latent:
        return first
    if isinstance(first, nn.ConvTranspose2d) and first.in_channels == latent:
        return first
    raise InputError("alignment needs a decoder whose first layer is linear, with one input for each latent")


def _kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """The mean KL [D] of each latent to the standard normal prior, in nats."""
    return 0.5 * (mean.square() + logvar.exp() - logvar - 1).mean(0)


def _times(matrix: Tensor, weight: Tensor) -> Tensor:
    """The matrix [A, B] times a weight [B, ...], on its first dimension."""
    return (matrix.to(weight.dtype) @ weight.reshape(len(weight), -1)).reshape(weight.shape)


def _moments(optimiser: Optimizer, weight: Tensor, matrix: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The moments of Adam for a weight, each with the matrix that rotates it."""
    state: dict[str, Any] = optimiser.state.get(weight, {})
    matrices = {"exp_avg": matrix, "exp_avg_sq": matrix.square()}
    return [(state[key], by) for key, by in matrices.items() if key in state]
