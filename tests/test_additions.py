"""A new part is one file and one line: a toy of each kind is added here and works everywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import equipoise as eq
from equipoise import report


def toy_section(run: Any, findings: Any) -> Sequence[Any]:
    """A histogram of the errors: what the file of a new section holds."""
    figure = Figure(figsize=(4, 2))
    figure.add_subplot().hist(run.codes["sse"])
    alt = f"A histogram of the squared errors of {len(findings.codes)} images."
    return [report.Picture("errors", figure, alt, caption="The squared errors of the images.", format="svg")]


def test_a_report_section_is_a_function_and_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report.page, "SECTIONS", report.SECTIONS.copy())
    report.page.SECTIONS.append(report.Section("errors", "Errors <of images>", toy_section))
    images = np.random.default_rng(0).integers(0, 256, (32, 1, 8, 8), dtype=np.uint8)
    settings = {"net.latent": 3, "train.batch": 8, "evaluate.which": ["sse"], "train.threads": 1}
    run = eq.train(images, "vae", net="burgess", steps=2, out=tmp_path / "run", settings=settings, progress=False)
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="errors">Errors &lt;of images&gt;</h2>' in page
    assert '<a href="#errors">Errors &lt;of images&gt;</a>' in page
    assert 'aria-label="A histogram of the squared errors of 32 images."' in page
    assert "</b> The squared errors of the images.</figcaption>" in page
    assert (run.path / "pictures" / "errors.svg").is_file()
