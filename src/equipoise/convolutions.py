"""Convolutions that are computed as matrix products on a processor, where its own routines for them are slow.

A convolution whose kernel covers the whole image is one product of matrices, and so is a transposed convolution of a
single pixel. A transposed convolution to one channel is a product and a sum of overlapping patches; oneDNN computes it
with 16 channels. Products are off unless `products` or `use_products` sets them on, so that exported nets consist of
plain layers, whose parameters are the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

PATCH = {"kernel_size": (4, 4), "stride": (2, 2), "padding": (1, 1), "output_padding": (0, 0)}


class Conv2d(nn.Conv2d):
    """The layer of torch, with a product of matrices for images of the size of its kernel."""

    by_products = False

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution [B, C', H', W'] of images [B, C, H, W]."""
        is_whole = input.shape[2:] == self.weight.shape[2:] and self.padding == (0, 0)
        if not (self.by_products and is_whole and _is_float32_on_cpu(input)):
            return super().forward(input)
        # Views, if channels_last.
        rows, weights = (each.permute(0, 2, 3, 1).flatten(1) for each in (input, self.weight))
        return nn.functional.linear(rows, weights, self.bias)[:, :, None, None]


class ConvTranspose2d(nn.ConvTranspose2d):
    """The layer of torch, with a product of matrices for images of one pixel and for pictures of one channel."""

    by_products = False

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the transposed convolution [B, C', H', W'] of images [B, C, H, W]."""
        if self.by_products and output_size is None and _is_float32_on_cpu(input) and self.bias is not None:
            if input.shape[2:] == (1, 1) and self.padding == self.output_padding == (0, 0):
                weights = self.weight.permute(0, 2, 3, 1)
                picture = (input.flatten(1) @ weights.flatten(1)).view(-1, *weights.shape[1:]) + self.bias
                return picture.permute(0, 3, 1, 2)
            if self.out_channels == 1 and all(getattr(self, name) == value for name, value in PATCH.items()):
                grey: Tensor = _ToOneChannel.apply(input, self.weight, self.bias)  # type: ignore[no-untyped-call]
                return grey
        return super().forward(input, output_size)


@contextmanager
def products(net: nn.Module) -> Iterator[None]:
    """Compute the layers of a net as products inside the block.

    On a processor the kernels are in channels_last inside the block, so the images between the layers are too, as in
    training.
    """
    before = [(layer, layer.by_products) for layer in _layers(net)]
    kernels = [p for p in net.parameters() if p.dim() == 4 and p.device.type == "cpu" and p.is_contiguous()]
    use_products(net, True)
    for kernel in kernels:
        kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for kernel in kernels:
            kernel.data = kernel.data.contiguous()
        for layer, by_products in before:
            layer.by_products = by_products


def use_products(net: nn.Module, enabled: bool) -> None:
    """Set products on or off for the layers of a net. They are used for float32 on a processor only."""
    for layer in _layers(net):
        layer.by_products = enabled


def _layers(net: nn.Module) -> list[Conv2d | ConvTranspose2d]:
    """Return the layers that can compute products."""
    return [layer for layer in net.modules() if isinstance(layer, Conv2d | ConvTranspose2d)]


def _is_float32_on_cpu(images: Tensor) -> bool:
    """Return whether images are computed in float32 on a processor."""
    return images.device.type == "cpu" and images.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


class _ToOneChannel(torch.autograd.Function):
    """A transposed convolution of kernel 4, stride 2 and padding 1 to one channel. The gradient is that of torch."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the pictures [B, 1, 2 H, 2 W] of images [B, C, H, W] for a weight [C, 1, 4, 4]."""
        ctx.save_for_backward(images, weight)
        n, channels, height, width = images.shape
        # Each pixel gives a patch of 4 x 4. Its quarters of 2 x 2 lie on the grid of the quarters of the others.
        quarters = weight.view(channels, 2, 2, 2, 2).transpose(2, 3).reshape(channels, 16)
        patches = (images.permute(0, 2, 3, 1).reshape(-1, channels) @ quarters).view(n, height, width, 4, 4)
        sums = patches.new_zeros(n, height + 1, width + 1, 4)
        for k in range(4):
            down, right = divmod(k, 2)
            sums[:, down : height + down, right : width + right] += patches[:, :, :, k]
        rows = sums.view(n, height + 1, width + 1, 2, 2).transpose(2, 3).reshape(n, 2 * height + 2, 2 * width + 2)
        return (rows[:, None, 1:-1, 1:-1] + bias).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        images, weight = ctx.saved_tensors
        shape = ([1], (2, 2), (1, 1), (1, 1), True, (0, 0), 1)  # bias, stride, padding, dilation, transposed, groups
        return torch.ops.aten.convolution_backward(gradient, images, weight, *shape, ctx.needs_input_grad)
