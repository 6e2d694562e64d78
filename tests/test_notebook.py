"""What a notebook shows of runs, images, scores and studies."""

from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import equipoise as eq
from equipoise import study
from equipoise.data.sheet import LINE

SETTINGS: dict[str, Any] = {"train.batch": 16, "net.latent": 3, "train.threads": 1, "evaluate.which": ["mig", "sse"]}


def picture(html: str) -> Image.Image:
    """The picture in a part of a page."""
    return Image.open(BytesIO(b64decode(html.partition("base64,")[2].partition('"')[0])))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_show_the_first_sixteen_in_order(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, channels, 8, 8), dtype=np.uint8)
    html = eq.Images(pixels, name="<toy>")._repr_html_()
    assert html.startswith(f"<p>Images(&lt;toy&gt;: 20 of ({channels}, 8, 8), factors: none)</p><img ")
    drawn = np.asarray(picture(html).convert("RGB"))
    side = 64 + LINE  # images of 8 pixels are drawn eight times as large
    assert drawn.shape == (4 * side - LINE, 4 * side - LINE, 3)
    expected = np.broadcast_to(np.rint(pixels[6].mean(0)) if channels == 2 else pixels[6], (3, 8, 8))
    shown = drawn[side : side + 64, 2 * side : 2 * side + 64]
    assert np.array_equal(shown, expected.transpose(1, 2, 0).repeat(8, axis=0).repeat(8, axis=1))
    assert (drawn[64:side] == 255).all()


def test_a_score_is_a_row_with_its_interval() -> None:
    html = eq.metrics.Score(0.25, low=0.2, high=0.3, n=100)._repr_html_()
    assert "<td>0.25</td><td>0.2</td><td>0.3</td><td>–</td>" in html
    assert html.endswith("<td>100</td></tr></tbody></table>")


@pytest.mark.filterwarnings("ignore::equipoise.metrics.ScoreWarning")
def test_a_run_shows_its_scores_and_traversals(squares: Callable[[], str], tmp_path: Path) -> None:
    run = eq.train(squares(), "vae", net="burgess", steps=2, out=tmp_path / "<run>", settings=SETTINGS, progress=False)
    assert repr(run) == f"Run({run.path}: vae on {run.config.data.name}, 2 steps)"
    html = eq.open_run(run.path)._repr_html_()
    assert html.startswith("<p>vae on ")
    assert "&lt;run&gt;" in html
    assert "<td>mig</td>" in html
    assert picture(html).size == tuple(int(100 * inches) for inches in run.traversals().get_size_inches())
    assert run.traversals()._repr_png_()[:4] == b"\x89PNG"
    (run.path / "codes.npz").unlink()
    (run.path / "scores.json").unlink()
    assert "not encoded yet" in eq.open_run(run.path)._repr_html_()


def test_a_study_lists_its_runs_with_what_varies(tmp_path: Path) -> None:
    file = tmp_path / "betas.toml"
    file.write_text(
        f'out = "{tmp_path.as_posix()}/s"\nseeds = 20\n'
        '[data]\nname = "dsprites"\n[method]\nname = "beta-vae"\nbeta = [1, 4]\n'
    )
    html = study.read(file)._repr_html_()
    assert "40 runs in " in html
    assert "<th>method.beta</th>" in html
    assert html.count("<td>no</td>") == 30
    assert html.endswith("<p>and 10 more runs</p>")
