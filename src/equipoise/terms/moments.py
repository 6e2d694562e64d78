"""The covariance of the posterior over a batch, compared with the identity.

Kumar, Sattigeri & Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, ICLR
2018, https://arxiv.org/abs/1711.00848
"""

from functools import partial
from typing import Literal, get_args

from torch import Tensor

from equipoise.errors import choose
from equipoise.model import Pass
from equipoise.terms.basic import compute_once

Kind = Literal["i", "ii"]
"""The matrix that is compared with I. i: the covariance of the means over the batch. ii: the covariance of the codes,
which adds the mean variance of the posteriors to the diagonal."""


def cov_off(p: Pass, kind: Kind = "ii") -> Tensor:
    """Return the sum of the squared off-diagonal entries, both triangles, of the covariance of DIP-VAE [].

    The covariance over the batch is divided by B. For batches below 64 images it is mostly noise.
    """
    moments = compute_once(p, ("covariance", kind), partial(_covariance, p, kind))
    return (moments - moments.diagonal().diag()).square().sum()


def cov_diag(p: Pass, kind: Kind = "ii") -> Tensor:
    """Return the sum of (entry - 1)^2 over the diagonal of the covariance of DIP-VAE []."""
    moments = compute_once(p, ("covariance", kind), partial(_covariance, p, kind))
    return (moments.diagonal() - 1).square().sum()


def _covariance(p: Pass, kind: Kind) -> Tensor:
    """Return the covariance of the means [D, D], divided by B; kind ii adds the mean of exp(logvar) to the diagonal."""
    centred = p.mean - p.mean.mean(0)
    of_means = centred.T @ centred / len(centred)
    if choose("kind of DIP-VAE", kind, get_args(Kind)) == "i":
        return of_means
    return of_means + p.logvar.exp().mean(0).diag()
