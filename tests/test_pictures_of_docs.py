"""The pictures of README, home page and tutorial are those of the demo's run, with its captions: no training."""

import importlib.util
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import equipoise as eq
from equipoise.methods import METHODS
from equipoise.report.figures.animation import traversal_gif

ROOT = Path(__file__).parent.parent
MANIFEST: Any = {
    "latents": [{"index": 6, "factor": "pos_x"}, {"index": 1, "factor": "pos_y"}, {"index": 2, "factor": None}],
    "scores": {"mig": 0.39862, "sap": 0.58771},
}


def module(name: str) -> ModuleType:
    """A script of benchmarks/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return module("pictures")


def test_pictures_and_captions_are_current(script: ModuleType) -> None:
    assert script.changes(ROOT) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("![Rows: z6 moves in x, z1 in y](images/traversals.png)", []),
        ("![A row](docs/images/traversals.gif)\n\n*z6, z1 follow, at MIG .40.*", []),
        (
            "![Rows: z1 moves in x, z6 in y](images/traversals.png)",
            ["names z1, z6 under a picture of z6, z1"],  # in another order
        ),
        (
            "![A row](docs/images/traversals.gif)\n\n*z6 and z2, MIG .36.*",
            ["names z6, z2 under a picture of z6, z1", "has MIG .36; the run has 0.3986"],
        ),
        ("z6 follows `pos_x`", []),
        ("z1 follows `pos_x`", ["has z1 follow pos_x; in the run it follows pos_y"]),
        ("z2 follows `scale`", ["has z2 follow scale; in the run it follows no factor"]),
        ("  mig     0.3986   [0.3890, 0.4082]\n  sap     0.5870   [0.5, 0.6]", ["has sap 0.5870; the run has 0.5877"]),
    ],
)
def test_captions_are_compared_with_the_run(script: ModuleType, text: str, expected: list[str]) -> None:
    assert script.caption_changes(text, MANIFEST) == expected


def test_other_settings_nets_layouts_and_pictures_are_named(
    script: ModuleType, squares: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {"evaluate.which": ["sse"]}
    monkeypatch.setattr(script, "PICTURES", {name: name for name in ("traversals.png", "traversals.gif")})
    run = eq.train(squares(), method="beta-vae", net="burgess", steps=2, out=tmp_path / "run", settings=scores)
    for folder in ("examples", "docs/images", "docs/assets"):
        (tmp_path / folder).mkdir(parents=True)
    for page in script.PAGES:
        (tmp_path / page).write_text("")
    demo = tmp_path / script.SETTINGS
    shutil.copy(run.path / "config.toml", demo)
    script.draw(tmp_path, run.path)
    assert script.changes(tmp_path) == []

    settings = demo.read_text()
    demo.write_text(settings.replace("beta = 4.0", "beta = 5.0"))
    (sentence,) = script.changes(tmp_path)
    assert "defaults or the nets have changed" in sentence
    demo.write_text(settings)

    picture = tmp_path / "docs/images/traversals.png"
    picture.write_bytes(b"another")
    (sentence,) = script.changes(tmp_path)
    assert "docs/images/traversals.png is not the picture of the run" in sentence
    shutil.copy(run.path / "pictures" / "traversals.png", picture)

    drawn = script.traversal_figure
    monkeypatch.setattr(script, "traversal_figure", lambda model, code, latents, _: drawn(model, code, latents, "info"))
    (sentence,) = script.changes(tmp_path)
    assert "the layout of the pictures has changed" in sentence


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_small_pictures_on_its_page_and_in_the_gallery(name: str) -> None:
    still, moving = (ROOT / "docs" / "images" / f"method-{name}.{suffix}" for suffix in ("png", "gif"))
    assert still.stat().st_size <= 40_000
    assert moving.stat().st_size <= 100_000
    page = (ROOT / "docs" / "methods" / f"{name}.md").read_text(encoding="utf-8")
    config = module("method_pictures").config(name)
    side = config.data.size
    caption = f"*Traversals after {config.train.steps:,} steps on dSprites at {side} x {side}, seed 0 of the board"
    assert f"](../images/{still.name})\n\n{caption}" in page
    gallery = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    assert f'src="images/{moving.name}"' in gallery
    assert f'srcset="images/{still.name}" media="(prefers-reduced-motion: reduce)"' in gallery
    assert f"[**{name}**](methods/{name}.md)" in gallery


def test_the_picture_of_a_method_shows_the_latents_with_the_most_information(
    squares: Callable[[], str], tmp_path: Path
) -> None:
    pictures = module("method_pictures")
    scores = {"evaluate.which": ["sse"]}
    run = eq.train(squares(), method="beta-vae", net="burgess", steps=2, out=tmp_path / "run", settings=scores)
    still, moving = pictures.draw(run, tmp_path, "beta-vae")
    chosen = pictures.traverse.choose(run, None, None, None, 2)
    first = chosen.latents[: pictures.ROWS]
    figure = pictures.png(run.traversals(latents=[latent.index for latent in first]), dpi=100)
    step = 255 / (pictures.GREYS - 1)  # between levels
    for path, whole in ((still, figure), (moving, traversal_gif(run.model, chosen.reference, first))):
        with Image.open(path) as drawn, Image.open(BytesIO(whole)) as full:
            greys, exact = (np.asarray(each.convert("L"), float) for each in (drawn, full))
        assert greys.shape == exact.shape
        assert np.abs(greys - exact).mean() < step / 4 + 1
