"""Posteriors of pairs of images: latents of what two images share have one posterior."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from equipoise.errors import InputError


@dataclass(frozen=True)
class Pairing:
    """How the pairs of a batch, images 2i and 2i + 1, are drawn and which of their latents are shared.

    Args:
        source: the source of the pairs; see `equipoise.data.pairs.draw_pairs`.
        changed: number of factors in which pairs that are drawn from factors differ; None: a random number.
        latents: number of latents that are not shared, those of the largest KL; None: those whose KL is at least half
            way between the smallest and the largest of the pair.

    Source:
        Locatello et al., Weakly-Supervised Disentanglement Without Compromises, ICML 2020,
        https://arxiv.org/abs/2002.02886

    Example:
        >>> import torch
        >>> mean, logvar = torch.tensor([[0.0, 3.0], [1.0, -3.0]]), torch.zeros(2, 2)
        >>> Pairing("neighbours")(mean, logvar)[0]
        tensor([[ 0.5000,  3.0000],
                [ 0.5000, -3.0000]])
    """

    source: str
    changed: int | None = None
    latents: int | None = None

    def __call__(self, mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance [B, D] in which the shared latents of a pair have one posterior.

        It has the mean of the two means and of the two variances. Raises `InputError` for an odd number of images, and
        for more changed latents than there are.
        """
        images, latent = mean.shape
        if images % 2:
            raise InputError(f"a batch of {images} images is not made of pairs; give an even number")
        if (self.latents or 0) > latent:
            raise InputError(f"{self.latents} latents of a pair change, but there are {latent}; lower method.changed")
        (mean_1, mean_2), (logvar_1, logvar_2) = (t.view(-1, 2, latent).unbind(1) for t in (mean, logvar))
        divergence = _kl(mean_1, logvar_1, mean_2, logvar_2).detach()
        if self.latents is None:
            least, most = divergence.aminmax(dim=1, keepdim=True)
            is_shared = divergence < (least + most) / 2
        else:
            order = divergence.argsort(dim=1).argsort(dim=1)
            is_shared = order < latent - self.latents
        of_both = (mean_1 + mean_2) / 2, torch.logaddexp(logvar_1, logvar_2) - math.log(2)
        is_shared = is_shared.repeat_interleave(2, 0)
        shared_mean, shared_logvar = (t.repeat_interleave(2, 0) for t in of_both)
        return torch.where(is_shared, shared_mean, mean), torch.where(is_shared, shared_logvar, logvar)


def _kl(mean: Tensor, logvar: Tensor, other_mean: Tensor, other_logvar: Tensor) -> Tensor:
    """Return the KL of one diagonal Gaussian and another, in nats of each latent [B, D]."""
    gap = logvar - other_logvar
    return 0.5 * (gap.exp() - 1 - gap + (mean - other_mean).square() * torch.exp(-other_logvar))
