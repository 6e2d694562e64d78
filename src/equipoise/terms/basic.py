"""The two terms of the evidence lower bound, and how terms share what is costly."""

from collections.abc import Callable, Hashable
from typing import TypeVar

import torch
from torch import Tensor

from equipoise.model import Pass
from equipoise.priors import Estimator, sampled_kl

Term = Callable[[Pass], Tensor]
T = TypeVar("T")


def rec(p: Pass) -> Tensor:
    """Reconstruction, -log p(x|z) [B] in nats per image, summed over channels and pixels (`likelihoods`)."""
    return p.likelihood.nats(p.shard.whole(p.likelihood.error(p.out, p.x)), p.x[0].numel())


def kl(p: Pass) -> Tensor:
    """KL(q(z|x) || p(z)) in nats, [B, D] for a prior that factorises over dimensions (`priors`)."""
    return p.prior.kl(p.mean, p.logvar, p.z)


def kl_mc(p: Pass, estimator: Estimator = "mc") -> Tensor:
    """KL(q(z|x) || p(z)) estimated from the sample z, in nats of each independent part of the prior; can be negative.

    [B, D] for a prior that factorises over dimensions, [B, S] for one of S subspaces. `priors.sampled_kl` says what the
    estimators are.
    """
    return sampled_kl(p.prior, p.mean, p.logvar, p.z, estimator)


def kept(p: Pass, key: Hashable, make: Callable[[], T]) -> T:
    """What `make` gives, computed by the first term of this pass that asks for `key`.

    It is computed again if the first did so without gradients, as what is only logged does, and they are wanted now.
    """
    gradients = torch.is_grad_enabled()
    if key not in p.shared or (gradients and not p.shared[key][0]):
        p.shared[key] = gradients, make()
    value: T = p.shared[key][1]
    return value
