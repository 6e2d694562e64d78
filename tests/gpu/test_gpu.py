"""What needs a GPU: `make gpu` runs it there. The same tests run on the CPU, as far as they can."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import DEVICES, SHAPE, SMALL, deterministic, images
from torch.overrides import TorchFunctionMode

from equipoise import config as configuration
from equipoise import runs
from equipoise.assemble import build
from equipoise.methods import METHODS
from equipoise.training import checkpoint, speed
from equipoise.training.loop import Stopped, Training

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
STEPS, BATCH = 10, 16


class SameNoise(TorchFunctionMode):
    """Random numbers are drawn on the CPU and in double precision, so that they are the same on every device."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if function not in (torch.randn, torch.rand, torch.randint):
            return function(*args, **options)
        device, dtype = options.pop("device", None), options.pop("dtype", None)
        if function is torch.randint:
            return function(*args, **options).to(device)
        return function(*args, dtype=torch.float64, **options).to(device, dtype or torch.float32)


def trained(device: str, dtype: torch.dtype, settings: dict[str, object]) -> tuple[Training, list[torch.Tensor]]:
    """Return a training after ten steps, and the values that each step logged."""
    size = {"net.latent": SHAPE.latent, "train.batch": BATCH, "train.steps": STEPS, "train.lr": 1e-3}
    config = configuration.resolve({"data": "array", **size, **settings})
    model, objective = build(config, SHAPE.image, SHAPE.images)
    training = Training(model.to(dtype), objective.to(dtype), config.train, torch.device(device))
    training.generator = torch.Generator()
    model.train()
    objective.train()
    with SameNoise():
        for step in range(STEPS):
            x, second = (images(BATCH, seed=10 * step + stream, dtype=dtype) for stream in (0, 1))
            training.advance(x, second if objective.needs_second_batch else None)
    return training, [row.cpu() for row in training.pending]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
def test_ten_steps_of_a_method_equal_those_of_the_cpu_in_double_precision(method: str, device: str) -> None:
    own = {f"method.{key}": value for key, value in SMALL.get(method, {}).items()}
    settings = {"method": method, "net": "small", **own}
    expected, rows = trained("cpu", torch.float64, settings)
    found, others = trained(device, torch.float64, settings)
    assert {value.device.type for value in found.model.state_dict().values()} == {device}
    torch.testing.assert_close(torch.stack(others), torch.stack(rows), rtol=1e-5, atol=1e-5)
    for name, value in expected.model.state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[name].cpu(), value, rtol=1e-6, atol=1e-7, msg=name)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", ["l-vae", "factor-vae", "aligned-vae"])
def test_single_precision_is_close_to_double_precision_of_the_cpu(method: str, device: str) -> None:
    settings = {"method": method, "net": "small", **{f"method.{key}": v for key, v in SMALL.get(method, {}).items()}}
    rows, others = (
        torch.stack(trained(*where, settings)[1]) for where in (("cpu", torch.float64), (device, torch.float32))
    )
    torch.testing.assert_close(others, rows, rtol=2e-3, atol=2e-3)


def words(data: str, out: Path, device: str, seed: int = 0) -> dict[str, object]:
    small = {"train.batch": 8, "train.steps": 12, "train.log_every": 4, "train.checkpoint_every": 4, "train.threads": 1}
    run = {"data": data, "method": "l-vae", "net": "burgess", "net.latent": 3, "out": str(out), "evaluate.which": "sse"}
    return {**run, **small, "train.device": device, "train.seed": seed}


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.load(run / "checkpoint.pt")["model"]
    return state


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_that_was_interrupted_equals_one_that_was_not(
    device: str, squares: Callable[[], str], tmp_path: Path
) -> None:
    data, whole, broken = squares(), tmp_path / "whole", tmp_path / "broken"
    steps = iter(range(20))
    with deterministic():
        runs.execute(configuration.resolve(words(data, whole, device)), progress=False)
        config = configuration.resolve(words(data, broken, device))
        with pytest.raises(Stopped):
            runs.execute(config, progress=False, stop=lambda: next(steps) == 5)
        done = runs.execute(config, progress=False)
    assert done.logs[-1]["loss"] == runs.open_run(whole).logs[-1]["loss"]
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(broken)[name]), name
    for name, value in runs.open_run(whole).codes.items():
        assert name == "checkpoint" or (value == done.codes[name]).all(), name


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_two_processes_at_once_on_one_device_train_as_each_alone(
    device: str, squares: Callable[[], str], tmp_path: Path
) -> None:
    data = squares()
    command = [sys.executable, "-m", "equipoise", "train"]
    both = []
    for seed in (0, 1):
        settings = words(data, tmp_path / f"beside-{seed}", device, seed)
        both.append(subprocess.Popen([*command, *(f"{key}={value}" for key, value in settings.items())]))
    assert [process.wait() for process in both] == [0, 0]
    for seed in (0, 1):
        runs.execute(configuration.resolve(words(data, tmp_path / f"alone-{seed}", device, seed)), progress=False)
        for name, value in weights(tmp_path / f"alone-{seed}").items():
            assert torch.equal(value, weights(tmp_path / f"beside-{seed}")[name]), name


@pytest.mark.parametrize("device", DEVICES)
def test_the_benchmark_measures_each_side(
    device: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "has_bf16", lambda: True)  # no warning: a processor without bf16 emulates it
    spec = importlib.util.spec_from_file_location("gpu", BENCHMARK)
    assert spec
    assert spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    sides = [side for side in benchmark.SIDES if device == "cuda" or side != "compiled"]  # it takes a minute on a CPU
    rows = benchmark.measure_all(torch.device(device), [("burgess", 8)], sides, rounds=1, steps=2)
    assert [row["side"] for row in rows] == sides
    assert all(row["images_per_second"] > 0 for row in rows)
    assert rows[0]["ratio"] == 1.0
    print(benchmark.table(rows))
    assert "burgess" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_the_benchmark_ends_with_a_sentence() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(BENCHMARK)], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout == "There is no GPU that torch can use, so nothing was measured; --device cpu measures the CPU.\n"
    )
