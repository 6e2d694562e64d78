"""Distances of the codes of a batch from the prior, and from codes of independent latents."""

import torch
from torch import Tensor

from equipoise.errors import InputError
from equipoise.model import Pass
from equipoise.priors import StandardNormal

TINY = 1e-12  # square of a distance at which its gradient would be infinite
LARGEST = 2**24  # distances that are in memory at once, 64 MiB


def mmd(p: Pass) -> Tensor:
    """Return the squared maximum mean discrepancy of the codes of the batch and the standard normal prior [].

    The kernel is exp(-|z - z'|^2 / 2D). The means over the prior are computed in closed form, without samples of it:
    E k(z, z') = (D / (D + 1))^(D/2) exp(-|z|^2 / (2D + 2)), and (D / (D + 2))^(D/2) for two draws. For a batch of B
    draws of the prior its mean is (1 - (D / (D + 2))^(D/2)) / B. It is at least 0, and approaches its upper limit,
    1 + (D / (D + 2))^(D/2), if all codes are equal and far from 0.

    Source:
        Gretton et al., A Kernel Two-Sample Test, JMLR 2012; Zhao, Song & Ermon, InfoVAE, AAAI 2019,
        https://arxiv.org/abs/1706.02262
    """
    if not isinstance(p.prior, StandardNormal):
        raise InputError(f"mmd needs the prior standard-normal, and it is {p.prior.name}; leave one of them out")
    z, d = p.z, p.z.shape[1]
    square = z.square().sum(1)
    within = torch.exp(-(square[:, None] + square - 2 * z @ z.T).clamp(min=0) / (2 * d)).mean()
    across = (d / (d + 1)) ** (d / 2) * torch.exp(-square / (2 * d + 2)).mean()
    distance: Tensor = within - 2 * across + (d / (d + 2)) ** (d / 2)
    return distance


def hausdorff(p: Pass) -> Tensor:
    """Return the Hausdorff distance of the codes of the batch and the product of their marginals [], 0 or more.

    For two latents i and j, the product has a point (a_i, b_j) for each two codes a and b. The distance is that of the
    point which is farthest from its nearest code. The result is the sum over all pairs of latents. The codes are the
    posterior means.

    Source:
        Roth, Ibrahim, Akata, Vincent & Bouchacourt, Disentanglement of Correlated Factors via Hausdorff Factorized
        Support, ICLR 2023, https://arxiv.org/abs/2210.07347
    """
    z = p.mean
    batch, latent = z.shape
    with torch.no_grad():
        squares = (z.T[:, :, None] - z.T[:, None, :]).square()  # [D, a, c]
    first, second = torch.triu_indices(latent, latent, 1, device=z.device)
    rows = max(1, LARGEST // batch**2)
    total = z.new_zeros(())
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        with torch.no_grad():
            parts = [(part[:, None] + squares[j]).min(2) for part in torch.split(squares[i], rows)]  # each [rows, b]
            place = torch.cat([part.values for part in parts]).argmax()
            a, b = place // batch, place % batch
            c = torch.cat([part.indices for part in parts])[a, b]
        total = total + ((z[a, i] - z[c, i]).square() + (z[b, j] - z[c, j]).square() + TINY).sqrt()
    return total
