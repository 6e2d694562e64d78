"""What the model learned: its latents as pictures, in numbers and in a table."""

from collections.abc import Sequence

import numpy as np

from equipoise.report.figures.animation import traversal_gif
from equipoise.report.figures.images import traversal_figure
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.latents import ACTIVE
from equipoise.report.remarks import remarks
from equipoise.report.sections.section import Block, File, Picture
from equipoise.report.sentences import latent_names
from equipoise.scoring import Run


def learned(run: Run, findings: Findings) -> Sequence[Block]:
    """Return the traversals as a picture and as an animation, the main numbers, the notes and the table of latents."""
    html = macros("report/sections/learned.html")
    latents, reference = findings.selection, findings.reference
    figure = traversal_figure(run.model, reference, latents, findings.measure)
    alt = f"A row of pictures for each of {latent_names(latents)}: in each, one latent goes from low to high."
    notes = [remark.sentence for remark in remarks(run, findings) if remark.flag is None]
    last = run.logs[-1] if run.logs else {}
    sse, unit = float(np.mean(run.codes["sse"])), run.model.likelihood.error_name
    return [
        Picture("traversals", figure, alt, html.caption(findings)),
        File("traversals.gif", traversal_gif(run.model, reference, latents)),
        html.body(findings, last, sse, ACTIVE, unit, notes),
    ]
