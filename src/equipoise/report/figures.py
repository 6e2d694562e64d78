"""Figures of numbers: what each latent carries, information between factors and latents, mean codes."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Okabe & Ito's colours, which readers with any colour vision tell apart (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
INK, MUTED, LINE = "#1f2328", "#656d76", "#d0d7de"
# On the page ink and lines take the colours of its theme, light or dark.
THEME = {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", BLUE: "var(--accent)"}

SHADES = LinearSegmentedColormap.from_list("shades", ["#f3f6f9", SKY, BLUE, "#00324f"])


def latent_bars(nats: Array, active: NDArray[np.bool_], measure: str) -> Figure:
    """Figure of the nats [D] of `measure` that each latent carries, largest first; inactive latents are grey."""
    order = np.argsort(-nats, kind="stable")
    figure, axes = _axes(max(2.6, 0.42 * len(nats)), 1.95, left=0.5)
    bars = axes.bar(range(len(nats)), nats[order], color=[BLUE if active[j] else LINE for j in order], width=0.72)
    axes.bar_label(bars, [f"{value:.2f}" for value in nats[order]], size=8, color=MUTED, padding=2)
    axes.set_xticks(range(len(nats)), [f"z{j}" for j in order])
    axes.set_title(f"{measure}, nats", size=9, color=MUTED, loc="left")
    axes.margins(x=0.02)
    axes.set_ylim(min(0, float(nats.min())), 1.12 * max(float(nats.max()), 0.01))
    plain(axes)
    return figure


def information_map(matrix: Array, factor_names: Sequence[str], latents: Sequence[int]) -> Figure:
    """Figure of the mutual information of factors and latents, `matrix` [K, D] in nats, its columns as `latents`."""
    shown = matrix[:, list(latents)]
    names = [_short(name, 170) for name in factor_names]
    figure, axes = _axes(max(2.6, 0.56 * len(latents)), 0.4 * len(shown), left=0.15 + 0.075 * max(map(len, names)))
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


def factor_sweeps(
    curves: Mapping[str, tuple[Array, Array]], latents: Sequence[int], best: Mapping[int, str | None]
) -> Figure:
    """Figure of small multiples: the mean code of each latent over the values of each factor, with one deviation.

    `curves` maps factor names to the mean and the standard deviation [V, D] of the codes at the factor's V values;
    `best` names the factor that a latent follows, which is drawn in colour. A row has one scale for all factors.
    """
    # All panels lie in one axes, in hundredths of an inch from the top left: many axes would take seconds to draw.
    left, top, high, gap = 24 if len(latents) == 1 else 44, 22, 74, 8
    wide = min(170.0, (744 + gap) / len(curves) - gap)
    size = (792.0, top + len(latents) * (high + gap) + 4)
    figure = Figure(figsize=(size[0] / 100, size[1] / 100), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, size[0]), ylim=(size[1], 0))
    axes.set_axis_off()
    lines, bands, colours = [], [], []
    for row, j in enumerate(latents):
        floor = min(float((mean[:, j] - spread[:, j]).min()) for mean, spread in curves.values())
        ceiling = max(float((mean[:, j] + spread[:, j]).max()) for mean, spread in curves.values())
        bottom = top + row * (high + gap) + high
        scale = 0.9 * high / max(ceiling - floor, 1e-9)
        zero = bottom - 0.05 * high + floor * scale
        if len(latents) > 1:
            axes.text(left - 8, bottom - high / 2, f"z{j}", ha="right", va="center", size=9, color=INK, weight="bold")
        for column, (name, (mean, spread)) in enumerate(curves.items()):
            start = left + column * (wide + gap)
            axes.add_patch(Rectangle((start, bottom), wide, -high, fill=False, edgecolor=LINE, linewidth=0.8))
            if floor < 0 < ceiling:
                axes.plot([start, start + wide], [zero, zero], color=LINE, linewidth=0.6)
            x = start + wide * (np.arange(len(mean)) + 0.5) / len(mean)
            y, half = zero - mean[:, j] * scale, spread[:, j] * scale
            lines.append(np.column_stack([x, y]))
            bands.append(np.concatenate([np.column_stack([x, y - half]), np.column_stack([x, y + half])[::-1]]))
            colours.append(BLUE if best.get(j) == name else MUTED)
    axes.add_collection(PolyCollection(bands, facecolors=colours, alpha=0.18, linewidths=0))
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=1.6))
    for column, name in enumerate(curves):
        centre = left + column * (wide + gap) + wide / 2
        axes.text(centre, top - 7, _short(name, wide), ha="center", size=9, color=INK, parse_math=False)
    return figure


def png(figure: Figure) -> bytes:
    """The figure as a PNG file on white, 200 pixels an inch."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=200)
    return file.getvalue()


def svg_file(figure: Figure, name: str) -> bytes:
    """The figure as an SVG file on white, the same bytes every time; `name` goes into its ids."""
    return _svg(figure, name, transparent=False)


def svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element in the colours of the page; `name` keeps its ids apart from other figures'."""
    element = re.sub(r"<metadata>.*?</metadata>", "", _svg(figure, name, transparent=True).decode(), flags=re.DOTALL)
    element = element[element.index("<svg") :]
    for colour, variable in THEME.items():
        element = element.replace(colour, variable)
    return element


def _svg(figure: Figure, name: str, transparent: bool) -> bytes:
    file = BytesIO()
    # Text stays text: small, sharp, found by a search. The salt makes the ids, and so the file, the same every time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=transparent, metadata={"Date": None})
    return file.getvalue()


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


def _short(name: str, width: float) -> str:
    """A name that fits into `width` hundredths of an inch at 9 points, where a letter takes about 7."""
    most = max(3, int(width / 7))
    return name if len(name) <= most else name[: most - 1] + "…"
