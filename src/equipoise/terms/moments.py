"""The second moments of the posterior over a batch, held against those of N(0, I).

Kumar, Sattigeri & Balakrishnan, Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, ICLR
2018, https://arxiv.org/abs/1711.00848
"""

from functools import partial
from typing import Literal, get_args

from torch import Tensor

from equipoise.errors import choose
from equipoise.model import Pass
from equipoise.terms.basic import kept

Kind = Literal["i", "ii"]
"""The matrix that should be I: the covariance of the means over the batch (i), or that of the codes (ii), which adds
the mean variance of the posteriors to its diagonal."""


def cov_off(p: Pass, kind: Kind = "ii") -> Tensor:
    """Sum of the squared off-diagonal entries, both triangles, of the covariance of DIP-VAE []; 0 for one dimension.

    The covariance is that of the batch, divided by B: below 64 images it is mostly noise.
    """
    moments = kept(p, ("covariance", kind), partial(_covariance, p, kind))
    return (moments - moments.diagonal().diag()).square().sum()


def cov_diag(p: Pass, kind: Kind = "ii") -> Tensor:
    """Sum of (entry - 1)^2 over the diagonal of the covariance of DIP-VAE []."""
    moments = kept(p, ("covariance", kind), partial(_covariance, p, kind))
    return (moments.diagonal() - 1).square().sum()


def _covariance(p: Pass, kind: Kind) -> Tensor:
    """[D, D] of the means, divided by B; for ii with the mean of exp(logvar) [D] on its diagonal."""
    centred = p.mean - p.mean.mean(0)
    of_means = centred.T @ centred / len(centred)
    if choose("kind of DIP-VAE", kind, get_args(Kind)) == "i":
        return of_means
    return of_means + p.logvar.exp().mean(0).diag()
