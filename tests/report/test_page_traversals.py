"""The traversals at the top of the page of a run: their order, the image that they start from, the explorer."""

import itertools
from base64 import b64decode
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.report.explored import explored
from tests.report.test_page import Reader

from equipoise import report
from equipoise.report.explorer import write as write_explorer
from equipoise.report.figures.canvas import grid
from equipoise.report.figures.images import sweep
from equipoise.report.findings import analyse
from equipoise.report.latents import typical_row
from equipoise.report.sections.learned import STARTS

Make = Callable[..., Any]
learned: Any = import_module("equipoise.report.sections.learned")  # the package has a function of this name


@pytest.fixture(scope="module")
def run(make: Make) -> Any:
    """A run with its page written, for tests that only read it."""
    run = make(folder="traversals")
    report.write(run)
    return run


def test_the_first_picture_comes_first_then_warnings_then_notes(run: Any) -> None:
    page = (run.path / "report.html").read_text(encoding="utf-8")
    counted = page.index('href="#warnings">1 warning<')
    motion, strips = page.index("image/gif"), page.index("strip strip-0")
    warning, figure, note = (
        page.index(part) for part in ("have not converged", "Figure 1.", "2 of 4 latents are unused")
    )
    assert counted < motion < strips < figure < warning < note
    assert page.index("<details>") < page.index("Method l-vae") < page.index("</details>") < motion


def test_the_image_with_the_largest_effects_comes_first(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = analyse(run)
    rows = found.examples(STARTS)
    calls = itertools.count()

    def changing(_: Any, code: np.ndarray, latent: Any) -> np.ndarray:
        row = next(calls) % STARTS
        assert np.array_equal(code, found.codes[rows[row]])
        # The other latents have small effects everywhere, so that only their ratio counts.
        size = (0.1, 0.2, 0.9, 0.3)[row] * (1 if latent is found.selection[0] else 1e-3)
        return np.linspace(0, size, 11)[:, None, None, None] * np.ones((11, 1, 4, 4))

    monkeypatch.setattr(learned, "sweep", changing)
    starts, strips = learned._starts(run, found)
    assert starts == [rows[2], rows[0], rows[1], rows[3]]
    assert [len(each) for each in strips] == [STARTS] * len(found.selection)
    monkeypatch.setattr(learned, "sweep", lambda *_: np.zeros((11, 1, 4, 4)))
    assert learned._starts(run, found)[0] == rows, "without any effect, the typical image"


def test_the_caption_calls_the_first_image_the_one_with_the_largest_effects(run: Any) -> None:
    text = " ".join(Reader(run.path / "report.html").text.split())
    assert "The first image is the one on which the latents have the largest effects." in text
    assert "typical" not in text, "the typical image is among the four, at any place"


def test_traversals_start_from_the_image_that_the_reader_chooses(run: Any) -> None:
    read = Reader(run.path / "report.html")
    found = analyse(run)
    rows = found.examples(STARTS)
    assert rows[0] == typical_row(found.codes)
    assert len(set(rows)) == STARTS
    assert read.attributes.count(("name", "start")) == STARTS
    assert read.attributes.count(("checked", "checked")) == 1
    sources = [value for name, value in read.attributes if name == "src"][1 + STARTS :]
    for number, latent in enumerate(found.selection):
        for place, row in enumerate(rows):
            content = b64decode(sources[number * STARTS + place].removeprefix("data:image/png;base64,"))
            with Image.open(BytesIO(content)) as picture:
                expected = grid(sweep(run.model, found.codes[row], latent), columns=11)
                np.testing.assert_array_equal(np.asarray(picture), expected)


def test_the_page_names_the_command_of_the_explorer_until_there_is_one(make: Make) -> None:
    run = explored(make)
    page = report.write(run)
    assert f"equipoise explore {run.path}" in Reader(page).text
    assert ("href", "explorer.html") not in Reader(page).attributes
    explorer = write_explorer(run)
    assert ("href", "explorer.html") in Reader(page).attributes
    assert "equipoise explore" not in Reader(page).text
    assert 'href="report.html"' in explorer.read_text(encoding="utf-8")
