"""benchmarks/time_to_disentangle.py: the points at which a training is scored, and the table."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parent.parent / "benchmarks" / "time_to_disentangle.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("time_to_disentangle", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_training_is_scored_at_equally_spaced_points(benchmark: ModuleType, squares: Callable[[], str]) -> None:
    settings = {
        "data": squares(),
        "method": "vae",
        "net": "burgess",
        "train.batch": 8,
        "train.steps": 6,
        "train.device": "cpu",
        "train.threads": 1,
    }
    points = benchmark.measure(settings, 2)
    assert [point["images"] for point in points] == [24, 48]
    assert 0 < points[0]["cpu_seconds"] < points[1]["cpu_seconds"]
    assert all(0 <= point[name] <= 1 for point in points for name in benchmark.SCORES)


def test_the_table_has_a_line_for_each_seed_and_the_median(benchmark: ModuleType) -> None:
    low, high = ({"images": 640, "cpu_seconds": 2.0, **dict.fromkeys(benchmark.SCORES, value)} for value in (0.2, 0.4))
    middle = {"images": 640, "cpu_seconds": 2.0, **dict.fromkeys(benchmark.SCORES, 0.3)}
    settings = {"data.name": "dsprites", "data.size": 32, "net.name": "small"}
    result = {"method": "vae", "settings": settings, "seeds": {"0": [low], "1": [high]}, "median": [middle]}
    title, _, *lines = benchmark.table(result).splitlines()
    assert title == "vae on dsprites, 32 pixels, small"
    assert [line.split() for line in lines] == [
        ["640", "2.0", "0", "0.200", "0.200", "0.200"],
        ["640", "2.0", "1", "0.400", "0.400", "0.400"],
        ["640", "2.0", "median", "0.300", "0.300", "0.300"],
    ]


def test_the_medians_are_of_all_seeds_at_a_point(benchmark: ModuleType) -> None:
    seeds = {str(seed): [{"mig": value}, {"mig": 2 * value}] for seed, value in enumerate((0.1, 0.5, 0.2))}
    assert benchmark.medians(seeds) == [{"mig": 0.2}, {"mig": 0.4}]


def test_the_same_command_goes_on_with_the_seeds_of_its_file(
    benchmark: ModuleType, squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def fresh(settings: dict[str, object], points: int) -> list[dict[str, float]]:
        trained.append(settings["train.seed"])
        return [{"images": 8.0, "cpu_seconds": 1.0, **dict.fromkeys(benchmark.SCORES, 0.5)}] * points

    monkeypatch.setattr(benchmark, "fresh", fresh)
    out, data = tmp_path / "times.json", squares()
    common = ["script", "--method", "vae", "--data", data, "--images", "64", "--points", "1", "--threads", "1"]
    for seeds in ("1", "3", "3"):
        monkeypatch.setattr("sys.argv", [*common, "--out", str(out), "--seeds", seeds])
        benchmark.main()
    assert trained == [0, 1, 2]
    (entry,) = json.loads(out.read_text())["results"]
    assert sorted(entry["seeds"]) == ["0", "1", "2"]
