"""The log-density of each code under the mixture of its batch's posteriors: of the whole code, and of each dimension.

This is the costly part of the minibatch decomposition, B^2 D densities, so values and gradients are written by hand:

log2 q(z_ik|x_j) = offset_jk - u^2,  u = (mean_jk - z_ik) scale_jk

is laid out as [D, rows i, j], in base 2 because torch computes 2^x several times faster than e^x on a processor, and
each sum over j runs along contiguous memory. The last of D + 1 layers is the sum over the dimensions.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOG2E = math.log2(math.e)
KEPT = 20_000_000  # so many densities, 80 MB in float32, are kept for the gradient; if there are more, it computes anew
CHUNK = 800_000  # densities at once on a processor, whose cache they should not leave
LEAST = -100.0  # log2 of the least density that counts, relative to the largest: below it lie slow denormal numbers


def log_mixture(z: Tensor, mean: Tensor, logvar: Tensor, log_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """log sum_j w_ij q(z_i|x_j), and the sum over k of log sum_j w_ij q(z_ik|x_j): [B] each, in nats.

    z, mean, logvar are [B, D], q(.|x_j) the diagonal Gaussian of row j. log_weights [B, B] is log w, a constant; every
    w is 1 without it. There are gradients to z, mean and logvar, and no second ones.
    """
    joint, marginals = _LogMixture.apply(z, mean, logvar, log_weights)  # type: ignore[no-untyped-call]
    return joint, marginals


class _LogMixture(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, mean: Tensor, logvar: Tensor, log_weights: Tensor | None) -> tuple[Tensor, Tensor]:
        z, mean, logvar = (t.T.contiguous() for t in (z, mean, logvar))
        ctx.rows = _rows(z)
        keep = z.shape[1] * z.numel() <= KEPT
        gaussians = _gaussians(mean, logvar)
        sums, shares = [], []
        for rows in ctx.rows:
            share, total, log_sum = _shares(z, *gaussians, log_weights, rows)
            sums.append(log_sum)
            if keep:
                shares += [share, total]
        ctx.save_for_backward(z, mean, logvar, log_weights, *shares)
        nats = torch.cat(sums, 1) / LOG2E
        return nats[-1], nats[:-1].sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_joint: Tensor, to_marginals: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        z, mean, logvar, log_weights, *shares = ctx.saved_tensors
        gaussians = None if shares else _gaussians(mean, logvar)
        precision = torch.exp(-logvar)[:, None]
        pulled = mean[:, None] * precision
        to_z = []
        count, force, force_z = (torch.zeros_like(mean) for _ in range(3))
        for n, rows in enumerate(ctx.rows):
            if gaussians is None:
                share, total = shares[2 * n : 2 * n + 2]
            else:
                share, total, _ = _shares(z, *gaussians, log_weights, rows)
            # The gradient with respect to log q(z_ik|x_j): the share of j in the sum over j, times what arrives there,
            one = share[-1] * (to_joint[rows, None] / total[-1])
            each = torch.addcmul(one, share[:-1], to_marginals[rows, None] / total[:-1])
            count += each.sum(1)
            # and that times d log q / d z = (mean - z) / var; d log q / d mean is its negative.
            each *= torch.addcmul(pulled, z[:, rows, None], precision, value=-1)
            to_z.append(each.sum(2))
            force += each.sum(1)
            force_z += torch.bmm(z[:, None, rows], each)[:, 0]
        to_logvar = 0.5 * (mean * force - force_z - count)  # d log q / d logvar = ((mean - z)^2 / var - 1) / 2
        return torch.cat(to_z, 1).T, -force.T, to_logvar.T, None


def _rows(z: Tensor) -> list[slice]:
    """The rows of z [D, B] that are computed at once."""
    latent, batch = z.shape
    rows = max(1, (CHUNK if z.device.type == "cpu" else KEPT) // (batch * latent))
    return [slice(first, min(first + rows, batch)) for first in range(0, batch, rows)]


def _gaussians(mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """mean * scale, scale and offset, [D, 1, B] each, of log2 q = offset - ((mean - z) scale)^2."""
    scale = torch.exp(-0.5 * logvar) * math.sqrt(0.5 * LOG2E)
    offset = (-0.5 * LOG2E) * (logvar + math.log(2 * math.pi))
    return (mean * scale)[:, None], scale[:, None], offset[:, None]


def _shares(
    z: Tensor, mean_scale: Tensor, scale: Tensor, offset: Tensor, log_weights: Tensor | None, rows: slice
) -> tuple[Tensor, Tensor, Tensor]:
    """What each j has in the sum over j [D + 1, rows, B], that sum [D + 1, rows, 1], and its log2 [D + 1, rows].

    The first two are relative to the largest, whose logarithm is in the third: log-sum-exp in base 2.
    """
    latent, batch = z.shape
    pairs = z.new_empty(latent + 1, rows.stop - rows.start, batch)
    log_q = torch.addcmul(mean_scale, z[:, rows, None], scale, value=-1, out=pairs[:-1])
    torch.addcmul(offset, log_q, log_q, value=-1, out=log_q)
    torch.sum(log_q, 0, out=pairs[-1])
    if log_weights is not None:
        pairs += LOG2E * log_weights[rows]
    largest = pairs.amax(-1, keepdim=True)
    pairs.sub_(largest).clamp_(min=LEAST).exp2_()
    total = pairs.sum(-1, keepdim=True)
    return pairs, total, (total.log2() + largest).squeeze(-1)
