"""The explorer inside a notebook."""

from dataclasses import dataclass
from pathlib import Path

from markupsafe import escape


@dataclass(frozen=True)
class Frame:
    """A page in a frame, for notebooks. The notebook contains the whole page, so it works without the file.

    Args:
        path: The page.
        height: The height of the frame, in pixels.
    """

    path: Path
    height: int

    def _repr_html_(self) -> str:
        """The frame with the page."""
        page = escape(self.path.read_text(encoding="utf-8"))
        style = f"width: 100%; height: {self.height}px; border: 0"
        return f'<iframe title="Equipoise explorer" style="{style}" srcdoc="{page}"></iframe>'
