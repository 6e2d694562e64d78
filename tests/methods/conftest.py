"""A method on the toy autoencoder and a fixed batch: its loss, its gradients, and the parts of them by hand."""

import torch
from tests.conftest import build, clock, forward, images, noise, toy
from torch import Tensor

from equipoise.methods import Method

B = 12


def loss_and_gradients(method: Method, x: Tensor, eps: Tensor, step: int = 3) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and the gradient of each parameter of the networks and the objective."""
    objective = build(method)
    model = toy(objective)
    loss, _ = objective(forward(model, x, eps), clock(step))
    loss.backward()
    networks = {**dict(model.encoder.named_parameters("e")), **dict(model.decoder.named_parameters("d"))}
    return loss.detach(), {name: p.grad for name, p in {**networks, **dict(objective.named_parameters())}.items()}


def parts(method: Method) -> tuple[Tensor, Tensor]:
    """R and K of the toy model on the fixed batch, from their formulas."""
    model = toy(build(method))
    p = forward(model, images(B), noise(B))
    kl = 0.5 * (p.mean**2 + p.logvar.exp() - p.logvar - 1).sum() / B
    return (torch.sigmoid(p.out) - p.x).square().sum().detach() / B, kl.detach()


def same(left: dict[str, Tensor], right: dict[str, Tensor], factor: float = 1.0) -> bool:
    known = [name for name, gradient in right.items() if gradient is not None]
    return all(torch.allclose(left[name], factor * right[name], atol=1e-9) for name in known)
