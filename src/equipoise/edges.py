"""Edges: in training, a second picture of the decoder, in which a shape looks the same in every colour.

Where two colours meet, a change of shape or size changes an image by the difference of the colours. The first code of a
shape is therefore a product with this difference, and its sign depends on the colours. The edge map of an image has no
colours: a decoder that also draws the edge map needs the shape itself.
"""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from equipoise import convolutions, nets
from equipoise.errors import InputError
from equipoise.model import Pass
from equipoise.part import Part
from equipoise.terms import spread

BATCHES = 100  # over which the mean edge map is averaged
LEVEL = 1e-2  # least distance of its values from 0 and 1


def edge_map(x: Tensor, contrast: float = 0.1) -> Tensor:
    """Return how near each pixel is to an edge, [B, 1, H, W] in [0, 1], for images x [B, C, H, W] in [0, 1].

    An edge is g / (g + contrast^2), where g is the squared difference of a pixel and its right and lower neighbours,
    summed over the channels. The result is its mean over 3 x 3 pixels.

    Example:
        >>> x = torch.zeros(1, 3, 4, 8)
        >>> x[..., 4:] = 1.0
        >>> edge_map(x)[0, 0, 1]
        tensor([0.0000, 0.0000, 0.3322, 0.3322, 0.3322, 0.0000, 0.0000, 0.0000])
    """
    across = nn.functional.pad(x[..., 1:] - x[..., :-1], (0, 1))
    down = nn.functional.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    change = (across.square() + down.square()).sum(1, keepdim=True)
    return nn.functional.avg_pool2d(change / (change + contrast**2), 3, 1, 1)


class Edges(Part):
    """Draws the edge map of each image from the last hidden layer of the decoder.

    The term, called with a pass, is the squared error of the drawn edge map [B], in units in which the mean edge map
    of the batch costs as much as the mean image does. The layer draws the difference from the mean edge map of the
    first 100 batches. It is part of the objective and not of the model, whose nets are the same as without it.

    Args:
        contrast: difference of neighbouring pixels, 1e-6 to 1, at which an edge has half of its full strength.

    Example:
        >>> from equipoise import nets
        >>> edges = Edges()
        >>> edges.attach(nets.build("small", (3, 32, 32), latent=10)[1], (3, 32, 32))
        >>> edges.layer.weight.shape
        torch.Size([16, 1, 4, 4])
    """

    name: ClassVar[str] = "edges"
    layer: nn.Module
    mean: Tensor
    batches: Tensor

    def __init__(self, contrast: Annotated[float, Field(ge=1e-6)] = 0.1) -> None:
        super().__init__()
        self.contrast = contrast
        self.register_buffer("batches", torch.zeros(()))

    def attach(self, decoder: nn.Module, shape: nets.Shape) -> None:
        """Make the drawing layer for a decoder of images of this shape (C, H, W), like the decoder's last layer.

        Raises `InputError` for images below 8 pixels a side, for vectors, and for a decoder that is not one of
        `nets.NETS`.
        """
        if min(shape[1:]) < nets.LEAST:
            raise InputError(
                f"edges need images of {nets.LEAST} pixels a side or more, these are {shape[1]} x {shape[2]}; leave "
                "edges out of the terms"
            )
        last = nets.split_last(decoder)[1][0]
        if isinstance(last, nn.Linear):
            self.layer = nn.Linear(last.in_features, shape[1] * shape[2])
        elif isinstance(last, nn.ConvTranspose2d):
            sizes = last.kernel_size, last.stride, last.padding, last.output_padding
            self.layer = convolutions.ConvTranspose2d(last.in_channels, 1, *sizes)  # type: ignore[arg-type]
        else:
            raise InputError("edges need a decoder that ends with a linear layer or a transposed convolution")
        self.register_buffer("mean", torch.zeros(1, *shape[1:]))

    def forward(self, p: Pass) -> Tensor:
        """Return the squared error [B] of the edge maps in nats per image, scaled to the spread of the images."""
        if p.features is None:
            raise ValueError("edges need the features of the decoder; set model.keeps_features")
        target = edge_map(p.x, self.contrast)
        mean = p.shard.whole(target.mean(0, keepdim=True)).mean(0)
        if self.training:
            self._average_first_batches(mean)
        first = self.mean.to(p.x.dtype).clamp(LEVEL, 1 - LEVEL).logit()
        picture = (self.layer(p.features.to(p.x.dtype)).view_as(target) + first).sigmoid()
        error, of_mean = (p.shard.whole((map - target).square().flatten(1).sum(1)) for map in (picture, mean))
        return error * (spread(p).mean() / of_mean.mean().clamp(min=1e-6))

    @torch.no_grad()
    def _average_first_batches(self, mean: Tensor) -> None:
        """Move the mean edge map [1, H, W] towards that of a batch; after 100 batches it stays."""
        self.batches += 1
        self.mean += (self.batches <= BATCHES) * (mean - self.mean) / self.batches
