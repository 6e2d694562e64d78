"""benchmarks/peers.py, as far as it goes without the other libraries: the clock, the nets, the file."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILE = Path(__file__).parent.parent / "benchmarks" / "peers.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("peers", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_training_is_scored_at_ten_points_of_its_cpu_time_and_stops(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5.0
    monkeypatch.setattr(script.time, "process_time", lambda: now)

    def score() -> dict[str, float]:
        nonlocal now
        now += 100  # does not count
        return {"mig": 0.5}

    clock = script.Clock(budget=20.0, score=score)
    for _ in range(39):
        now += 0.5
        clock.after_step(batch=64)
    now += 0.5
    with pytest.raises(script.Finished):
        clock.after_step(batch=64)
    assert [point["cpu_seconds"] for point in clock.points] == [2.0 * (n + 1) for n in range(10)]
    assert [point["images"] for point in clock.points] == [64 * 4 * (n + 1) for n in range(10)]


@pytest.mark.parametrize(("nets", "width"), [("convolutions", 128), ("perceptrons", 1200)])
def test_nets_take_and_give_images_of_64_pixels(script: ModuleType, nets: str, width: int) -> None:
    with torch.random.fork_rng(devices=[]):
        encoder, decoder = getattr(script, nets)()
    assert encoder(torch.zeros(2, 1, 64, 64)).shape == (2, width)
    assert decoder(torch.zeros(2, 10)).shape == (2, 1, 64, 64)


def test_the_same_command_goes_on_and_refuses_another_budget(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def fresh(peer: str, budget: float, seed: int, threads: int) -> list[dict[str, float]]:
        trained.append((peer, seed, threads))
        return [{"images": 8.0, "cpu_seconds": budget, "mig": 0.1 * (seed + 1)}]

    monkeypatch.setattr(script, "fresh", fresh)
    common = ["script", "--peer", "disent-beta-vae", "--out", str(tmp_path / "peers.json")]
    for seeds in ("1", "3", "3"):
        monkeypatch.setattr("sys.argv", [*common, "--seeds", seeds])
        script.main()
    assert trained == [("disent-beta-vae", seed, 1) for seed in range(3)]
    (entry,) = json.loads((tmp_path / "peers.json").read_text())["results"]
    assert entry["median"][0]["mig"] == pytest.approx(0.2)
    monkeypatch.setattr("sys.argv", [*common, "--budget", "60"])
    with pytest.raises(SystemExit):
        script.main()
