"""What the model learned: its latents as pictures, in numbers and in a table."""

from base64 import b64encode
from collections.abc import Sequence

import numpy as np

from equipoise.report.figures.animation import traversal_gif
from equipoise.report.figures.canvas import grid, tiles
from equipoise.report.figures.images import sweep, traversal_figure
from equipoise.report.figures.saving import data_url, svg
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.latents import ACTIVE
from equipoise.report.remarks import remarks
from equipoise.report.sections.section import Block, File, Picture
from equipoise.report.sentences import latent_names
from equipoise.scoring import Run

STARTS = 4  # images from which the traversals of the page can start


def learned(run: Run, findings: Findings) -> Sequence[Block]:
    """Return the traversals as a picture and as an animation, the main numbers, the notes and the table of latents."""
    html = macros("report/sections/learned.html")
    latents, is_vector = findings.selection, run.model.scaling is not None
    starts, strips = ([findings.examples(1)[0]], []) if is_vector else _starts(run, findings)
    reference = findings.codes[starts[0]]
    gif = traversal_gif(run.model, reference, latents)
    figure = traversal_figure(run.model, reference, latents, findings.measure)
    element = "panel of curves or bars" if is_vector else "row of pictures"
    alt = f"A {element} for each of {latent_names(latents)}: in each, one latent goes from low to high."
    notes = [remark.sentence for remark in remarks(run, findings) if remark.flag is None]
    last = run.logs[-1] if run.logs else {}
    sse, unit = float(np.mean(run.codes["sse"])), run.model.likelihood.error_name
    motion = "data:image/gif;base64," + b64encode(gif).decode()
    folder = None if (run.results / "explorer.html").exists() else run.path
    if is_vector:
        page = html.curves(motion, alt, folder, svg(figure, "traversals", alt))
    else:
        names = [f"image {number}" for number in run.codes["index"][starts].tolist()]
        pictures = [data_url(picture) for picture in tiles(run.images.pixels(run.codes["index"][starts]) / 255)]
        page = html.traversals(findings, names, pictures, strips, motion, alt, folder)
    return [
        Picture("traversals", figure, alt, html.caption(findings, is_vector), page=page),
        File("traversals.gif", gif),
        html.body(findings, last, sse, ACTIVE, unit, notes, is_vector),
    ]


def _starts(run: Run, findings: Findings) -> tuple[list[int], list[list[str]]]:
    """Return the rows of the codes from which traversals start, and for each latent its pictures from each start.

    The first start is the one with the largest effects: each effect is the mean standard deviation of a pixel, relative
    to the largest one of that latent. A small object in the colour of its background would show nothing.
    """
    rows = findings.examples(STARTS)
    sweeps = [[sweep(run.model, findings.codes[row], latent) for row in rows] for latent in findings.selection]
    effects = np.array([[pictures.std(axis=0).mean() for pictures in each] for each in sweeps]).reshape(-1, len(rows))
    relative = effects / np.maximum(effects.max(axis=1, keepdims=True), np.finfo(float).tiny)
    order = sorted(range(len(rows)), key=lambda at: at != relative.sum(axis=0).argmax())
    strips = [[data_url(grid(each[at], columns=len(each[at]))) for at in order] for each in sweeps]
    return [rows[at] for at in order], strips
