"""Settings that make a training step fast. Each is checked on this processor before it is used."""

import ctypes
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from equipoise.torch_defaults import torch_threads

EXACT = 1e-5  # largest relative error of an fp32 product; that of bfloat16 is 4e-3

# Options of malloc.h in glibc: no separate mappings, no memory returned to the system, 64 MiB in advance.
MALLOC = ((-4, 0), (-1, 2**31 - 1), (-2, 64 << 20))


@contextmanager
def fast_parts(enabled: bool, threads: int | None, precision: str = "fp32") -> Iterator[dict[str, Any]]:
    """Switch the fast parts on inside the block. Yields which are on, and why others are not, for `meta.json`.

    The number of threads, the precision of oneDNN and subnormal numbers are restored at the end. The settings of the
    allocator remain; they change no result. Warns when this processor emulates the precision.
    """
    if precision == "bf16" and not has_bf16():
        warnings.warn(
            "train.precision is bf16, which this processor emulates: training is slower than in fp32. "
            "Set train.precision=fp32 unless the run has to repeat one in bf16.",
            stacklevel=3,
        )
    with torch_threads(threads):
        has_malloc = enabled and tune_malloc()
        with flush_subnormals(enabled), onednn(enabled) as state:
            yield {
                "processor": processor(),
                "threads": torch.get_num_threads(),
                "precision": precision,
                "malloc": has_malloc,
                "onednn": state,
            }


@contextmanager
def flush_subnormals(enabled: bool = True) -> Iterator[None]:
    """Replace subnormal numbers, below 1e-38 in fp32, by 0 inside the block, if enabled.

    A processor computes with them many times slower than with others. They come from pixels whose logit is far from 0,
    and from units without a gradient, whose moments in the optimiser decay to such numbers in about 800 steps.

    This is a mode of a thread, which on Linux the threads that it starts inherit. Threads of torch from before the
    block keep theirs, so the block should begin before the first large tensor is computed.
    """
    before = flushes_subnormals()
    torch.set_flush_denormal(enabled)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def flushes_subnormals() -> bool:
    """Whether this thread replaces subnormal numbers by 0."""
    return bool((torch.full((1,), 2.0**-120) * 2.0**-20).view(torch.int32) == 0)


@contextmanager
def onednn(enabled: bool = True) -> Iterator[str]:
    """Compute fp32 matrix products with oneDNN inside the block, if they are exact. Yields "on" or "off" and why.

    torch uses oneDNN for products that may be computed in bfloat16. A processor without AMX has no unit for them, so
    oneDNN computes in fp32, up to twice as fast as the default library on AMD. With AMX it would round, so a product
    is compared with float64 first.
    """
    matmul: Any = getattr(torch.backends.mkldnn, "matmul", None)
    if not enabled or matmul is None or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        yield "off: this torch has no such switch" if enabled else "off"
        return
    before = matmul.fp32_precision
    if before == torch.backends.mkldnn.fp32_precision:
        before = "none"  # inherited from all of oneDNN; restoring the value itself would end the inheritance
    matmul.fp32_precision = "bf16"
    try:
        error = product_error()
        if error < EXACT:
            yield f"on: relative error {error:.1e}"
        else:
            matmul.fp32_precision = before
            yield f"off: relative error {error:.1e}, which is not fp32"
    finally:
        matmul.fp32_precision = before


def product_error() -> float:
    """The largest relative error of a 256^3 product, forward and both gradients, against float64."""
    generator = torch.Generator().manual_seed(0)
    a, b, up = (torch.randn(256, 256, generator=generator) for _ in range(3))
    errors = []
    for left, right in ((a, b), (up, b.T), (a.T, up)):
        exact = left.double() @ right.double()
        errors.append(((left @ right).double() - exact).abs().max() / exact.abs().max())
    return float(max(errors))


def tune_malloc() -> bool:
    """Make glibc reuse the memory that a step frees, which saves thousands of page faults a step.

    Returns whether glibc accepted all options.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return all(libc.mallopt(option, value) == 1 for option, value in MALLOC)


def adam(groups: list[dict[str, Any]], fused: bool) -> torch.optim.Adam:
    """Adam with eps 1e-8, or AdamW if a group has a `weight_decay`, which is 0 in the others.

    `fused` computes the same update in one pass over the parameters.
    """
    if any(group.get("weight_decay", 0.0) for group in groups):
        return torch.optim.AdamW(groups, eps=1e-8, weight_decay=0.0, fused=fused)
    return torch.optim.Adam(groups, eps=1e-8, fused=fused)


def memory_format(model: nn.Module) -> torch.memory_format:
    """channels_last for a model with convolutions, which then read pixels in order; else contiguous."""
    has_convolutions = any(isinstance(layer, nn.Conv2d) for layer in model.modules())
    return torch.channels_last if has_convolutions else torch.contiguous_format


def processor() -> str:
    """The name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def has_bf16() -> bool:
    """Whether the GPU, or without one the processor, computes in bfloat16 itself."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(has_onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported())
