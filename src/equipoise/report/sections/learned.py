"""What the model learned: its latents as pictures, in numbers and in a table."""

from base64 import b64encode
from collections.abc import Sequence

import numpy as np

from equipoise.report.figures.animation import traversal_gif
from equipoise.report.figures.canvas import grid, tiles
from equipoise.report.figures.images import sweep, traversal_figure
from equipoise.report.figures.saving import data_url
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.latents import ACTIVE, Latent
from equipoise.report.remarks import remarks
from equipoise.report.sections.section import Block, File, Picture
from equipoise.report.sentences import latent_names
from equipoise.scoring import Run

STARTS = 4  # images from which the traversals of the page can start


def learned(run: Run, findings: Findings) -> Sequence[Block]:
    """Return the traversals as a picture and as an animation, the main numbers, the notes and the table of latents."""
    html = macros("report/sections/learned.html")
    latents, reference = findings.selection, findings.reference
    gif = traversal_gif(run.model, reference, latents)
    figure = traversal_figure(run.model, reference, latents, findings.measure)
    alt = f"A row of pictures for each of {latent_names(latents)}: in each, one latent goes from low to high."
    notes = [remark.sentence for remark in remarks(run, findings) if remark.flag is None]
    last = run.logs[-1] if run.logs else {}
    sse, unit = float(np.mean(run.codes["sse"])), run.model.likelihood.error_name
    starts = findings.examples(STARTS)
    page = html.traversals(
        findings,
        [f"image {number}" for number in run.codes["index"][starts].tolist()],
        [data_url(picture) for picture in tiles(run.images.pixels(run.codes["index"][starts]) / 255)],
        [_strips(run, findings, latent, starts) for latent in latents],
        "data:image/gif;base64," + b64encode(gif).decode(),
        alt,
        None if (run.path / "explorer.html").exists() else run.path,
    )
    return [
        Picture("traversals", figure, alt, html.caption(findings), page=page),
        File("traversals.gif", gif),
        html.body(findings, last, sse, ACTIVE, unit, notes),
    ]


def _strips(run: Run, findings: Findings, latent: Latent, starts: Sequence[int]) -> list[str]:
    """Return the pictures of a latent from low to high as one image for each start, as URLs."""
    sweeps = (sweep(run.model, findings.codes[row], latent) for row in starts)
    return [data_url(grid(pictures, columns=len(pictures))) for pictures in sweeps]
