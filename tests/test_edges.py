"""Edges as a second target: what an edge map shows, what the term costs, and which latents learn from it."""

import dataclasses
from typing import Any

import pytest
import torch
from tests.conftest import build, forward, images, noise, toy
from torch import Tensor

from equipoise import config, nets
from equipoise.assemble import build as assemble
from equipoise.edges import Edges, edge_map
from equipoise.errors import InputError
from equipoise.methods import METHODS, Shape
from equipoise.model import VAE, Pass
from equipoise.objective import Objective
from equipoise.terms import spread
from equipoise.training import trial
from equipoise.training.loop import Training

COLOURS = Shape(image=(3, 8, 8), latent=3, images=100)
UNIT = {"step": torch.tensor(200), "spread": torch.tensor(1.0)}


def disc(radius: float, front: list[float], back: list[float]) -> Tensor:
    """A picture [1, 3, 32, 32] of a disc in one colour in front of another."""
    row = torch.arange(32) - 15.5
    inside = (row[:, None] ** 2 + row**2 < radius**2)[None, None]
    colours = [torch.tensor(colour).view(1, 3, 1, 1) for colour in (front, back)]
    return torch.where(inside, *colours)


def built() -> tuple[Objective, Edges, VAE]:
    """The objective of outline-vae, its edges with random weights, and a model."""
    objective = build(METHODS["outline-vae"](), COLOURS)
    model = toy(objective, COLOURS)
    edges = objective.edges
    assert edges is not None
    with torch.no_grad():
        weight: Any = edges.layer.weight
        weight.normal_(generator=torch.Generator().manual_seed(0))
    return objective, edges, model


def passed(model: VAE) -> Pass:
    return forward(model, images(20, COLOURS), noise(20, COLOURS))


def test_an_edge_map_shows_the_border_of_a_shape_whatever_its_colours() -> None:
    maps = [
        edge_map(disc(8, front, back))
        for front, back in (([1, 0, 0], [0, 0, 1]), ([0, 0, 1], [1, 0, 0]), ([0.3, 0.9, 0.2], [0.9, 0.1, 0.6]))
    ]
    assert torch.equal(maps[0], maps[1])
    assert torch.allclose(maps[0], maps[2], atol=0.02)
    assert maps[0].amax() > 0.5
    assert edge_map(disc(8, [0.4, 0.4, 0.4], [0.4, 0.4, 0.4])).amax() == 0
    assert (edge_map(disc(10, [1, 0, 0], [0, 0, 1])) - maps[0]).abs().amax() > 0.5


def test_an_edge_has_half_its_strength_at_the_contrast() -> None:
    x = torch.zeros(1, 1, 5, 9)
    x[..., 5:] = 0.2
    # One column of three in the mean of 3 x 3 pixels.
    assert edge_map(x, contrast=0.2)[0, 0, 2, 4].item() == pytest.approx(0.5 / 3)


def test_the_mean_edge_map_is_drawn_first_and_costs_as_much_as_the_mean_image() -> None:
    _, edges, model = built()
    p = passed(model)
    with torch.no_grad():
        for parameter in edges.layer.parameters():
            parameter.zero_()
    assert edges(p).mean().item() == pytest.approx(spread(p).mean().item(), rel=1e-4)
    assert torch.allclose(edges.mean, edge_map(p.x).mean(0))
    for _ in range(99):
        edges(p)
    before = edges.mean.clone()
    edges(dataclasses.replace(p, x=p.x / 2, cache={}))
    assert torch.equal(edges.mean, before), "the mean of the first 100 batches stays"


@pytest.mark.parametrize("net", nets.NETS)
def test_every_net_can_draw_edges_and_stays_the_same_model(net: str) -> None:
    settings = config.resolve({"data": "rooms3d", "data.size": 32, "net": net, "method": "outline-vae"})
    model, objective = assemble(settings, (3, 32, 32), 100)
    other, _ = assemble(dataclasses.replace(settings, method=METHODS["aligned-vae"]()), (3, 32, 32), 100)
    assert model.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())
    assert objective.edges is not None
    model.keeps_features = True
    x = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.eval()
        p = model(x, torch.Generator().manual_seed(1))
        assert objective.edges(p).shape == (6,)
        assert torch.allclose(p.out, model.decoder(p.z), atol=1e-5)


def test_the_gradient_reaches_the_encoder_and_the_hidden_layers_but_not_the_last_one() -> None:
    _, edges, model = built()
    edges(passed(model)).mean().backward()
    hidden, last = (dict(part.named_parameters()) for part in nets.split_last(model.decoder))
    for parameter in (*model.encoder.parameters(), *hidden.values(), *edges.layer.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in last.values())


@pytest.mark.parametrize("is_apart", [True, False])
def test_apart_each_half_of_the_latents_has_gradients_of_its_own_target(is_apart: bool) -> None:
    objective, _, model = built()
    model.apart = is_apart
    p = passed(model)
    of_image, of_edges = (
        torch.autograd.grad(objective.terms[name](p).sum(), p.z, retain_graph=True)[0] for name in ("rec", "edges")
    )
    assert of_image[:, 1:].abs().min() > 0
    assert of_edges[:, :1].abs().min() > 0
    assert bool((of_image[:, :1] == 0).all()) is is_apart
    assert bool((of_edges[:, 1:] == 0).all()) is is_apart
    assert torch.allclose(p.out, model.decoder(p.z)), "the picture is the same"


def test_the_training_loop_ends_the_first_part_with_the_balance() -> None:
    size = {"net": "mlp", "net.latent": 4, "train.batch": 8, "train.steps": 8}
    settings = config.resolve({"data": "array", "method": "outline-vae", "method.apart": 0.5, **size})
    training = Training(*assemble(settings, (3, 8, 8), 100), settings.train, torch.device("cpu"))
    assert training.model.keeps_features
    apart = []
    for step in range(8):
        training.advance(images(8, COLOURS, seed=step, dtype=torch.float32))
        apart.append(training.model.apart)
        weights = training.objective.balance({**UNIT, "progress": torch.tensor((step + 1) / 8), "kl": torch.zeros(4)})
        assert bool(weights["edges"] == 1) == apart[-1]
    assert apart == [True] * 3 + [False] * 5


def test_a_trial_measures_both_parts_of_the_schedule() -> None:
    size = {"net": "mlp", "net.latent": 4, "train.batch": 8, "train.steps": 100}
    settings = config.resolve({"data": "array", "method": "outline-vae", "method.apart": 0.5, **size})
    training = Training(*assemble(settings, (3, 8, 8), 100), settings.train, torch.device("cpu"))
    apart = []

    def batch(step: int, _: int) -> Tensor:
        apart.append(training.model.apart)
        return images(8, COLOURS, seed=step, dtype=torch.float32)

    for call in ("first", "second"):
        assert trial.images_per_second(training, batch, seconds=0.0) > 0
        kinds = [False, *[True] * 4, *[False] * 3]
        assert apart == kinds, f"the flag of the step before, in the {call} call: four steps of each kind"
        apart.clear()


def test_without_features_and_without_a_sequence_it_refuses() -> None:
    _, edges, model = built()
    with pytest.raises(ValueError, match="keeps_features"):
        edges(dataclasses.replace(passed(model), features=None))
    with pytest.raises(InputError, match="sequence of layers"):
        nets.split_last(torch.nn.Identity())
    with pytest.raises(InputError, match="linear layer or a transposed convolution"):
        Edges().attach(torch.nn.Sequential(torch.nn.BatchNorm2d(3)), (3, 8, 8))
    with pytest.raises(InputError, match="edges need images of 8 pixels a side or more, these are 1 x 20"):
        Edges().attach(model.decoder, (1, 1, 20))


@pytest.mark.parametrize("shape", [(1, 1, 20), (3, 4, 4)])
def test_outline_vae_refuses_vectors_and_images_without_room_for_edges(shape: tuple[int, int, int]) -> None:
    link = "identity" if shape[1] == 1 else None
    with pytest.raises(InputError, match="outline-vae needs images of 8 pixels"):
        METHODS["outline-vae"](likelihood="mse").build(Shape(image=shape, latent=4, images=100, link=link))
