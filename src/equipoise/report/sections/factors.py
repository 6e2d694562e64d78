"""Latents against factors: mean codes over the factors, and the mutual information of the two."""

from collections.abc import Sequence

import numpy as np

from equipoise.report.figures.information import information_map
from equipoise.report.figures.latents_vs_factors import arrange, mean_code_figure
from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.sections.section import Block, Picture
from equipoise.report.sentences import latent_names, listing
from equipoise.scoring import Run


def factors(run: Run, findings: Findings) -> Sequence[Block]:
    """Return the pictures of the active latents over the known factors, and the table of factors."""
    if not findings.factors or not findings.active:
        return []
    html = macros("report/sections/factors.html")
    latents, indices = findings.selection, [latent.index for latent in findings.selection]
    names = run.images.factor_names
    figure = mean_code_figure(
        findings.codes, run.codes["factors"], names, findings.factors, latents, run.images.factor_values
    )
    alt = f"Mean codes of {latent_names(latents)} over {listing([factor.name for factor in findings.factors])}."
    arrangement = arrange(findings.factors, indices)
    caption = html.codes(arrangement, listing(arrangement.lines))
    means = Picture("latents-vs-factors", figure, alt, caption)
    information = findings.information
    if information is None:
        return [means]
    row, column = np.unravel_index(information.matrix.argmax(), information.matrix.shape)
    alt = (
        f"Mutual information of {len(information.names)} factors and {len(latents)} latents. The largest value is "
        f"{information.matrix[row, column]:.2f} nats, of {information.names[row]} and z{column}."
    )
    caption = (
        "Mutual information of each factor and each latent. A disentangled code has one dark cell in every row and at "
        "most one in every column."
    )
    figure = information_map(information.matrix, information.names, indices)
    return [means, Picture("information", figure, alt, caption), html.body(information)]
