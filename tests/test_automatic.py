"""Settings that are completed from images and machine: facts, reuse when a run is resumed, and whole small runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import equipoise as eq
from equipoise import automatic, choice
from equipoise.config import resolve
from equipoise.data import Images
from equipoise.errors import InputError
from equipoise.training import trial

FEW: dict[str, object] = {"train.steps": 3, "evaluate.which": "sse", "train.threads": 1}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 20 colour images of 40 x 48 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(20):
        Image.fromarray(rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The speeds that measurements return, in place of a trial: the last one is left when it is returned."""
    speeds = [1000.0]
    monkeypatch.setattr(automatic, "measure", lambda *_, **__: (1, speeds[-1]))
    return speeds


@pytest.mark.usefixtures("measured")
def test_a_folder_gets_its_choice_and_lines(photos: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    start = automatic.complete({"data": str(photos), "out": str(tmp_path / "run")}, show=lines.append)
    config = start.config
    assert (config.method.name, config.net.name, config.data.size, config.train.batch) == (
        "outline-vae",
        "small",
        32,
        20,
    )
    assert start.images is not None
    assert start.images[0].shape == (3, 32, 32)
    assert config.train.threads == 1
    assert len(lines) == 4
    assert "40 x 48" in lines[0]


@pytest.mark.usefixtures("measured")
def test_images_of_mixed_sizes_are_brought_to_one(photos: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 20, 3), np.uint8)).save(photos / "small.png")
    start = automatic.complete({"data": str(photos), "out": str(tmp_path / "run")})
    assert start.images is not None
    assert start.images[0].shape == (3, 32, 32)


@pytest.mark.usefixtures("measured")
def test_a_named_method_has_its_own_defaults(photos: Path) -> None:
    start = automatic.complete({"data": str(photos), "method": "beta-vae"})
    assert (start.config.data.size, start.config.net.name, start.config.train.steps) == (None, "locatello", 50_000)
    assert start.images is None


@pytest.mark.usefixtures("measured")
def test_a_budget_sets_the_steps_of_a_named_method_and_its_schedule(photos: Path) -> None:
    said = {"data": str(photos), "data.size": 32, "method": "l-vae", "method.preset": "paper_lvae"}
    start = automatic.complete(said, budget="40s")
    expected = int(1000 * 0.95 * 40 / 20)
    assert start.config.train.steps == start.config.train.schedule_steps == expected
    assert start.chosen["budget"] == "40s"


def test_a_resumed_run_keeps_its_steps_though_the_machine_is_slower(
    photos: Path, measured: list[float], tmp_path: Path
) -> None:
    said: dict[str, Any] = {"settings": {"evaluate.which": "sse", "train.batch": 4}, "out": tmp_path / "run"}
    measured.append(4.0)
    first = eq.train(str(photos), budget=10, progress=False, **said)
    measured.append(2.0)
    again = eq.train(str(photos), budget=10, progress=False, **said)
    assert first.config == again.config
    assert first.config.train.steps == 9
    assert again.meta["chosen"]["budget"] == 10
    measured.append(4.0)
    with pytest.raises(InputError, match="another out"):
        eq.train(str(photos), budget=20, progress=False, **said)


def test_the_default_folder_depends_on_what_was_asked_and_not_on_the_speed(photos: Path, measured: list[float]) -> None:
    first = automatic.complete({"data": str(photos)}, budget="10m").config
    measured.append(3000.0)
    second = automatic.complete({"data": str(photos)}, budget="10m").config
    other = automatic.complete({"data": str(photos)}, budget="20m").config
    assert first.train.steps != second.train.steps
    assert first.out == second.out != other.out


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"train.steps": 5}, "leave one out"), ({"train.devices": 2}, "set train.steps")],
)
def test_a_budget_that_cannot_be_used_is_refused(photos: Path, settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        automatic.complete({"data": str(photos), **settings}, budget="10m")


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
def test_two_images_train_by_default(n: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (n, 20, 36, 3), dtype=np.uint8)
    run = eq.train(pixels, out=tmp_path / "run", settings=FEW, progress=False)
    assert run.config.train.batch == n
    assert run.images.shape == (3, 32, 32)
    assert run.codes["mean"].shape[0] == n


def test_an_array_is_resized_by_the_setting_and_reopened(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 24, 24), dtype=np.uint8)
    run = eq.train(pixels, "vae", net="small", out=tmp_path / "run", settings=FEW | {"data.size": 12}, progress=False)
    assert run.images.shape == run.model.shape == (1, 12, 12)
    with pytest.raises(InputError, match=r"data\.crop applies to image files"):
        eq.train(pixels, "vae", out=tmp_path / "other", settings=FEW | {"data.crop": 12}, progress=False)


@pytest.mark.parametrize("level", [0, 130])
def test_images_that_are_alike_are_named_before_the_training(
    level: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    eq.train(np.full((5, 16, 16), level, np.uint8), "vae", net="small", out=tmp_path / "run", settings=FEW)
    assert "The images are alike: all 5 of " in capsys.readouterr().err
    different = np.random.default_rng(0).integers(0, 256, (5, 16, 16), dtype=np.uint8)
    eq.train(different, "vae", net="small", out=tmp_path / "other", settings=FEW)
    assert "alike" not in capsys.readouterr().err


def test_black_and_white_is_read_from_the_pixels() -> None:
    rng = np.random.default_rng(0)
    sharp = (rng.random((30, 1, 8, 8)) > 0.5).astype(np.uint8) * 255
    grey = rng.integers(0, 256, (30, 1, 8, 8), dtype=np.uint8)
    assert automatic.is_black_and_white(Images(sharp, name="sharp"))
    assert not automatic.is_black_and_white(Images(grey, name="grey"))


def test_threads_are_doubled_while_each_doubling_pays() -> None:
    before = torch.get_num_threads()
    for speeds, most, expected in (
        ({1: 100.0, 2: 150.0, 4: 280.0, 8: 300.0}, 8, 4),
        ({1: 100.0, 2: 110.0}, 2, 1),
        ({1: 100.0}, 1, 1),
    ):
        assert trial.best_threads(lambda: speeds[torch.get_num_threads()], most) == expected  # noqa: B023
        assert torch.get_num_threads() == before


def test_the_trial_measures_the_speed_of_real_steps() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 1, 16, 16), dtype=np.uint8)
    images = Images(pixels, name="noise")
    config = resolve({"data": "dsprites", "method": "factor-vae", "net": "small", "train.batch": 4})
    threads, rate = automatic.measure(config, images)
    assert threads == 1
    assert rate is not None
    assert rate > 0
    assert choice.speed(choice.Facts(9, (1, 16, 16), images_per_second=rate)) < rate
