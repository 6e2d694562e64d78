"""benchmarks/time_figure.py: every seed and the median are drawn, for each data set and score."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILE = Path(__file__).parent.parent / "benchmarks" / "time_figure.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("time_figure", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(script: ModuleType, method: str, data: str, *migs: float) -> dict[str, Any]:
    """Return an entry with a seed of two points for each MIG at the end; the median is that of the first seed."""
    seeds = {
        str(seed): [
            {"cpu_seconds": 10.0 * (step + 1), "images": 64.0 * (step + 1), **dict.fromkeys(script.SCORES, mig * step)}
            for step in range(2)
        ]
        for seed, mig in enumerate(migs)
    }
    return {"method": method, "settings": {"data.name": data}, "seeds": seeds, "median": seeds.get("0")}


def test_seeds_and_medians_are_drawn_for_each_data_set(script: ModuleType) -> None:
    results = [
        entry(script, "aligned-vae", "dsprites", 0.3, 0.5),
        entry(script, "beta-vae", "dsprites", 0.1),
        entry(script, "aligned-vae", "rooms3d", 0.6),
        entry(script, "beta-vae", "rooms3d"),  # no seed yet
    ]
    figure = script.draw(results, "images")
    assert [axes.get_title(loc="left") for axes in figure.axes][::3] == ["MIG, dsprites", "MIG, rooms3d"]
    lines = figure.axes[0].lines
    assert [list(line.get_xdata()) for line in lines] == [[64.0, 128.0]] * 5
    assert [line.get_ydata()[1] for line in lines] == [0.3, 0.5, 0.3, 0.1, 0.1]
    assert [line.get_linewidth() for line in lines] == [0.7, 0.7, 2, 0.7, 2]
    assert len(figure.axes[3].lines) == 2
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["aligned-vae, median of 2", "beta-vae, median of 1", "aligned-vae, median of 1"]


def test_the_command_joins_files(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "ours.json", tmp_path / "peers.json"]
    for file, method in zip(files, ("aligned-vae", "pythae beta-vae"), strict=True):
        file.write_text(json.dumps({"results": [entry(script, method, "dsprites", 0.2)]}))
    picture = tmp_path / "figure.svg"
    monkeypatch.setattr("sys.argv", ["script", *map(str, files), "--to", str(picture)])
    script.main()
    assert "<svg" in picture.read_text(encoding="utf-8")
