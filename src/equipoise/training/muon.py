"""Muon: the updates of hidden layers are orthogonal matrices, all other parameters take the steps of AdamW."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from equipoise.model import VAE

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the published iteration
ITERATIONS = 5
MOMENTUM = 0.95
LIMIT = 512  # the largest smaller side of a matrix that is made orthogonal
SIZE = 0.2  # root mean square of an entry of an update, that of a usual step of Adam, in learning rates


class Muon(torch.optim.AdamW):
    """AdamW, in which the parameters of groups with `orthogonal` take the steps of Muon.

    The mean of the gradients of such a parameter, with Nesterov's momentum of 0.95, is replaced by the nearest matrix
    whose singular values are all 1. Directions with a small gradient are therefore learned as fast as those with a
    large one. The update is scaled by 0.2 sqrt(max(n, m)) for a matrix [n, m], so that its entries are as large as
    those of Adam and the same learning rate fits both. A kernel [n, ...] counts as a matrix with n rows.

    torch.optim.Muon takes matrices only, and computes in bfloat16, which many processors do not have.

    Args:
        groups: parameter groups of torch.
        fused: whether Adam updates in one pass over the parameters.

    Source:
        Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024,
        https://kellerjordan.github.io/posts/muon; the scale: Liu et al., Muon is scalable for LLM training, 2025,
        https://arxiv.org/abs/2502.16982

    Example:
        >>> weight = nn.Parameter(torch.zeros(4, 4))
        >>> optimiser = Muon([{"params": [weight], "lr": 0.1, "orthogonal": True}], fused=False)
        >>> weight.grad = torch.diag(torch.tensor([1.0, 0.1, 0.01, 1.0]))
        >>> optimiser.step()
        >>> bool(weight.diagonal().abs().sub(0.1 * 0.2 * 2).abs().max() < 0.015)  # rate x 0.2 x sqrt(4)
        True
    """

    def __init__(self, groups: list[dict[str, Any]], fused: bool) -> None:
        super().__init__(groups, eps=1e-8, weight_decay=0.0, fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient."""
        for group in self.param_groups:
            if group.get("orthogonal"):
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._move(parameter, group["lr"], group["weight_decay"])
        return super().step(closure)

    def _move(self, parameter: nn.Parameter, lr: float, decay: float) -> None:
        """Update a parameter, and remove its gradient, so that Adam leaves it as it is."""
        gradient = parameter.grad.flatten(1)  # type: ignore[union-attr]
        state = self.state[parameter]
        if not state:
            state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(gradient)}  # AdamW requires a "step"
        state["step"] += 1
        mean = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        update = orthogonal(gradient.lerp(mean, MOMENTUM))
        parameter.mul_(1 - lr * decay)
        parameter.sub_(update.view(parameter.shape), alpha=SIZE * math.sqrt(max(update.shape)) * lr)
        parameter.grad = None


def orthogonal(matrix: Tensor) -> Tensor:
    """Return the nearest matrix [n, m] with singular values near 1, between 0.7 and 1.2 for those that are not tiny.

    Newton-Schulz iteration, https://kellerjordan.github.io/posts/muon: x is replaced by (a + b s + c s^2) x, s = x x^T.
    The factors are multiplied first, in [n, n] with n <= m, which takes half of the time for the layers of `small`.
    """
    x = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    x = x / (x.norm() + 1e-7)
    square = x @ x.T
    factor = product = _factor(square)
    for _ in range(ITERATIONS - 1):
        square = factor @ (square @ factor)
        factor = _factor(square)
        product = factor @ product
    update: Tensor = product @ x
    return update if len(matrix) <= matrix.shape[1] else update.T


def _factor(square: Tensor) -> Tensor:
    """Return a + b s + c s^2 [n, n] of a square matrix s [n, n]."""
    a, b, c = COEFFICIENTS
    factor = torch.addmm(square, square, square, beta=b, alpha=c)
    factor.diagonal().add_(a)
    return factor


def hidden_weights(model: VAE, edges: nn.Module | None = None) -> list[nn.Parameter]:
    """Return the matrices and kernels of encoder, decoder and `edges`, without the layers beside the latents.

    The last layer of the encoder and the first of the decoder have a row or a column for each latent. With steps of the
    same size in all directions, all latents would become active at once instead of one after the other.

    Matrices with more than `LIMIT` rows and columns are left out as well: the iteration takes 30 n^3 multiplications,
    so those of `mlp_lvae` with n = 1200 would take more than nine tenths of a step.
    """
    weights: list[nn.Parameter] = []
    for module, own in ((model.encoder, slice(None, -1)), (model.decoder, slice(1, None))):
        weights += _matrices(module)[own]
    if edges is not None:
        weights += _matrices(edges)
    return [weight for weight in weights if min(weight.flatten(1).shape) <= LIMIT]


def _matrices(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.ndim > 1]


def split(groups: list[dict[str, Any]], hidden: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Return the groups, of which the first is followed by one with its hidden weights and `orthogonal`."""
    first, *others = groups
    hidden_set = set(hidden)
    rest = [parameter for parameter in first["params"] if parameter not in hidden_set]
    return [{**first, "params": rest}, {**first, "params": hidden, "orthogonal": True}, *others]
