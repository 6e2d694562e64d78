"""A pass with codes of chosen size, and the decomposition written as loops."""

import math

import torch
from torch import Tensor

from equipoise import likelihoods, priors
from equipoise.model import Pass

IMAGES = 50


def codes(
    batch: int = 12,
    latent: int = 3,
    seed: int = 0,
    logvar: float = -1.0,
    images: int = IMAGES,
    prior: priors.Prior | None = None,
) -> Pass:
    """A pass whose codes come from random posteriors of log-variance near `logvar`, float64, with gradients."""
    generator = torch.Generator().manual_seed(seed)
    mean, noise, spread = (torch.randn(batch, latent, generator=generator, dtype=torch.float64) for _ in range(3))
    v = (logvar + 0.5 * spread).requires_grad_()
    mean.requires_grad_()
    return of(mean, v, mean + (0.5 * v).exp() * noise, images, prior)


def of(mean: Tensor, logvar: Tensor, z: Tensor, images: int = IMAGES, prior: priors.Prior | None = None) -> Pass:
    """A pass with these codes; there are no images in it."""
    nothing = z.new_zeros(len(z), 1, 1, 1)
    prior = prior or priors.StandardNormal(z.shape[1])
    return Pass(nothing, mean, logvar, z, nothing, images, prior, likelihoods.Bernoulli())


def log_normal(z: Tensor, mean: Tensor, logvar: Tensor) -> float:
    """log N(z; mean, e^logvar) of numbers."""
    return float(-0.5 * ((z - mean) ** 2 / logvar.exp() + logvar + math.log(2 * math.pi)))


def loops(p: Pass, w: Tensor) -> tuple[Tensor, Tensor]:
    """log qhat(z_i) and the sum over k of log qhat(z_ik), [B] each, from the weights w [B, B] one density at a time."""
    z, mean, logvar = p.z.detach(), p.mean.detach(), p.logvar.detach()
    joint, marginals = [], []
    for i in range(len(z)):
        whole, each = 0.0, [0.0] * z.shape[1]
        for j in range(len(z)):
            log_q = [log_normal(z[i, k], mean[j, k], logvar[j, k]) for k in range(z.shape[1])]
            whole += float(w[i, j]) * math.exp(sum(log_q))
            each = [total + float(w[i, j]) * math.exp(one) for total, one in zip(each, log_q, strict=True)]
        joint.append(math.log(whole))
        marginals.append(sum(math.log(total) for total in each))
    return torch.tensor(joint, dtype=torch.float64), torch.tensor(marginals, dtype=torch.float64)
