"""Latents against factors: mean codes over the factors, and the mutual information of the two."""

from collections.abc import Sequence

import numpy as np

from equipoise.report.figures.information import information_map
from equipoise.report.figures.latents_vs_factors import Arrangement, arrange, mean_code_figure
from equipoise.report.findings import Findings
from equipoise.report.html import fragment
from equipoise.report.latents import Information
from equipoise.report.sections.section import Block, Picture
from equipoise.report.sentences import latent_names, listing
from equipoise.scoring import Run


def factors(run: Run, findings: Findings) -> Sequence[Block]:
    """Return the pictures of the active latents over the known factors, and the table of factors."""
    if not findings.factors or not findings.active:
        return []
    latents, indices = findings.selection, [latent.index for latent in findings.selection]
    figure = mean_code_figure(findings.codes, run.codes["factors"], run.images.factor_names, findings.factors, latents)
    blocks: list[Block] = [
        Picture(
            "latents-vs-factors",
            figure,
            alt=f"Mean codes of {latent_names(latents)} over {listing([one.name for one in findings.factors])}.",
            caption=_caption(arrange(findings.factors, indices)),
        )
    ]
    if findings.information is not None:
        blocks += [
            Picture(
                "information",
                information_map(findings.information.matrix, findings.information.names, indices),
                alt=_largest(findings.information, len(latents)),
                caption="Mutual information of each factor and each latent. A disentangled code has one dark cell in "
                "every row and at most one in every column.",
            ),
            fragment("sections/factors.html", information=findings.information),
        ]
    return blocks


def _caption(arrangement: Arrangement) -> str:
    sentences = ["The mean code of each latent over the factors, one row for each latent."]
    if arrangement.sides is not None:
        across, down = arrangement.sides
        sentences.append(
            f"The map shows {across} from left to right and {down} from top to bottom, blue for codes below 0 and red "
            "for codes above."
        )
    if arrangement.lines:
        colours = "" if arrangement.colours is None else f", with one line for each value of {arrangement.colours}"
        sentences.append(f"The plots show {', '.join(arrangement.lines)}{colours}.")
    sentences.append(
        "A strong frame marks the factor that the latent follows. A latent that encodes one factor alone changes with "
        "that factor and is flat, or white, for all others."
    )
    return " ".join(sentences)


def _largest(information: Information, latents: int) -> str:
    row, column = np.unravel_index(information.matrix.argmax(), information.matrix.shape)
    return (
        f"Mutual information of {len(information.names)} factors and {latents} latents. The largest value is "
        f"{information.matrix[row, column]:.2f} nats, of {information.names[row]} and z{column}."
    )
