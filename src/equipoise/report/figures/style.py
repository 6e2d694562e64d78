"""The colours, axes and text widths that all figures share."""

import unicodedata

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

# After Okabe & Ito (https://jfly.uni-koeln.de/color/), for readers with any colour vision. The last three are darker
# than theirs, so that lines have a contrast of at least 3 to white (WCAG 2.2, success criterion 1.4.11).
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072b2", "#d55e00", "#009e73", "#c05a99", "#b87f00", "#2f8fc4"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
INK, MUTED, LINE = "#1f2328", "#5b636d", "#d0d7de"
# On the page these colours become variables of the light or dark theme.
THEME = {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", BLUE: "var(--accent)"}

SHADES = LinearSegmentedColormap.from_list("shades", ["#f3f6f9", "#56b4e9", BLUE, "#00324f"])
PIXELS = 100  # of the page per inch of a figure


def plain(axes: Axes) -> None:
    """Remove the upper and right frame of the axes and draw the rest in the colours of the page."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=8)
    axes.set_facecolor("none")


def label_axes(axes: Axes, title: str, x: str = "step", y: str = "") -> None:
    """Write the title and the labels of axes, in the style of `plain`."""
    axes.set_title(title, size=9, color=INK, loc="left")
    axes.set_xlabel(x, size=8, color=MUTED)
    axes.set_ylabel(y, size=8, color=MUTED)
    plain(axes)


def short(name: str, width: float) -> str:
    """Cut a name with "…" to `width` hundredths of an inch at 9 points, where a letter takes about 7."""
    limit, used = max(3, int(width / 7)), 0
    for position, letter in enumerate(name):
        used += text_width(letter)
        if used > limit:
            return name[: max(1, position - 1)] + "…"
    return name


def text_width(text: str) -> int:
    """Return the width of a text in letters. Chinese, Japanese and Korean letters count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
