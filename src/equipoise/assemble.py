"""The images and the untrained model of a run, from its settings."""

from itertools import chain

import numpy as np
import torch
from torch import nn

from equipoise import gates, nets
from equipoise.config import Config, objective_of, outline
from equipoise.data import Images, load_data, variants
from equipoise.data.batches import Batches, fitting_size
from equipoise.data.labels import LabelledImages
from equipoise.data.pairs import draw_pairs
from equipoise.data.pixels import blocks
from equipoise.errors import InputError
from equipoise.model import VAE
from equipoise.objective import Objective
from equipoise.torch_defaults import torch_defaults
from equipoise.training import devices

ARRAY = "array-"  # start of the data name of a run that was trained on an array


def load_images(config: Config, array: Images | None) -> tuple[Images, Images]:
    """Return the images to train on and the images to encode and score. Raises `InputError` if they cannot be loaded.

    array: the images, if the run is trained on an array.
    """
    data = config.data
    if array is None:
        if data.name.startswith(ARRAY):
            raise InputError(f"{data.name} is an array, which the run does not store; pass the images themselves")
        return variants.prepare(load_data(data.name, **data.reading), data)
    kind = None if array.scaling is None else array.scaling.kind
    if kind != data.scaling:
        raise InputError(f"data.scaling is {data.scaling}, but the array is scaled by {kind} already; leave it out")
    names = ", ".join(f"data.{key}" for key, value in data.reading.items() if value and key not in ("size", "scaling"))
    if names:
        raise InputError(f"{names} applies to image files; leave it out, and change the array itself")
    return variants.prepare(array if data.size is None else array.resize(data.size), data)


def batches_of(config: Config, images: Images) -> Batches:
    """Return the batches of the images to train on. Raises `InputError` if there are too few images or pairs."""
    objective, train = outline(config), config.train
    pairing = objective.pairing
    size = fitting_size(
        images,
        train.batch,
        has_second=objective.needs_second_batch,
        processes=train.processes,
        is_paired=pairing is not None,
    )
    draw = None if pairing is None else draw_pairs(images, pairing.source, pairing.changed)
    return Batches(images, size, train.seed, draw=draw)


def labelled_images(config: Config, images: Images) -> LabelledImages | None:
    """Return the labelled images to train on, if there are labels. Raises `InputError` for labels that have no use."""
    train = config.train
    if train.labels is None:
        return None
    return LabelledImages(images, train.labels, config.net.latent, train.batch, train.seed, config.data.seed)


def are_alike(images: Images) -> bool:
    """Whether all images are the same picture, from which nothing can be learned."""
    n = len(images)
    few = images.pixels(np.linspace(0, n - 1, min(n, 4)).astype(np.int64))  # of a large set, the rest stays unread
    all_pixels = (pixels for _, pixels in blocks(images.pixels, n))
    return n >= 2 and not any((pixels != few[0]).any() for pixels in chain([few], all_pixels))


@torch_defaults()
def build(config: Config, image: tuple[int, int, int], images: int) -> tuple[VAE, Objective]:
    """Return the untrained model and objective of these settings, for N `images` of shape `image` (C, H, W).

    Raises `InputError` when training them needs more memory than this machine has.
    """

    def modules() -> tuple[nn.Module, nn.Module, Objective]:
        encoder, decoder = nets.build(config.net.name, image, config.net.latent)
        objective = objective_of(config, image, images)
        if objective.edges is not None:
            objective.edges.attach(decoder, image)
        return *gates.add(encoder, decoder, objective.rates), objective

    devices.check_memory(modules)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.train.seed)
        encoder, decoder, objective = modules()
    return VAE(encoder, decoder, objective.likelihood, objective.prior, image, images), objective
