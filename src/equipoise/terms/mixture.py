"""The log-density of each code under the mixture of the posteriors of its batch: whole codes and single dimensions.

This is the expensive part of the minibatch decomposition, B^2 D densities, so values and gradients are written by hand:

log2 q(z_ik|x_j) = offset_jk - u^2,  u = (mean_jk - z_ik) scale_jk

has the layout [D, rows i, j], so each sum over j runs along contiguous memory. It is in base 2, because torch computes
2^x several times faster than e^x on a CPU. The last of D + 1 layers is the sum over the dimensions.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

LOG2E = math.log2(math.e)
MAX_STORED = 20_000_000  # densities stored for the gradient, 80 MB in float32; more are computed again
CHUNK = 800_000  # densities computed at once on a CPU, so that they fit into its cache
LEAST = -100.0  # log2 of the smallest relative density; smaller ones would be denormal numbers, which are slow


def log_mixture(z: Tensor, mean: Tensor, logvar: Tensor, log_weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return log sum_j w_ij q(z_i|x_j), and the sum over k of log sum_j w_ij q(z_ik|x_j): [B] each, in nats.

    Gradients reach z, mean and logvar. Second derivatives are not available.

    Args:
        z: codes [B, D].
        mean: means of the diagonal Gaussians q(.|x_j) [B, D].
        logvar: log-variances of the diagonal Gaussians [B, D].
        log_weights: log w [B, B], a constant. Default: every w is 1.
    """
    joint, marginals = _LogMixture.apply(z, mean, logvar, log_weights)  # type: ignore[no-untyped-call]
    return joint, marginals


class _LogMixture(torch.autograd.Function):
    """`log_mixture` with a gradient that computes rows in chunks, from stored densities or again."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, mean: Tensor, logvar: Tensor, log_weights: Tensor | None) -> tuple[Tensor, Tensor]:
        z, mean, logvar = (t.T.contiguous() for t in (z, mean, logvar))
        ctx.rows = _rows(z)
        is_stored = z.shape[1] * z.numel() <= MAX_STORED
        gaussians = _gaussians(mean, logvar)
        sums, densities = [], []
        for rows in ctx.rows:
            summands, total, log_sum = _summands(z, *gaussians, log_weights, rows)
            sums.append(log_sum)
            if is_stored:
                densities += [summands, total]
        ctx.save_for_backward(z, mean, logvar, log_weights, *densities)
        nats = torch.cat(sums, 1) / LOG2E
        return nats[-1], nats[:-1].sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_joint: Tensor, to_marginals: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        z, mean, logvar, log_weights, *densities = ctx.saved_tensors
        gaussians = None if densities else _gaussians(mean, logvar)
        precision = torch.exp(-logvar)[:, None]
        mean_precision = mean[:, None] * precision
        to_z = []
        count, force, force_z = (torch.zeros_like(mean) for _ in range(3))
        for n, rows in enumerate(ctx.rows):
            if gaussians is None:
                summands, total = densities[2 * n : 2 * n + 2]
            else:
                summands, total, _ = _summands(z, *gaussians, log_weights, rows)
            # The gradient with respect to log q(z_ik|x_j) is the fraction of j in the sum over j, times the gradient of
            # that sum.
            joint = summands[-1] * (to_joint[rows, None] / total[-1])
            each = torch.addcmul(joint, summands[:-1], to_marginals[rows, None] / total[:-1])
            count += each.sum(1)
            # Multiply by d log q / d z = (mean - z) / var; d log q / d mean is its negative.
            each *= torch.addcmul(mean_precision, z[:, rows, None], precision, value=-1)
            to_z.append(each.sum(2))
            force += each.sum(1)
            force_z += torch.bmm(z[:, None, rows], each)[:, 0]
        to_logvar = 0.5 * (mean * force - force_z - count)  # d log q / d logvar = ((mean - z)^2 / var - 1) / 2
        return torch.cat(to_z, 1).T, -force.T, to_logvar.T, None


def _rows(z: Tensor) -> list[slice]:
    """Return the slices of the rows of z [D, B] that are computed at once."""
    latent, batch = z.shape
    rows = max(1, (CHUNK if z.device.type == "cpu" else MAX_STORED) // (batch * latent))
    return [slice(first, min(first + rows, batch)) for first in range(0, batch, rows)]


def _gaussians(mean: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean * scale, scale and offset, [D, 1, B] each, of log2 q = offset - ((mean - z) scale)^2."""
    scale = torch.exp(-0.5 * logvar) * math.sqrt(0.5 * LOG2E)
    offset = (-0.5 * LOG2E) * (logvar + math.log(2 * math.pi))
    return (mean * scale)[:, None], scale[:, None], offset[:, None]


def _summands(
    z: Tensor, mean_scale: Tensor, scale: Tensor, offset: Tensor, log_weights: Tensor | None, rows: slice
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the terms of the sum over j [D + 1, rows, B], the sum [D + 1, rows, 1], and its log2 [D + 1, rows].

    The first two are divided by the largest term, and the third is not: log-sum-exp in base 2.
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
