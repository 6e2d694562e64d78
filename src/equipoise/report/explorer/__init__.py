"""The explorer: a page that runs a trained model in the browser, with sliders, own images, blends and traversals."""

from equipoise.report.explorer.frame import Frame
from equipoise.report.explorer.page import write
from equipoise.report.explorer.serve import check_port, serve

__all__ = ["Frame", "check_port", "serve", "write"]
