"""What figures have in common: colours, fonts, files; and the map of information between factors and latents."""

import re
import unicodedata
import warnings
from collections.abc import Sequence, Set
from functools import cache
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.text import Text
from numpy.typing import NDArray

Array = NDArray[np.float64]

# After Okabe & Ito (https://jfly.uni-koeln.de/color/), whose colours readers with any colour vision tell apart; the
# last three are darker than theirs, which have less than the contrast of 3 to white that a line needs (WCAG 2.2,
# success criterion 1.4.11).
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072b2", "#d55e00", "#009e73", "#c05a99", "#b87f00", "#2f8fc4"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
INK, MUTED, LINE = "#1f2328", "#5b636d", "#d0d7de"
# On the page ink and lines take the colours of its theme, light or dark.
THEME = {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", BLUE: "var(--accent)"}

SHADES = LinearSegmentedColormap.from_list("shades", ["#f3f6f9", "#56b4e9", BLUE, "#00324f"])
OWN_FONT = "DejaVu Sans"  # comes with Matplotlib
PIXELS = 100  # of the page to an inch of a figure


def information_map(matrix: Array, factor_names: Sequence[str], latents: Sequence[int]) -> Figure:
    """Figure of the mutual information of factors and latents, `matrix` [K, D] in nats, its columns as `latents`."""
    shown = matrix[:, list(latents)]
    names = [short(name, 170) for name in factor_names]
    figure, axes = _axes(max(2.6, 0.56 * len(latents)), 0.4 * len(shown), left=0.15 + 0.075 * max(map(_columns, names)))
    top = max(float(np.nanmax(shown)), 1e-9)
    axes.imshow(shown, cmap=SHADES, vmin=0, vmax=top, aspect="auto", interpolation="none")
    axes.set_xticks(range(len(latents)), [f"z{j}" for j in latents])
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    axes.set_title("mutual information, nats", size=9, color=MUTED, loc="left")
    if shown.size <= 400:  # more numbers are too small to read
        for (k, column), value in np.ndenumerate(shown):
            dark = np.dot(SHADES(value / top)[:3], (0.2126, 0.7152, 0.0722)) < 0.5  # Rec. 709 luma
            colour = "#ffffff" if dark else "#000000"
            axes.text(column, k, f"{value:.2f}", ha="center", va="center", size=8, color=colour)
    plain(axes)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as a PNG file on white, `dpi` pixels an inch."""
    file = BytesIO()
    _save(figure, file, format="png", dpi=dpi)
    return file.getvalue()


def svg_file(figure: Figure, name: str) -> bytes:
    """The figure as an SVG file on white, the same bytes every time; `name` goes into its ids."""
    return _svg(figure, name, transparent=False)


def svg(figure: Figure, name: str, alt: str = "") -> str:
    """The figure as an `<svg>` element in the colours of the page; `name` keeps its ids apart from other figures'.

    alt: what it shows, for those who do not see it; without, its texts are read out.
    """
    element = re.sub(r"<metadata>.*?</metadata>", "", _svg(figure, name, transparent=True).decode(), flags=re.DOTALL)
    element = element[element.index("<svg") :]
    for colour, variable in THEME.items():
        element = element.replace(colour, variable)
    width, height = (f"{inches * PIXELS:g}" for inches in figure.get_size_inches())
    # In pixels and not points, so that pictures are shown pixel by pixel.
    element = re.sub(
        r'(?<=<svg )(.*?)width="[^"]*pt" height="[^"]*pt"',
        rf'\1width="{width}" height="{height}"',
        element,
        count=1,
        flags=re.DOTALL,
    )
    return element.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1) if alt else element


def _svg(figure: Figure, name: str, transparent: bool) -> bytes:
    file = BytesIO()
    # Text stays text: small, sharp, found by a search. The salt makes the ids, and so the file, the same every time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        _save(figure, file, format="svg", transparent=transparent, metadata={"Date": None})
    return file.getvalue()


def _save(figure: Figure, file: BytesIO, **how: Any) -> None:
    """Saves the figure with fonts of this machine that have the letters of its texts, whatever their script."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    families = _families({letter for text in texts for letter in text.get_text()})
    for text in texts if len(families) > 1 else ():
        text.set_fontfamily(families)
    with warnings.catch_warnings():
        # A letter that no font here has is a box in a PNG; in an SVG it is a letter, drawn by the reader's fonts.
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        figure.savefig(file, **how)


def _families(letters: set[str]) -> list[str]:
    """Matplotlib's own font and, where it lacks letters, others that have them between them as far as any has."""
    families = [OWN_FONT]
    missing = {ord(letter) for letter in letters if letter.isprintable()} - _letters_of(OWN_FONT)
    for font in fontManager.ttflist if missing else ():
        has = missing & get_font(font.fname).get_charmap().keys()
        if has and "Last Resort" not in font.name:  # whose letters are all boxes
            families.append(font.name)
            missing -= has
    return families


@cache
def _letters_of(family: str) -> Set[int]:
    return get_font(fontManager.findfont(family)).get_charmap().keys()


def _axes(width: float, height: float, left: float) -> tuple[Figure, Axes]:
    """A new figure and its only axes, with room for labels around them; inches."""
    right, bottom, top = 0.1, 0.3, 0.3
    size = (left + width + right, bottom + height + top)
    figure = Figure(figsize=size, facecolor="white")
    return figure, figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))


def plain(axes: Axes) -> None:
    """Axes without what only frames the picture, in the colours of the page."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=8)
    axes.set_facecolor("none")


def short(name: str, width: float) -> str:
    """A name that fits into `width` hundredths of an inch at 9 points, where a letter takes about 7."""
    most, used = max(3, int(width / 7)), 0
    for at, letter in enumerate(name):
        used += _columns(letter)
        if used > most:
            return name[: max(1, at - 1)] + "…"
    return name


def _columns(text: str) -> int:
    """How many letters wide a text is; those of Chinese, Japanese and Korean count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
