"""The autoencoder, the record of one forward pass that every term reads, and what each of several processes does."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn

from equipoise.likelihoods import Likelihood, as_float
from equipoise.priors import Prior


@dataclass(frozen=True)
class Shard:
    """What one of several processes does of each batch: it runs the nets on its `rows`, one part of `processes` equal
    ones. All that is computed from codes or from nats per image is computed by every process, on the `whole` batch.

    So each process has the same loss, and `average` over the processes makes the gradient of a parameter that of one
    process with the whole batch, whether the parameter is used on rows, on the whole or on both. With one process
    everything here gives back what it is given.
    """

    rank: int = 0
    processes: int = 1

    def part(self, n: int) -> slice:
        """Where in n rows those of this process are; n is a multiple of `processes`."""
        size = n // self.processes
        return slice(self.rank * size, (self.rank + 1) * size)

    def rows(self, whole: Tensor) -> Tensor:
        """This process's rows [B / processes, ...] of a tensor [B, ...] that all processes have, with gradients."""
        if self.processes == 1:
            return whole
        rows: Tensor = _Rows.apply(whole, self)  # type: ignore[no-untyped-call]
        return rows

    def whole(self, rows: Tensor) -> Tensor:
        """The rows of all processes [B, ...] in order, from this process's [B / processes, ...], with gradients."""
        if self.processes == 1:
            return rows
        whole: Tensor = _Whole.apply(rows, self)  # type: ignore[no-untyped-call]
        return whole

    def average(self, gradients: Iterable[Tensor | None]) -> None:
        """Make each gradient the mean over the processes, in place and in one message; None stays."""
        if self.processes == 1:
            return
        found = [gradient for gradient in gradients if gradient is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in found])
        dist.all_reduce(flat)
        flat /= self.processes
        for gradient, mean in zip(found, torch.split(flat, [g.numel() for g in found]), strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def any(self, said: bool, device: torch.device) -> bool:
        """Whether any process says so; it waits for all of them."""
        if self.processes == 1:
            return said
        flag = torch.tensor(float(said), device=device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)


def _gathered(rows: Tensor, shard: Shard) -> Tensor:
    parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(shard.processes)]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


class _Whole(torch.autograd.Function):
    # Each process has the gradient of the same loss here. That of its rows is `processes` times its part of it, since
    # the gradients of parameters, to which the rows of the other processes contribute too, are averaged in the end.
    @staticmethod
    def forward(ctx: Any, rows: Tensor, shard: Shard) -> Tensor:
        ctx.shard = shard
        return _gathered(rows, shard)

    @staticmethod
    def backward(ctx: Any, to_whole: Tensor) -> tuple[Tensor, None]:
        return ctx.shard.processes * to_whole[ctx.shard.part(len(to_whole))], None


class _Rows(torch.autograd.Function):
    # The way back of `_Whole`: what arrives is `processes` times the gradient of this process's rows.
    @staticmethod
    def forward(ctx: Any, whole: Tensor, shard: Shard) -> Tensor:
        ctx.shard = shard
        return whole[shard.part(len(whole))].clone()

    @staticmethod
    def backward(ctx: Any, to_rows: Tensor) -> tuple[Tensor, None]:
        return _gathered(to_rows, ctx.shard) / ctx.shard.processes, None


@dataclass(frozen=True)
class Pass:
    """What one forward pass gave. x, out [B, C, H, W]; mean, logvar, z [B, D]; all float32 but `out` under bf16.

    In `shared` the first term that asks keeps what others need too. Of several processes each has its own rows of x and
    out alone: a term of these makes its [B / processes] the [B] of the batch with `shard.whole`.
    """

    x: Tensor
    mean: Tensor
    logvar: Tensor
    z: Tensor
    out: Tensor
    dataset_size: int
    prior: Prior
    likelihood: Likelihood
    shared: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)
    shard: Shard = Shard()


class VAE(nn.Module):
    """Encoder, decoder, likelihood and prior of a variational autoencoder with a diagonal Gaussian posterior.

    `shape` is (C, H, W) of the images, `latent` the number of latent dimensions D, `dataset_size` the number of images
    trained on. The encoder gives [B, 2 D], means first and log-variances second; the decoder gives logits.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: Prior,
        shape: tuple[int, int, int],
        dataset_size: int,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.shape = shape
        self.dataset_size = dataset_size
        self.bf16 = False  # in training: the two nets, and nothing else, run under bfloat16 autocast
        self.shard = Shard()

    @property
    def latent(self) -> int:
        return self.prior.latent

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Pass:
        """One training pass over x, float [B, C, H, W] in [0, 1], with one posterior sample an image."""
        mean, logvar, z = self.sample(x, generator)
        out = self.out(z)
        if self.shard.processes > 1:  # in one message
            mean, logvar, z = self.shard.whole(torch.cat([mean, logvar, z], 1)).chunk(3, 1)
        return Pass(x, mean, logvar, z, out, self.dataset_size, self.prior, self.likelihood, shard=self.shard)

    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """mean, logvar and one sample z of q(z|x), float32 [B, D] each, with gradients; of this process's rows x."""
        with self._autocast(x):
            mean, logvar = self.posterior(x)
        shape = (len(mean) * self.shard.processes, mean.shape[1])
        noise = self.shard.rows(torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype))
        return mean, logvar, mean + (0.5 * logvar).exp() * noise

    def out(self, z: Tensor) -> Tensor:
        """What the decoder makes of codes z [B, D], logits [B, C, H, W], with gradients."""
        with self._autocast(z):
            out: Tensor = self.decoder(z)
        return out

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and self.training)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mean, logvar, float32 [B, D], of q(z|x), with gradients and without a look at what x holds."""
        mean, logvar = self.encoder(x).to(x.dtype).chunk(2, dim=1)
        return mean, logvar

    @torch.no_grad()
    def encode(self, x: Tensor | npt.NDArray[Any]) -> tuple[Tensor, Tensor]:
        """mean, logvar [B, D] of q(z|x); x [B, C, H, W], tensor or array, is uint8 in 0..255 or float in [0, 1].

        Raises `InputError` for anything else.
        """
        return self.posterior(as_float(x).to(next(self.encoder.parameters()).device))

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """E[x|z], float [B, C, H, W] in [0, 1], from codes z [B, D]."""
        z = z.to(next(self.decoder.parameters()).device, torch.float32)
        return self.likelihood.mean(self.decoder(z))
