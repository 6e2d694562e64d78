"""A map of the codes: images that lie near each other have similar codes."""

from collections.abc import Sequence

import numpy as np

from equipoise.likelihoods import as_float
from equipoise.report import code_map as maps
from equipoise.report.figures.code_map import Colours, code_map_figure, spread_out
from equipoise.report.findings import Findings
from equipoise.report.latents import levels
from equipoise.report.sections.section import Picture
from equipoise.report.sentences import listing, one_of
from equipoise.scoring import Run

PANELS = 5  # factors of which there is a panel


def code_map(run: Run, findings: Findings) -> Sequence[Picture]:
    """Return the map by principal components; nothing for fewer than two active latents or three images."""
    if len(findings.active) < 2 or len(findings.codes) < 3:
        return []
    return [picture(run, findings, maps.arrange(findings.codes))]


def picture(run: Run, findings: Findings, code_map: maps.CodeMap) -> Picture:
    """Return a map with its colours: the factors that latents encode best or, where none is known, clusters."""
    if findings.factors:
        colours, note = _of_factors(run, findings, code_map), "Points are coloured by the factors."
    else:
        colours, note = _of_clusters(findings)
    pictures, count = None, len(code_map.points)
    if run.images.scaling is None:
        rows = spread_out(code_map.points)
        pictures = as_float(run.images.pixels(run.codes["index"][rows])).double().numpy()
    elif not colours:
        colours = [Colours("codes", np.zeros(count, np.int64), ("a row of the table",))]
    one = one_of(run)
    figure = code_map_figure(code_map.points, code_map.axes, pictures, colours)
    caption = f"A map of {count:,} {one}s. {one.capitalize()}s with similar codes are near each other. "
    caption += f"{code_map.summary} {note}"
    names = listing([colour.title for colour in colours])
    alt = f"A map of {count:,} codes" + (f", coloured by {names}." if names else ".")
    return Picture("code-map", figure, alt, caption)


def _of_factors(run: Run, findings: Findings, code_map: maps.CodeMap) -> list[Colours]:
    """Return the colours of the factors of which a latent explains most, in the order of the factors."""
    explained = {factor.name: float(factor.explained.max()) for factor in findings.factors}
    best = sorted(explained, key=explained.__getitem__, reverse=True)[:PANELS]
    columns = dict(zip(run.images.factor_names, run.codes["factors"].T, strict=True))
    colours = []
    for name in [name for name in explained if name in best]:
        values, words = columns[name], run.images.factor_values.get(name)
        # `levels` numbers the values that occur among the encoded images, which may be fewer than those with a name.
        names = [] if words is None else [words[value] for value in np.unique(values).astype(int)]
        colours.append(Colours(name, levels(values)[: len(code_map.points)], names))
    return colours


def _of_clusters(findings: Findings) -> tuple[list[Colours], str]:
    """Return the colours of the clusters, none where there are no clusters, and a sentence on them."""
    result = maps.clusters(maps.select_latents(findings.codes)[0])
    sizes = np.bincount(result.labels)
    if len(sizes) == 1:
        return [], f"The codes have no clusters (silhouette {result.silhouette:.2f}, below {maps.CLEAR:g})."
    names = [f"{number + 1} ({size:,})" for number, size in enumerate(sizes)]
    note = f"Points are coloured by {len(sizes)} clusters of k-means (silhouette {result.silhouette:.2f})."
    return [Colours("clusters", result.labels, names, scale="dark: largest, light: smallest")], note
