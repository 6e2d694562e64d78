"""What the model learned: its latents as pictures, in numbers and in a table."""

from collections.abc import Sequence

import numpy as np

from equipoise.likelihoods import Bernoulli
from equipoise.report.figures.animation import traversal_gif
from equipoise.report.figures.images import traversal_figure
from equipoise.report.findings import Findings
from equipoise.report.html import fragment
from equipoise.report.latents import ACTIVE
from equipoise.report.remarks import remarks
from equipoise.report.sections.section import Block, File, Picture
from equipoise.report.sentences import latent_names
from equipoise.scoring import Run


def learned(run: Run, findings: Findings) -> Sequence[Block]:
    """Return the traversals as a picture and as an animation, the main numbers, the notes and the table of latents."""
    latents, reference = findings.selection, findings.reference
    return [
        Picture(
            "traversals",
            traversal_figure(run.model, reference, latents, findings.measure),
            alt=f"A row of pictures for each of {latent_names(latents)}: in each, one latent goes from low to high.",
            caption=_caption(findings),
        ),
        File("traversals.gif", traversal_gif(run.model, reference, latents)),
        fragment(
            "sections/learned.html",
            findings=findings,
            last=run.logs[-1] if run.logs else {},
            sse=float(np.mean(run.codes["sse"])),
            active_variance=ACTIVE,
            unit=unit(run),
            notes=[remark.sentence for remark in remarks(run, findings) if remark.flag is None],
        ),
    ]


def unit(run: Run) -> str:
    """Return the reconstruction error of which an equivalent weight counts one unit."""
    return "cross-entropy" if isinstance(run.model.likelihood, Bernoulli) else "squared error"


def _caption(findings: Findings) -> str:
    if findings.active:
        sentences = [
            "Each row varies one latent from the 5th to the 95th percentile of its codes. The other latents keep the "
            "code of one typical image, the one nearest the median code. The change along a row shows what the latent "
            "encodes."
        ]
    else:
        sentences = [
            f"No latent is active. The three latents with the largest {findings.measure} are varied by ±2 standard "
            "deviations of the prior."
        ]
    if findings.measure == "KL":
        sentences.append("Rows are sorted by the KL of the latent, in nats per image (1 nat is 1.44 bits).")
    else:
        sentences.append(
            "Rows are sorted by information (info), the nats that a latent encodes per image (1 nat is 1.44 bits). "
            "Under this prior a single latent has no KL of its own."
        )
    if findings.factors and findings.active:
        measure = (
            "the factor that explains most of its variance, because there is no score mig"
            if findings.information is None
            else "the factor with the largest mutual information (MI) relative to its entropy"
        )
        sentences.append(f"Bold: the factor that the latent follows, if any. It is {measure}.")
    if len(findings.active) > len(findings.selection):
        sentences.append(f"{len(findings.selection)} of {len(findings.active)} active latents are shown.")
    return " ".join(sentences)
