"""The autoencoder, the record of a forward pass that terms read, and the shard of a batch that a process has."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from equipoise import nets
from equipoise.data import Images, load_data
from equipoise.data.columns import Scaling
from equipoise.errors import InputError
from equipoise.gates import Gated
from equipoise.likelihoods import Likelihood, as_float
from equipoise.pairing import Pairing
from equipoise.priors import Prior

POINT = -60.0  # log-variance of a code without noise, whose deviation of 1e-13 is lost in single precision


@dataclass(frozen=True)
class Shard:
    """The rows of each batch that one of several processes has.

    A process runs the nets on its own rows. Codes and nats per image are exchanged, and everything that is computed
    from them is computed by every process on the whole batch. All processes therefore have the same loss. The mean of
    their gradients (`average`) is the gradient of one process with the whole batch, whether a parameter is used on
    rows, on the whole batch or on both. With one process all methods return their argument.

    Args:
        rank: number of this process, 0 to processes - 1.
        processes: number of processes; each has 1 / processes of the batch.
    """

    rank: int = 0
    processes: int = 1

    def part(self, n: int) -> slice:
        """Return the slice of n rows that this process has. n is a multiple of `processes`."""
        size = n // self.processes
        return slice(self.rank * size, (self.rank + 1) * size)

    def rows(self, whole: Tensor) -> Tensor:
        """Return this process's rows [B / processes, ...] of a tensor [B, ...] of all processes, with gradients."""
        if self.processes == 1:
            return whole
        rows: Tensor = _Rows.apply(whole, self)  # type: ignore[no-untyped-call]
        return rows

    def whole(self, rows: Tensor) -> Tensor:
        """Return the rows of all processes [B, ...] in order, given those of this process, with gradients."""
        if self.processes == 1:
            return rows
        whole: Tensor = _Whole.apply(rows, self)  # type: ignore[no-untyped-call]
        return whole

    def average(self, gradients: Iterable[Tensor | None]) -> None:
        """Replace each gradient by its mean over the processes, in place and in one message. None stays None."""
        if self.processes == 1:
            return
        tensors = [gradient for gradient in gradients if gradient is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in tensors])
        dist.all_reduce(flat)
        flat /= self.processes
        for gradient, mean in zip(tensors, torch.split(flat, [g.numel() for g in tensors]), strict=True):
            gradient.copy_(mean.view(gradient.shape))

    def any(self, value: bool, device: torch.device) -> bool:
        """Return whether `value` is true in any process. It waits for all processes."""
        if self.processes == 1:
            return value
        flag = torch.tensor(float(value), device=device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)


def _gather(rows: Tensor, shard: Shard) -> Tensor:
    """Return the rows of all processes [B, ...] in order."""
    parts = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(shard.processes)]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


class _Whole(torch.autograd.Function):
    """`Shard.whole` with gradients.

    Every process has the gradient of the same loss with respect to the whole batch. The gradients of parameters are
    averaged in the end, and each process contributes those of its own rows, so they are multiplied by `processes`.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, shard: Shard) -> Tensor:
        ctx.shard = shard
        return _gather(rows, shard)

    @staticmethod
    def backward(ctx: Any, to_whole: Tensor) -> tuple[Tensor, None]:
        return ctx.shard.processes * to_whole[ctx.shard.part(len(to_whole))], None


class _Rows(torch.autograd.Function):
    """`Shard.rows` with gradients: the inverse of `_Whole`, whose factor `processes` is divided out."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, shard: Shard) -> Tensor:
        ctx.shard = shard
        return whole[shard.part(len(whole))].clone()

    @staticmethod
    def backward(ctx: Any, to_rows: Tensor) -> tuple[Tensor, None]:
        return _gather(to_rows, ctx.shard) / ctx.shard.processes, None


def first_half(latent: int, device: torch.device | None = None) -> Tensor:
    """Return which of D latents belong to the first half, bool [D]; of an odd number, the second half has one more.

    Example:
        >>> first_half(3)
        tensor([ True, False, False])
    """
    return torch.arange(latent, device=device) < latent // 2


@dataclass(frozen=True)
class Pass:
    """The results of one forward pass. All tensors are float32, except `out` in bfloat16 training.

    With several processes, x and out have the rows of this process alone, [B / processes, ...]. A term that is computed
    from them passes its result through `shard.whole`, which returns the rows of all processes, [B].

    Args:
        x: images [B, C, H, W], 0 to 1.
        mean: posterior means [B, D].
        logvar: posterior log-variances [B, D].
        z: one sample of the posterior of each image [B, D].
        out: logits of the decoder for z [B, C, H, W].
        dataset_size: number of training images N.
        prior: the prior p(z).
        likelihood: the likelihood p(x|z).
        cache: results that several terms need; see `terms.basic.compute_once`.
        shard: the rows that this process has.
        beta: the weight [B] of the KL of each image, for a model with gates.
        features: the input [B, ...] of the last layer of the decoder, if the model keeps it.
    """

    x: Tensor
    mean: Tensor
    logvar: Tensor
    z: Tensor
    out: Tensor
    dataset_size: int
    prior: Prior
    likelihood: Likelihood
    cache: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)
    shard: Shard = Shard()
    beta: Tensor | None = None
    features: Tensor | None = None


class VAE(nn.Module):
    """A variational autoencoder with a diagonal Gaussian posterior.

    Args:
        encoder: maps images [B, C, H, W] to [B, 2 D], means first and log-variances second.
        decoder: maps codes [B, D] to logits [B, C, H, W].
        likelihood: the likelihood p(x|z).
        prior: the prior p(z) over D dimensions.
        shape: (C, H, W) of the images.
        dataset_size: number of training images N.
        scaling: the columns of vectors and their scaling; None for images.

    Source:
        Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014, https://arxiv.org/abs/1312.6114

    Example:
        >>> from equipoise import likelihoods, nets, priors
        >>> encoder, decoder = nets.build("mlp_lvae", (1, 8, 8), latent=2)
        >>> model = VAE(encoder, decoder, likelihoods.Bernoulli(), priors.StandardNormal(2), (1, 8, 8), 100)
        >>> model(torch.rand(5, 1, 8, 8)).z.shape
        torch.Size([5, 2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: Prior,
        shape: tuple[int, int, int],
        dataset_size: int,
        scaling: Scaling | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = likelihood
        self.prior = prior
        self.shape = shape
        self.dataset_size = dataset_size
        self.scaling = scaling
        self.bf16 = False  # in training, run the two nets under bfloat16 autocast
        self.shard = Shard()
        self.pairing: Pairing | None = None  # in training, the images are pairs that share posteriors
        self.keeps_features = False  # in training, whether a pass has the input of the decoder's last layer
        self.apart = False  # in training, whether gradients flow from the features to the first half of the latents
        # only, and from the pictures to the second half only; values do not change

    @property
    def latent(self) -> int:
        """Number of latent dimensions D."""
        return self.prior.latent

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Pass:
        """Return one training pass with one posterior sample for each image.

        Args:
            x: images [B, C, H, W], float, 0 to 1; with several processes the rows of this process.
            generator: source of the noise. Default: torch's global generator.
        """
        beta, levels = None, []
        if isinstance(self.encoder, Gated):
            beta, level = self.encoder.draw(len(x) * self.shard.processes, generator)
            levels = [self.shard.rows(level)]
        mean, logvar, z = self.sample(x, generator, *levels)
        features, out = self._features_and_logits(z) if self.keeps_features else (None, self.out(z, *levels))
        if self.shard.processes > 1:  # exchange all three in one message
            mean, logvar, z = self.shard.whole(torch.cat([mean, logvar, z], 1)).chunk(3, 1)
        self.prior.count(z)
        codes = mean, logvar, z
        return Pass(x, *codes, out, self.dataset_size, self.prior, self.likelihood, {}, self.shard, beta, features)

    def sample(
        self, x: Tensor, generator: torch.Generator | None = None, *levels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, log-variance and one sample z of q(z|x), float32 [B, D] each, with gradients.

        With a discrete prior, the mean is the output of the encoder, and z has the nearest values with the gradient of
        the mean.

        Args:
            x: images [B, C, H, W], float, 0 to 1; with several processes the rows of this process.
            generator: source of the noise. Default: torch's global generator.
            levels: for nets with gates, the level of beta of each image [B].
        """
        with self._autocast(x):
            mean, logvar = self._moments(x, *levels)
        if self.prior.is_discrete:
            mean = self.shard.rows(self.prior.bound(self.shard.whole(mean)))
            return mean, torch.full_like(logvar, POINT), self.prior.straight_through(mean)
        if self.pairing is not None:
            mean, logvar = self.pairing(mean, logvar)
        shape = (len(mean) * self.shard.processes, mean.shape[1])
        noise = self.shard.rows(torch.randn(shape, generator=generator, device=mean.device, dtype=mean.dtype))
        return mean, logvar, mean + (0.5 * logvar).exp() * noise

    def means(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the output of the encoder for the means of images x, float32 [B, D], in training, with gradients.

        Pairs, codebooks and the shard have no effect. Nets with gates draw a beta for each image.
        """
        levels = [self.encoder.draw(len(x), generator)[1]] if isinstance(self.encoder, Gated) else []
        with self._autocast(x):
            return self._moments(x, *levels)[0]

    def out(self, z: Tensor, *levels: Tensor) -> Tensor:
        """Return the decoder's logits [B, C, H, W] for codes z [B, D], with gradients; `levels` as in `sample`."""
        with self._autocast(z):
            out: Tensor = self.decoder(z, *levels)
        return out

    def _features_and_logits(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of the decoder's last layer and the logits [B, C, H, W] for codes z [B, D]."""
        hidden, last = nets.split_last(self.decoder)
        with self._autocast(z):
            if not self.apart:
                features = hidden(z)
                return features, last(features)
            is_first = first_half(z.shape[1], z.device)
            views = torch.where(is_first, z, z.detach()), torch.where(is_first, z.detach(), z)
            features, of_picture = hidden(torch.cat(views)).chunk(2)
            return features, last(of_picture)

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16 and self.training)

    def posterior(self, x: Tensor, *levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x), float32 [B, D] each, with gradients, without a check of x.

        `levels` as in `sample`. With a discrete prior, the mean has the nearest values, and the log-variance is
        `POINT`.
        """
        mean, logvar = self._moments(x, *levels)
        if self.prior.is_discrete:
            return self.prior.nearest(self.prior.bound(mean)), torch.full_like(logvar, POINT)
        return mean, logvar

    def _moments(self, x: Tensor, *levels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the two halves of the output of the encoder, float32 [B, D] each."""
        mean, logvar = self.encoder(x, *levels).to(x.dtype).chunk(2, dim=1)
        return mean, logvar

    def at(self, beta: float | None = None) -> "VAE":
        """Return the ordinary model of one beta: plain nets, in which the gates are part of the weights.

        Args:
            beta: in the range for which the model was trained. Default: the beta of the settings. A model without gates
                takes none, and is returned itself.

        Raises:
            InputError: for a beta outside the range, or for a model without gates.
        """
        encoder, decoder = self.encoder, self.decoder
        if not isinstance(encoder, Gated) or not isinstance(decoder, Gated):
            if beta is None:
                return self
            raise InputError(f"beta is {beta:g}, but this model has a single one; leave beta out, or train mr-vae")
        beta = encoder.rates.beta if beta is None else beta
        nets = encoder.at(beta), decoder.at(beta)
        return VAE(*nets, self.likelihood, self.prior, self.shape, self.dataset_size, self.scaling).train(self.training)

    @torch.no_grad()
    def encode(self, x: Any, beta: float | None = None) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance of q(z|x), [B, D] each.

        Args:
            x: images [B, C, H, W] or one image, tensor or array, uint8 in 0..255 or float in [0, 1]; or what
                `equipoise.load_data` reads: a Pillow image, a path, a list, `Images`. These are resized if the images
                of the model are square. `Run.encode` prepares them as in training. Vectors are a table or an array
                [N, V] in the units of the data; an array [B, 1, 1, V] is scaled already.
            beta: as in `at`.

        Raises:
            InputError: for another type, range or shape, or a beta that the model does not have.
        """
        if self.scaling is not None and (not isinstance(x, Tensor | np.ndarray) or x.ndim == 2):
            images = load_data(x, scaling=self.scaling)
            x = images.pixels(np.arange(len(images)))
        if not isinstance(x, Tensor | np.ndarray):
            channels, height, width = self.shape
            size, grey = height if height == width else None, channels == 1 and not isinstance(x, Images)
            images = load_data(x, size=size, grey=grey)
            x = images.pixels(np.arange(len(images)))
        one = (self.shape, self.shape[1:] if self.shape[0] == 1 else self.shape)
        x = x.reshape(1, *self.shape) if tuple(x.shape) in one else x
        if tuple(x.shape[1:]) != self.shape:
            raise InputError(f"images have the shape {list(x.shape)}; expected [B, {', '.join(map(str, self.shape))}]")
        model = self if beta is None else self.at(beta)
        x = as_float(x, self.likelihood.link)
        return model.posterior(x.to(next(self.encoder.parameters()).device))

    @torch.no_grad()
    def decode(self, z: Any, beta: float | None = None) -> Tensor:
        """Return E[x|z], float [B, C, H, W]: pixels from 0 to 1, or scaled vectors.

        `scaling.restore` returns vectors in the units of the data.

        Args:
            z: codes [B, D] or one code [D], a tensor, an array or a list of numbers.
            beta: as in `at`.

        Raises:
            InputError: for codes of another type or shape, or a beta that the model does not have.
        """
        z = _codes(z, self.latent).to(next(self.decoder.parameters()).device, torch.float32)
        model = self if beta is None else self.at(beta)
        return self.likelihood.mean(model.decoder(z))


def _codes(z: Any, latent: int) -> Tensor:
    """Codes as a tensor [B, D] of numbers. Raises `InputError` for another type or shape."""
    try:
        codes = z if isinstance(z, Tensor) else torch.from_numpy(np.asarray(z).astype(np.float32, casting="same_kind"))
    except (TypeError, ValueError):  # text, objects, complex numbers, and rows of different lengths
        raise InputError(f"codes are a {type(z).__name__} without real numbers; give an array [B, {latent}]") from None
    codes = codes[None] if codes.shape == (latent,) else codes
    if codes.ndim != 2 or codes.shape[1] != latent:
        raise InputError(f"codes have the shape {list(codes.shape)}; expected [B, {latent}]")
    return codes
