"""benchmarks/rates.py: what it measures, how it goes on, and the table."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parent.parent / "benchmarks" / "rates.py"


@pytest.fixture
def benchmark() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("rates", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_run_of_mr_vae_is_measured_at_every_beta(benchmark: ModuleType, squares: Callable[[], str]) -> None:
    settings = {"data": squares(), "net": "burgess", "train.batch": 8, "train.steps": 4, "train.threads": 1}
    seconds, points = benchmark.measure(settings | {"method": "mr-vae", "train.lr": 1e-2}, [0.1, 8.0])
    assert seconds > 0
    assert [point["beta"] for point in points] == [0.1, 8.0]
    assert points[0]["kl"] != points[1]["kl"]
    assert all(point["objective"] == point["rec"] + point["beta"] * point["kl"] for point in points)
    assert len(benchmark.measure(settings | {"method": "beta-vae", "method.beta": 8.0}, [8.0])[1]) == 1


def test_the_same_command_goes_on_where_it_was_stopped(
    benchmark: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def measure(settings: dict[str, object], betas: list[float]) -> tuple[float, list[dict[str, float]]]:
        calls.append(str(settings["method"]))
        if len(calls) == 3:
            raise KeyboardInterrupt
        factor = 1.1 if settings["method"] == "mr-vae" else 1.0
        seconds = 3.0 if settings["method"] == "mr-vae" else 2.0
        return seconds, [{"beta": b, "kl": factor * 10, "rec": 50.0, "objective": 50 + b * factor * 10} for b in betas]

    monkeypatch.setattr(benchmark, "measure", measure)
    words = ["--seeds", "1", "--betas", "1", "5", "--out", str(tmp_path / "rates.json")]
    monkeypatch.setattr(sys, "argv", ["rates.py", *words, "--figure", str(tmp_path / "rates.svg")])
    with pytest.raises(KeyboardInterrupt):
        benchmark.main()
    assert list(json.loads((tmp_path / "rates.json").read_text())["seeds"]["0"]) == ["mr-vae", "1"]
    benchmark.main()
    assert calls == ["mr-vae", "beta-vae", "beta-vae", "beta-vae"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["1", "10.00", "11.00", "+10.0%", "50.00", "50.00", "+0.0%", "+1.7%"]
    assert lines[2].split()[-1] == "+5.0%"
    assert "cost of mr-vae: 1.50 of one beta-vae; 1 seeds" in lines[3]
    assert (tmp_path / "rates.svg").exists()
