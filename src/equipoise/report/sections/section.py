"""Sections of the report and their contents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup
from matplotlib.figure import Figure

from equipoise.report.figures.saving import png, svg, svg_file
from equipoise.report.findings import Findings
from equipoise.scoring import Run


@dataclass(frozen=True)
class Picture:
    """A figure of the page, which is also saved as `pictures/<name>.<format>`."""

    name: str  # unique among the pictures of the report
    figure: Figure
    alt: str  # what the figure shows, for readers who do not see it
    caption: str
    format: Literal["png", "svg"] = "png"  # svg for lines
    page: Markup | None = None  # what the page shows in its place, for example pictures that fit any width

    @property
    def svg(self) -> Markup:
        """The figure as an element of the page."""
        return svg(self.figure, self.name, self.alt)

    @property
    def file(self) -> "File":
        """The figure as a file beside the page."""
        content = png(self.figure) if self.format == "png" else svg_file(self.figure, self.name)
        return File(f"{self.name}.{self.format}", content)


@dataclass(frozen=True)
class File:
    """A file that is saved in `pictures/` and does not appear on the page."""

    name: str
    content: bytes


Block = Picture | Markup | File


@dataclass(frozen=True)
class Section:
    """A section of the report.

    `blocks` is a function of a run and its findings that returns the contents in order: pictures, pieces of HTML as
    `Markup`, and files. A section without contents is left out.
    """

    anchor: str  # its id on the page
    title: str
    blocks: Callable[[Run, Findings], Sequence[Block]]
