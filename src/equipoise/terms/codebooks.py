"""The distance of codes and the values of a codebook, for a prior of codebooks.

Hsu et al., Disentanglement via Latent Quantization, NeurIPS 2023, https://arxiv.org/abs/2305.18378
"""

from torch import Tensor

from equipoise.errors import InputError
from equipoise.model import Pass
from equipoise.priors import Prior


def quantise(p: Pass) -> Tensor:
    """Return the squared distance of each code and the nearest value, a mean over dimensions [B]; it moves the values.

    It is multiplied by the number of pixels and channels, so that its weight does not depend on the size of the images.
    """
    return _scaled(p, p.mean.detach() - _codebooks(p).nearest(p.mean))


def commit(p: Pass) -> Tensor:
    """Return the value of `quantise`, [B]; it moves the codes."""
    return _scaled(p, p.mean - _codebooks(p).nearest(p.mean).detach())


def _scaled(p: Pass, distance: Tensor) -> Tensor:
    """Return the mean square [B] of distances [B, D], times the number of pixels and channels."""
    return distance.square().mean(1) * p.x[0].numel()


def _codebooks(p: Pass) -> Prior:
    """Return the prior of the pass. Raises `InputError` if it has no codebooks."""
    if not p.prior.is_discrete:
        raise InputError(
            f"quantise and commit need codebooks, and the prior is {p.prior.name}; take the prior codebooks"
        )
    return p.prior
