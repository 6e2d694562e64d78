"""benchmarks/journey.py: every stage is timed, and the stages add up to the whole."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parent.parent / "benchmarks" / "journey.py"


@pytest.fixture
def benchmark() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("journey", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_stage_counts_without_the_stages_that_it_calls(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 100, 10))
    monkeypatch.setattr(benchmark.time, "process_time", lambda: float(next(now)))

    class Program:
        def outer(self) -> str:
            return self.inner()

        def inner(self) -> str:
            return "done"

    stages = benchmark.Stages()
    stages.time("steps", Program, "outer")
    stages.time("encode", Program, "inner")
    assert Program().outer() == "done"
    assert stages.seconds["steps"] == 20.0, "from 0 to 30, without 10 to 20"
    assert stages.seconds["encode"] == 10.0


def test_a_journey_is_measured_in_a_process_of_its_own(
    benchmark: ModuleType, squares: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"data": squares(), "net": "burgess", "train.batch": 8, "evaluate.which": ["mig", "sse"]}
    monkeypatch.setitem(benchmark.JOURNEYS, "mlp", small)
    figures = benchmark.measure(["mlp"], steps=3, rounds=1, files=0, images=50)["mlp"]
    stages = [figures[stage] for stage in benchmark.STAGES]
    assert sum(stages) == pytest.approx(figures["outside"] + 3 * figures["step"])
    assert all(figures[stage] > 0 for stage in ("imports", "data", "nets", "steps", "encode", "scores", "report"))
    assert 0 < figures["of 2,000"] < 1
    assert "mlp" in benchmark.table({"mlp": figures})


def test_the_folder_is_drawn(benchmark: ModuleType, tmp_path: Path) -> None:
    benchmark.draw_folder(tmp_path / "images", 3)
    assert len(list((tmp_path / "images").glob("*.png"))) == 3
    help_text = subprocess.run([sys.executable, str(FILE), "--help"], capture_output=True, text=True, check=True).stdout
    assert "--journeys" in help_text
