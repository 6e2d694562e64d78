"""A page on which a trained model is tried out: sliders, own images, blends, traversals, with the net inside."""

from equipoise.report.explorer.command import Then, explore
from equipoise.report.explorer.page import write
from equipoise.report.explorer.serve import PORT, serve

__all__ = ["PORT", "Then", "explore", "serve", "write"]
