"""Reconstructions of images, and samples from the prior."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from equipoise.report.figures import images as figures
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.sections.section import Block, Picture
from equipoise.scoring import Run

COUNT = 10  # reconstructions at evenly spaced ranks of the error, and as many of the worst


def reconstructions(run: Run, findings: Findings) -> Sequence[Block]:
    """Return reconstructions of ten typical images and of the ten worst; of fewer than twenty images, all of them."""
    sse, total = run.codes["sse"], len(findings.codes)
    is_vector = run.model.scaling is not None
    noun = "vectors" if is_vector else "images"
    by_error = np.argsort(sse, kind="stable")
    typical, worst, titles = by_error, by_error[:0], []
    if total >= 2 * COUNT:
        typical = by_error[(np.linspace(0.05, 0.95, COUNT) * (total - 1)).round().astype(int)]
        worst = by_error[::-1][:COUNT]
        titles = [
            f"{COUNT} {noun} at evenly spaced ranks of the error, smallest first",
            f"the {COUNT} worst of {total:,}",
        ]
    x = torch.from_numpy(run.images.pixels(run.codes["index"][np.concatenate([typical, worst])]))
    figure = figures.reconstructions(run.model, x, titles)
    subject = "Originals and reconstructions of" if is_vector else "Originals, reconstructions and differences of"
    alt = f"{subject} {noun} with squared errors of {_range(sse[typical])}"
    alt += f", and of the {COUNT} worst, {_range(sse[worst])}." if len(worst) else "."
    caption = macros("report/sections/images.html").reconstructions(len(typical), len(worst), total, is_vector)
    return [Picture("reconstructions", figure, alt, caption)]


def samples(run: Run, findings: Findings) -> Sequence[Block]:  # noqa: ARG001
    """Return pictures decoded from samples of the prior."""
    subject = "Pictures" if run.model.scaling is None else "Vectors"
    alt = f"{subject} decoded from samples of the prior, for a model of {Path(run.images.name).name}."
    caption = (
        f"{subject} decoded from random samples of the prior. They look like the data if the codes of the data are "
        "distributed like the prior."
    )
    return [Picture("samples", figures.samples(run.model), alt, caption)]


def _range(errors: Sequence[float]) -> str:
    return f"{min(errors):.1f} to {max(errors):.1f}"
