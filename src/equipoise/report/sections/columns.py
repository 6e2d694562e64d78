"""The columns of vectors: their scaling, and how much of each the latents explain."""

from collections.abc import Sequence

import numpy as np
import torch

from equipoise.report.findings import Findings
from equipoise.report.html import macros
from equipoise.report.sections.section import Block
from equipoise.scoring import Run

ROWS = 1000  # vectors over which the shares are computed
MOST = 40  # columns in the table


def columns(run: Run, findings: Findings) -> Sequence[Block]:
    """Return a table of the columns of vectors, the least explained first if there are many; nothing for images."""
    scaling = run.model.scaling
    if scaling is None:
        return []
    count = min(ROWS, len(findings.codes))
    values = run.images.pixels(run.codes["index"][:count]).reshape(count, -1).astype(np.float64)
    codes = findings.codes[:count]
    decoded = run.model.decode(torch.from_numpy(codes)).numpy().reshape(count, -1)
    variance = np.maximum(values.var(axis=0), np.finfo(float).tiny)
    share = 1 - np.square(values - decoded).mean(axis=0) / variance
    deviations = np.maximum(codes.std(axis=0), np.finfo(float).tiny)
    products = (codes - codes.mean(axis=0)).T @ (values - values.mean(axis=0)) / count
    correlation = products / deviations[:, None] / np.sqrt(variance)
    active = [latent.index for latent in findings.active]
    rows = []
    for j in range(len(scaling.names)) if len(scaling.names) <= MOST else np.argsort(share)[:MOST]:
        latent = max(active, key=lambda k: abs(correlation[k, j]), default=None)
        strength = None if latent is None else float(correlation[latent, j])
        numbers = (float(scaling.offset[j]), float(scaling.unit[j]), max(0.0, float(share[j])))
        rows.append((scaling.names[j], *numbers, latent, strength))
    return [macros("report/sections/columns.html").body(rows, scaling.kind, len(scaling.names), count)]
