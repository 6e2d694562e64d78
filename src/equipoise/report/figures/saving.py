"""Figures as PNG files, as SVG files, and as SVG elements of a page."""

import re
import warnings
from base64 import b64encode
from collections.abc import Set
from functools import cache
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from equipoise.report.figures.style import PIXELS, THEME

DEFAULT_FONT = "DejaVu Sans"  # part of Matplotlib


def png(figure: Figure, dpi: int = 200) -> bytes:
    """Return the figure as a PNG file on white, with `dpi` pixels per inch."""
    file = BytesIO()
    _save(figure, file, format="png", dpi=dpi)
    return file.getvalue()


def data_url(picture: NDArray[np.uint8]) -> str:
    """Return a picture [h, w, 3 or 4] as the URL of a PNG file."""
    file = BytesIO()
    Image.fromarray(picture).save(file, "png", optimize=True)
    return "data:image/png;base64," + b64encode(file.getvalue()).decode()


def svg_file(figure: Figure, name: str) -> bytes:
    """Return the figure as an SVG file on white. The bytes are reproducible; `name` is a salt of the element ids."""
    return _svg(figure, name, transparent=False)


def svg(figure: Figure, name: str, alt: str = "") -> Markup:
    """Return the figure as an `<svg>` element in the colours of the page.

    `name` is unique on the page, and keeps the element ids apart from those of other figures. `alt` describes the
    figure to screen readers, which otherwise read its texts.
    """
    element = re.sub(r"<metadata>.*?</metadata>", "", _svg(figure, name, transparent=True).decode(), flags=re.DOTALL)
    element = element[element.index("<svg") :]
    for colour, variable in THEME.items():
        element = element.replace(colour, variable)
    # The size in CSS pixels instead of points, so that one image pixel is a whole number of screen pixels.
    width, height = (f"{inches * PIXELS:g}" for inches in figure.get_size_inches())
    element = re.sub(
        r'(?<=<svg )(.*?)width="[^"]*pt" height="[^"]*pt"',
        rf'\1width="{width}" height="{height}"',
        element,
        count=1,
        flags=re.DOTALL,
    )
    if alt:
        element = element.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
    return Markup(element)  # Matplotlib escapes the texts in it


def _svg(figure: Figure, name: str, transparent: bool) -> bytes:
    file = BytesIO()
    # Text stays text, so that it can be searched. The salt makes the ids, and so the file, reproducible.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        _save(figure, file, format="svg", transparent=transparent, metadata={"Date": None})
    return file.getvalue()


def _save(figure: Figure, file: BytesIO, **options: Any) -> None:
    """Save the figure with installed fonts that cover the letters of its texts, in any script."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    families = _families({letter for text in texts for letter in text.get_text()})
    for text in texts if len(families) > 1 else ():
        text.set_fontfamily(families)
    with warnings.catch_warnings():
        # A letter that no installed font has is a box in a PNG. In an SVG the reader's own fonts draw it.
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        figure.savefig(file, **options)


def _families(letters: set[str]) -> list[str]:
    """Return Matplotlib's own font, followed by installed fonts for the letters that it lacks."""
    families = [DEFAULT_FONT]
    missing = {ord(letter) for letter in letters if letter.isprintable()} - _letters(DEFAULT_FONT)
    for font in fontManager.ttflist if missing else ():
        covered = missing & get_font(font.fname).get_charmap().keys()
        if covered and "Last Resort" not in font.name:  # a font in which every letter is a box
            families.append(font.name)
            missing -= covered
    return families


@cache
def _letters(family: str) -> Set[int]:
    return get_font(fontManager.findfont(family)).get_charmap().keys()
