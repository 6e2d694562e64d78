"""Drawing: the colours that all figures share, PNG and SVG files, and one module for each kind of figure."""

from equipoise.report.figures.saving import png, svg, svg_file
from equipoise.report.figures.style import BLUE, CYCLE, INK, LINE, MUTED, ORANGE, SHADES, THEME, plain, short

__all__ = [
    "BLUE",
    "CYCLE",
    "INK",
    "LINE",
    "MUTED",
    "ORANGE",
    "SHADES",
    "THEME",
    "plain",
    "png",
    "short",
    "svg",
    "svg_file",
]
