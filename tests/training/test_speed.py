"""The fast parts change no result, leave a process as they found it, and are off where they would round."""

import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equipoise import nets
from equipoise.training import speed


@pytest.fixture(autouse=True)
def precision() -> Iterator[Any]:
    """torch's switch for oneDNN's products, which every test must leave as it was."""
    switch = torch.backends.mkldnn.matmul
    before = switch.fp32_precision
    yield switch
    after = switch.fp32_precision
    switch.fp32_precision = before
    assert after == before


def gradients(net: nn.Module, x: Tensor) -> list[Tensor]:
    net.zero_grad()
    net(x).square().sum().backward()
    return [parameter.grad.clone() for parameter in net.parameters() if parameter.grad is not None]


def relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())


# --- oneDNN -----------------------------------------------------------------------------------------------------------


def test_onednn_computes_in_fp32_or_is_off_and_says_why(precision: Any) -> None:
    before = precision.fp32_precision
    with speed.onednn() as state:
        assert speed.product_error() < speed.EXACT
        assert state.startswith("on: relative error" if precision.fp32_precision == "bf16" else "off: ")
        assert precision.fp32_precision in ("bf16", before)


def test_a_net_and_its_gradients_are_the_same_with_and_without_onednn() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, _ = nets.build("mlp_lvae", (1, 16, 16), 10)
        x = torch.rand(32, 1, 16, 16)
    out, grads = encoder(x).detach(), gradients(encoder, x)
    with speed.onednn():
        assert relative(encoder(x).detach(), out) < 1e-5
        assert all(relative(a, b) < 1e-5 for a, b in zip(gradients(encoder, x), grads, strict=True))


@pytest.mark.parametrize("error", [4e-3, float("nan")])
def test_a_product_that_is_not_fp32_leaves_onednn_off(
    error: float, precision: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = precision.fp32_precision
    monkeypatch.setattr(speed, "product_error", lambda: error)
    with speed.onednn() as state:
        assert state.startswith("off: relative error")
        assert precision.fp32_precision == before


def test_the_check_sees_bfloat16_arithmetic_in_any_of_the_three_products(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = torch.Tensor.__matmul__
    for rounded in range(3):
        calls = iter(range(3))

        def product(a: Tensor, b: Tensor, calls: Iterator[int] = calls, rounded: int = rounded) -> Tensor:
            if a.dtype == torch.float32 and next(calls) == rounded:
                return exact(a.bfloat16(), b.bfloat16()).float()
            return exact(a, b)

        monkeypatch.setattr(torch.Tensor, "__matmul__", product)
        assert speed.product_error() > 100 * speed.EXACT


def test_a_torch_without_the_switch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends, "mkldnn", SimpleNamespace(is_available=lambda: True))
    with speed.onednn() as state:
        assert state == "off: this torch has no such switch"


def test_the_switch_is_put_back_after_an_error(precision: Any) -> None:
    before = precision.fp32_precision
    with pytest.raises(ZeroDivisionError), speed.onednn():
        raise ZeroDivisionError
    assert precision.fp32_precision == before


def test_a_precision_that_was_inherited_is_inherited_again(precision: Any) -> None:
    generic: Any = torch.backends
    before = generic.fp32_precision
    try:
        generic.fp32_precision = "ieee"
        with speed.onednn():
            pass
        assert precision.fp32_precision == "ieee"
        generic.fp32_precision = "tf32"
        assert precision.fp32_precision == "tf32"
    finally:
        generic.fp32_precision = before


# --- allocator, optimiser, layout -------------------------------------------------------------------------------------


def test_malloc_is_tuned_on_glibc_as_often_as_asked_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    if speed.platform.libc_ver()[0] == "glibc":
        assert speed.tune_malloc()
        assert speed.tune_malloc()
    monkeypatch.setattr(speed.platform, "libc_ver", lambda: ("", ""))
    assert not speed.tune_malloc()


def test_malloc_that_refuses_a_value_is_not_reported_as_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed.platform, "libc_ver", lambda: ("glibc", "2.40"))
    monkeypatch.setattr(speed.ctypes, "CDLL", lambda _: SimpleNamespace(mallopt=lambda option, _: int(option != -1)))
    assert not speed.tune_malloc()


def test_fused_adam_takes_the_steps_of_the_plain_one() -> None:
    ends = []
    for fused in (False, True):
        weight = nn.Parameter(torch.linspace(-1, 1, 1000))
        optimiser = speed.adam([{"params": [weight], "lr": 1e-2}], fused)
        assert bool(optimiser.param_groups[0]["fused"]) == fused
        for _ in range(20):
            optimiser.zero_grad()
            (weight - 0.3).square().sum().backward()
            optimiser.step()
        ends.append(weight.detach())
    assert relative(ends[1], ends[0]) < 1e-6


@pytest.mark.parametrize("name", nets.NETS)
def test_convolutions_and_nothing_else_run_channels_last(name: str) -> None:
    with torch.random.fork_rng():
        encoder, _ = nets.build(name, (1, 16, 16), 2)
    wanted = torch.contiguous_format if name.startswith("mlp") else torch.channels_last
    assert speed.memory_format(encoder) == wanted


def test_channels_last_changes_no_output() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, _ = nets.build("higgins_h", (3, 32, 32), 5)
        x = torch.rand(8, 3, 32, 32)
    out, grads = encoder(x).detach(), gradients(encoder, x)
    encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = x.to(memory_format=torch.channels_last)
    assert relative(encoder(x).detach(), out) < 1e-5
    assert all(relative(a, b) < 1e-5 for a, b in zip(gradients(encoder, x), grads, strict=True))


# --- together ---------------------------------------------------------------------------------------------------------


def test_subnormal_numbers_are_flushed_inside_the_block_only() -> None:
    small = torch.full((8,), 1e-38)
    assert not speed.flushes_subnormals()
    with speed.flush_subnormals():
        assert speed.flushes_subnormals()
        assert (small * 0.1).count_nonzero() == 0
        with speed.flush_subnormals(enabled=False):
            assert not speed.flushes_subnormals()
        assert speed.flushes_subnormals()
    assert (small * 0.1).count_nonzero() == 8
    with pytest.raises(ValueError, match="stop"), speed.flush_subnormals():
        raise ValueError("stop")
    assert not speed.flushes_subnormals()


def test_fast_parts_flush_subnormal_numbers() -> None:
    for enabled in (True, False):
        with speed.fast_parts(enabled, 1):
            assert speed.flushes_subnormals() == enabled
    assert not speed.flushes_subnormals()


@pytest.mark.skipif(sys.platform != "linux", reason="threads inherit the mode on Linux")
def test_threads_that_torch_starts_in_the_block_flush_subnormal_numbers() -> None:
    program = """
import numpy, torch
from equipoise.training import speed
torch.set_num_threads(2)
small = torch.from_numpy(numpy.full(1 << 20, 1e-38, numpy.float32))
with speed.flush_subnormals():
    print(int((small * 0.1).count_nonzero()))
"""
    result = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert result.stdout == "0\n"


def test_fast_parts_say_what_is_on_and_restore_the_threads() -> None:
    before = torch.get_num_threads()
    with speed.fast_parts(True, before + 1) as parts:
        assert torch.get_num_threads() == parts["threads"] == before + 1
    assert torch.get_num_threads() == before
    assert json.loads(json.dumps(parts)) == parts
    assert parts["precision"] == "fp32"
    assert parts["processor"]
    assert parts["onednn"].startswith(("on: ", "off: "))


def test_fast_parts_that_are_off_touch_nothing(precision: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "tune_malloc", lambda: pytest.fail("the allocator was tuned"))
    before = precision.fp32_precision, torch.get_num_threads()
    with speed.fast_parts(False, None) as parts:
        assert (precision.fp32_precision, torch.get_num_threads()) == before
    assert (parts["malloc"], parts["onednn"]) == (False, "off")


def test_bf16_runs_with_a_warning_where_the_processor_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "has_bf16", lambda: False)
    with (
        pytest.warns(UserWarning, match=r"train\.precision is bf16, .* slower"),
        speed.fast_parts(True, 1, "bf16") as on,
    ):
        assert on["precision"] == "bf16"


@pytest.mark.parametrize("net", ["mlp_lvae", "locatello"])
def test_the_nets_compute_in_bf16_without_the_processors_help(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, decoder = nets.build(net, (1, 64, 64), 5)
        x = torch.rand(2, 1, 64, 64)
        with torch.autocast("cpu", torch.bfloat16):
            code = encoder(x)
            logits = decoder(code[:, :5])
        assert code.dtype == logits.dtype == torch.bfloat16
        logits.float().square().sum().backward()
        assert relative(logits.detach().float(), decoder(encoder(x)[:, :5]).detach()) < 0.1
