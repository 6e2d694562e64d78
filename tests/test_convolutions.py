"""Convolutions as matrix products give the values and the gradients of the plain layers."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equipoise import convolutions, nets


@pytest.fixture(autouse=True)
def generator() -> Iterator[None]:
    """New layers draw from torch's global generator."""
    with torch.random.fork_rng():
        yield


def seeded(layer: Any, *sizes: Any, **settings: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        new: nn.Module = layer(*sizes, **settings)
        return new


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def plain(layer: Any) -> nn.Module:
    """torch's own layer with the same parameters."""
    kind: Any = nn.ConvTranspose2d if isinstance(layer, nn.ConvTranspose2d) else nn.Conv2d
    sizes = (layer.kernel_size, layer.stride, layer.padding)
    own: nn.Module = kind(layer.in_channels, layer.out_channels, *sizes)
    own.load_state_dict(layer.state_dict())
    return own


def result(layer: nn.Module, x: Tensor) -> list[Tensor | None]:
    """The output and the gradients of inputs and parameters."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = layer(x)
    y.backward(images(*y.shape))
    return [y.detach(), x.grad, *(parameter.grad for parameter in layer.parameters())]


CASES = {
    "whole image": (seeded(convolutions.Conv2d, 3, 8, 4), images(5, 3, 4, 4)),
    "whole image that is not square": (seeded(convolutions.Conv2d, 3, 8, (4, 5)), images(5, 3, 4, 5)),
    "single pixel": (seeded(convolutions.ConvTranspose2d, 6, 3, 4), images(5, 6, 1, 1)),
    "one channel": (seeded(convolutions.ConvTranspose2d, 6, 1, 4, stride=2, padding=1), images(5, 6, 3, 4)),
    "one image of one pixel": (seeded(convolutions.ConvTranspose2d, 2, 1, 4, stride=2, padding=1), images(1, 2, 1, 1)),
}


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("case", CASES)
def test_products_are_the_convolution_and_its_gradients(case: str, layout: torch.memory_format) -> None:
    layer, x = CASES[case]
    layer = copy.deepcopy(layer).to(memory_format=layout)  # type: ignore[call-overload]
    x = x.to(memory_format=layout)
    expected = result(plain(layer), x)
    with convolutions.products(layer):
        for ours, theirs in zip(result(layer, x), expected, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_one_channel_by_hand() -> None:
    # Two pixels in a row, weights that number the kernel: each pixel adds its patch 4 x 4 at twice its place less 1.
    layer: Any = convolutions.ConvTranspose2d(1, 1, 4, stride=2, padding=1)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(16.0).view(1, 1, 4, 4))
        layer.bias.fill_(100.0)
    with convolutions.products(layer), torch.no_grad():
        picture = layer(torch.tensor([[[[1.0, 10.0]]]]))[0, 0]
    # Rows 1 and 2 of the patch: 4 5 6 7 and 8 9 10 11. The second patch lies two columns to the right.
    assert picture.tolist() == [[105, 106 + 40, 107 + 50, 160], [109, 110 + 80, 111 + 90, 200]]


def test_products_are_off_outside_the_block_and_for_other_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, _ = nets.build("higgins_h", (1, 64, 64), 3)
    x = torch.rand(2, 1, 64, 64)
    calls: list[str] = []
    linear = nn.functional.linear

    def counted(*arguments: Tensor) -> Tensor:
        calls.append("product")
        return linear(*arguments)

    monkeypatch.setattr(nn.functional, "linear", counted)
    encoder(x)
    last = len(calls)  # of the linear layer alone
    with convolutions.products(encoder):
        encoder(x)
        assert len(calls) == 2 * last + 1
        encoder.double()(x.double())
        assert len(calls) == 3 * last + 1
    encoder.float()(x)
    assert len(calls) == 4 * last + 1


def test_the_block_restores_what_was_set() -> None:
    encoder, _ = nets.build("small", (1, 32, 32), 3)
    convolutions.use_products(encoder, True)
    with convolutions.products(encoder):
        pass
    assert all(layer.by_products for layer in encoder.modules() if isinstance(layer, convolutions.Conv2d))


def test_kernels_are_in_channels_last_inside_the_block_only() -> None:
    encoder, _ = nets.build("small", (3, 32, 32), 3)
    kernels = [p for p in encoder.parameters() if p.dim() == 4]
    before = [kernel.clone() for kernel in kernels]
    with convolutions.products(encoder):
        assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
        kernels[0].data.add_(1)
    assert all(kernel.is_contiguous() for kernel in kernels)
    torch.testing.assert_close([kernels[0] - 1, *kernels[1:]], before)
