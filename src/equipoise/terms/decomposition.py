"""The KL in three parts, estimated from a minibatch: index-code mutual information, total correlation, marginal KLs.

E KL(q(z|x) || p(z)) = I(x; z) + KL(q(z) || prod_k q(z_k)) + (E log prod_k q(z_k) - log p(z))

with q(z) = mean over the N training images of q(z|x). Each image has one code z_i, and q(z_i) is estimated by
qhat(z_i), a weighted sum of q(z_i|x_j) over the batch. For any weights the three terms of an image add up to
log q(z_i|x_i) - log p(z_i), the KL by Monte Carlo.

Chen, Li, Grosse & Duvenaud, Isolating Sources of Disentanglement in VAEs, NeurIPS 2018,
https://arxiv.org/abs/1802.04942
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from equipoise.errors import InputError, choose
from equipoise.model import Pass
from equipoise.terms.basic import compute_once
from equipoise.terms.mixture import log_mixture

Weighting = Literal["batch", "mws", "mss", "mss_rb"]
"""The weights w_ij of qhat(z_i) = sum_j w_ij q(z_i|x_j), for N images and M = B - 1:

batch: 1 / B, the mixture of the batch itself. It overestimates q at z_i, because the image of z_i is in the batch.
mws: 1 / (N B), minibatch-weighted sampling of Chen et al. It has the same gradient as `batch`, and its values differ
by constants: log N is added to mi, (D - 1) log N to tc, -D log N to dim_kl.
mss: minibatch-stratified sampling of Chen et al., 1 / N for i itself, (N - M) / (N M) for one other image, here the
next in the batch, and 1 / M for the rest. qhat is unbiased. The published code fills the matrix along its columns.
mss_rb: 1 / N for i itself, (N - 1) / (N M) for every other image: mss averaged over the choice of the one image. qhat
is unbiased, has less variance than with mss, and for B = N it is q.
"""


def mi(p: Pass, weights: Weighting = "batch") -> Tensor:
    """Return the index-code mutual information, log q(z|x) - log qhat(z) [B] in nats; it can be negative.

    With the weights `batch` its mean is at most log B.
    """
    log_q = -0.5 * ((p.z - p.mean).square() * torch.exp(-p.logvar) + p.logvar + math.log(2 * math.pi)).sum(1)
    return log_q - _log_densities(p, weights)[0]


def tc(p: Pass, weights: Weighting = "batch") -> Tensor:
    """Return the total correlation, log qhat(z) - sum over k of log qhat(z_k) [B] in nats; it can be negative.

    The estimate is biased. Take 2,000 images with 3 dimensions, posteriors of standard deviation 0.3 around standard
    normal means, two of them with a correlation of 0.6: the total correlation is 0.2, and batches of 64 give 0.6 with
    `batch`, -0.1 with `mss` and `mss_rb`, and 15.8 with `mws`. For 10 such dimensions without correlation it is 5,
    because the posteriors of 2,000 images are separate clusters, and the batches give 8, 5, 5 and 76.
    """
    joint, marginals = _log_densities(p, weights)
    return joint - marginals


def dim_kl(p: Pass, weights: Weighting = "batch") -> Tensor:
    """Return the marginal KLs, sum over k of log qhat(z_k) - log p(z) [B] in nats; it can be negative.

    For a prior that factorises over dimensions it estimates the sum of KL(q(z_k) || p(z_k)). For other priors it is not
    a KL.
    """
    return _log_densities(p, weights)[1] - p.prior.log_prob(p.z)


def _log_densities(p: Pass, weights: Weighting) -> tuple[Tensor, Tensor]:
    """Return log qhat(z) and the sum over k of log qhat(z_k), [B] each."""
    batch, latent = p.z.shape
    if choose("weights of the mixture", weights, get_args(Weighting)) in ("mss", "mss_rb"):

        def compute() -> tuple[Tensor, Tensor]:
            log_weights = stratified(p.z, p.dataset_size, rao_blackwell=weights == "mss_rb")
            return log_mixture(p.z, p.mean, p.logvar, log_weights)

        return compute_once(p, ("log densities", weights), compute)
    joint, marginals = compute_once(p, "log densities", lambda: log_mixture(p.z, p.mean, p.logvar))
    constant = math.log(batch) if weights == "batch" else math.log(p.dataset_size * batch)
    return joint - constant, marginals - latent * constant


def stratified(z: Tensor, images: int, rao_blackwell: bool) -> Tensor:
    """Return log w [B, B] of `mss`, or with `rao_blackwell` of `mss_rb`, for codes z [B, D] of N = `images` images.

    Raises `InputError` unless 2 <= B <= N.
    """
    batch = len(z)
    if not 2 <= batch <= images:
        raise InputError(
            f"stratified weights for a batch of {batch} out of {images} images; expected 2 or more, and no more than "
            f"there are: change train.batch, or take the weights mws"
        )
    others = batch - 1
    rest, following = 1 / others, (images - others) / (images * others)
    if rao_blackwell:
        rest = following = (images - 1) / (images * others)
    i = torch.arange(batch, device=z.device)
    log_weights = z.new_full((batch, batch), math.log(rest))
    log_weights[i, (i + 1) % batch] = math.log(following)
    log_weights[i, i] = -math.log(images)
    return log_weights
