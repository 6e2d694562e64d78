"""benchmarks/training.py, without measuring: which sides a case has, and what their ratios are."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("training_benchmark", FOLDER / "training.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


@pytest.fixture
def libraries(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Libraries that count as installed; the processor counts as one with bf16."""
    names: list[str] = []
    monkeypatch.setattr(script, "find_spec", lambda name: name if name in names else None)
    monkeypatch.setattr(script.speed, "has_bf16", lambda: True)
    return names


def test_peers_take_part_where_they_are_installed_and_only_in_their_cases(
    script: ModuleType, libraries: list[str]
) -> None:
    assert script.sides_of("mlp_lvae", 64, script.GREY) == ["plain", "fp32", "bf16", "dsprites"]
    libraries.append("disent")
    assert script.sides_of("mlp_lvae", 64, script.GREY) == ["plain", "fp32", "bf16", "dsprites", "disent"]
    assert script.sides_of("mlp_lvae", 256, script.GREY) == ["plain", "fp32", "bf16", "dsprites"]


def test_the_colour_case_has_no_images_of_dsprites(script: ModuleType, libraries: list[str]) -> None:
    libraries.extend(["pythae", "disent"])
    assert script.sides_of("locatello", 64, script.COLOUR) == ["plain", "fp32", "bf16"]


@pytest.mark.usefixtures("libraries")
def test_a_processor_without_bf16_leaves_that_side_out(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.speed, "has_bf16", lambda: False)
    assert script.sides_of("higgins_h", 64, script.GREY) == ["plain", "fp32", "dsprites"]


def test_ratios_are_medians_of_rounds_and_those_of_peers_are_how_many_times_as_fast_equipoise_is(
    script: ModuleType,
) -> None:
    rates = {"plain": (100, 50, 80), "fp32": (150, 150, 160), "dsprites": (135, 150, 144), "pythae": (45, 75, 36)}
    taken = {side: [{"images_per_second": float(rate)} for rate in each] for side, each in rates.items()}
    assert script.ratio(taken, "plain") == 1
    assert script.ratio(taken, "fp32") == 2  # 1.5, 3, 2
    assert script.ratio(taken, "dsprites") == 0.9  # 0.9, 1, 0.9
    assert script.ratio(taken, "pythae") == 3  # 3, 2, 4


def test_batches_are_black_and_white_or_in_colour(script: ModuleType) -> None:
    grey, colour = (script.ready(2, shape)[0] for shape in (script.GREY, script.COLOUR))
    assert grey.shape == (2, 1, 64, 64)
    assert set(grey.unique().tolist()) == {0.0, 1.0}
    assert colour.shape == (2, 3, 128, 128)
    assert len(torch.unique(colour)) > 1000
