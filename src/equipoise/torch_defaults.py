"""The defaults and the threads of torch, whatever the program that calls Equipoise has set."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Compute inside the block in float32, on the CPU unless another device is named, and with gradients.

    The caller may have set another default with `torch.set_default_dtype` or `torch.set_default_device`, or be inside
    `torch.no_grad`, `torch.inference_mode` or `torch.autocast`. None of them is meant for a training, and the result of
    a run must not depend on them. Also a decorator.
    """
    before = torch.get_default_dtype()
    with ExitStack() as stack:
        # Each block slows the calls of torch inside it, so it is entered only if it changes something.
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(mode=False))
        if not torch.is_grad_enabled():
            stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if before != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, before)
        yield


@contextmanager
def torch_threads(number: int | None = None) -> Iterator[None]:
    """Use this number of threads inside the block, or as many as before, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
