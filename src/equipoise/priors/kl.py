"""The KL of a diagonal Gaussian posterior and any prior, estimated from one sample."""

import math
from typing import Literal, Protocol, get_args

from torch import Tensor

from equipoise.errors import choose

Estimator = Literal["mc", "entropy", "stl"]


class Product(Protocol):
    """A prior of S independent parts."""

    def parts(self, z: Tensor) -> Tensor: ...

    def pool(self, t: Tensor) -> Tensor: ...


def sampled_kl(prior: Product, mean: Tensor, logvar: Tensor, z: Tensor, estimator: Estimator = "mc") -> Tensor:
    """An unbiased estimate of KL(q(z_k|x) || p(z_k)) [B, S] in nats of each part; it can be negative.

    mean, logvar [B, D] of q(z|x), and z [B, D] drawn from it with gradients to both. Part k gets the sum over its
    dimensions of log q(z_j|x), less log p(z_k). The estimators differ in variance:
    mc: both from the sample, as the published code of ISA-VAE does (Stuehmer et al., AISTATS 2020, Eq. 12); the best of
    the three in value where q is close to p.
    entropy: log q is replaced by its mean, minus the entropy of q.
    stl: mc in value; its gradient leaves out the score of q, whose mean is 0, and so vanishes where q = p (Roeder, Wu &
    Duvenaud, 2017, arXiv:1703.09194, "sticking the landing").
    """
    if choose("estimator", estimator, get_args(Estimator)) == "entropy":
        log_q = -0.5 * (logvar + math.log(2 * math.pi) + 1)
    else:
        if estimator == "stl":
            mean, logvar = mean.detach(), logvar.detach()
        log_q = -0.5 * ((z - mean).square() * (-logvar).exp() + logvar + math.log(2 * math.pi))
    return prior.pool(log_q) - prior.parts(z)
