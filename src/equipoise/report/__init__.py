"""What a run is like, in pictures, in sentences, and on one page."""

from equipoise.report.animation import animation
from equipoise.report.curves import training_curves
from equipoise.report.figures import information_map
from equipoise.report.page import write
from equipoise.report.pictures import reconstructions, samples, traversals
from equipoise.report.remarks import flags, notes
from equipoise.report.tradeoff import tradeoff
from equipoise.report.versus import latents_vs_factors

__all__ = [
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
