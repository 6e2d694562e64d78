"""The two terms of the evidence lower bound, and a cache for results that several terms need."""

from collections.abc import Callable, Hashable
from typing import TypeVar

import torch
from torch import Tensor

from equipoise.model import Pass
from equipoise.priors import Estimator, sampled_kl

Term = Callable[[Pass], Tensor]
T = TypeVar("T")

PIXEL = 1e-4  # distance from 0 and 1 at which pixels are clamped where logits of images are taken


def rec(p: Pass) -> Tensor:
    """Return the reconstruction -log p(x|z) [B] in nats per image, summed over channels and pixels."""
    return p.likelihood.nats(p.shard.whole(p.likelihood.error(p.out, p.x)), p.x[0].numel())


def kl(p: Pass) -> Tensor:
    """Return KL(q(z|x) || p(z)) in nats: [B, D] of each dimension, or [B, S] of each subspace of the prior.

    A standard normal prior has a closed form. Other priors estimate it from the sample z.
    """
    return p.prior.kl(p.mean, p.logvar, p.z)


def kl_mc(p: Pass, estimator: Estimator = "mc") -> Tensor:
    """Return KL(q(z|x) || p(z)) estimated from the sample z, in nats; it can be negative.

    The result is [B, D] for a prior that factorises over dimensions and [B, S] for a prior of S subspaces. The
    estimators are described in `priors.sampled_kl`.
    """
    return sampled_kl(p.prior, p.mean, p.logvar, p.z, estimator)


def spread(p: Pass) -> Tensor:
    """Return [B] in nats by how much `rec` of the mean image of the batch exceeds that of a perfect reconstruction.

    It is the part of `rec` that a decoder can explain. A weight of the KL in this unit does not depend on the size, the
    colours and the likelihood of the images. It has no gradient.
    """
    constant, perfect = compute_once(p, "limits of rec", lambda: _limits(p))
    return constant - perfect


def rec_min(p: Pass) -> Tensor:
    """Return [B], `rec` of a perfect reconstruction in nats: 0 for a squared error, the entropy of grey pixels for a
    cross-entropy. It has no gradient.
    """
    return compute_once(p, "limits of rec", lambda: _limits(p))[1]


def sse(p: Pass) -> Tensor:
    """Return the squared error [B] of the pictures, summed over channels and pixels, whatever the likelihood."""
    return p.shard.whole(p.likelihood.squared_error(p.out, p.x))


def sse_of_mean(p: Pass) -> Tensor:
    """Return the squared error [B] of the mean image of the batch, summed over channels and pixels."""
    return p.shard.whole((p.x - _mean_image(p)).square().flatten(1).sum(1))


def _mean_image(p: Pass) -> Tensor:
    """Return the mean image [1, C, H, W] of the whole batch."""
    return p.shard.whole(p.x.mean(0, keepdim=True)).mean(0, keepdim=True)


@torch.no_grad()
def _limits(p: Pass) -> tuple[Tensor, Tensor]:
    """Return `rec` [B] of the mean image of the batch and of a perfect reconstruction.

    The likelihood is in evaluation mode, so that a noise that is fitted to each batch is not fitted to these pictures.
    """
    x = p.x
    constant, perfect = (p.likelihood.out(value, PIXEL).expand_as(x) for value in (_mean_image(p), x))
    errors = p.shard.whole(torch.stack([p.likelihood.error(out, x) for out in (constant, perfect)], 1))
    pixels, was_training = x[0].numel(), p.likelihood.training
    p.likelihood.eval()
    try:
        return p.likelihood.nats(errors[:, 0], pixels), p.likelihood.nats(errors[:, 1], pixels)
    finally:
        p.likelihood.train(was_training)


def compute_once(p: Pass, key: Hashable, compute: Callable[[], T]) -> T:
    """Return `compute()` from the cache of the pass, or compute it and store it under `key`.

    A result that was stored without gradients, by a monitor, is computed again if gradients are enabled now.
    """
    with_gradients = torch.is_grad_enabled()
    if key not in p.cache or (with_gradients and not p.cache[key][0]):
        p.cache[key] = with_gradients, compute()
    value: T = p.cache[key][1]
    return value
