"""What a run is like, in pictures, in sentences, and on one page."""

from equipoise.report.page import write
from equipoise.report.pictures import reconstructions, traversals
from equipoise.report.remarks import notes

__all__ = ["notes", "reconstructions", "traversals", "write"]
