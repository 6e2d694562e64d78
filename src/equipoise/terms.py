"""Terms: what is measured on a forward pass. Each is in nats per image, unweighted; the objective reduces.

A term is a plain function `Pass -> Tensor`: [B] per image, [B, D] per image and dimension, [] for a quantity that only
a batch has. Options are bound with `functools.partial`.
"""

from collections.abc import Callable

from torch import Tensor

from equipoise.model import Pass

Term = Callable[[Pass], Tensor]


def rec(p: Pass) -> Tensor:
    """Reconstruction, -log p(x|z) [B] in nats per image, summed over channels and pixels (`likelihoods`)."""
    nats: Tensor = p.likelihood(p.out, p.x)
    return nats


def kl(p: Pass) -> Tensor:
    """KL(q(z|x) || p(z)) in nats, [B, D] for a prior that factorises over dimensions (`priors`)."""
    return p.prior.kl(p.mean, p.logvar, p.z)
