"""What a run is like, in pictures, in sentences, and on one page."""

from equipoise.report.page import write
from equipoise.report.pictures import reconstructions, traversals
from equipoise.report.remarks import flags, notes

__all__ = ["flags", "notes", "reconstructions", "traversals", "write"]
