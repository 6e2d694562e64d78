"""The report of a run: its findings, figures, sections and page."""

from equipoise.report.figures.animation import animation
from equipoise.report.figures.curves import training_curves
from equipoise.report.figures.images import reconstructions, samples, traversals
from equipoise.report.figures.information import information_map
from equipoise.report.figures.latents_vs_factors import latents_vs_factors
from equipoise.report.figures.tradeoff import tradeoff
from equipoise.report.page import write
from equipoise.report.remarks import flags, notes
from equipoise.report.sections import SECTIONS, Picture, Section

__all__ = [
    "SECTIONS",
    "Picture",
    "Section",
    "animation",
    "flags",
    "information_map",
    "latents_vs_factors",
    "notes",
    "reconstructions",
    "samples",
    "tradeoff",
    "training_curves",
    "traversals",
    "write",
]
