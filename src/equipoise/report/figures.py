"""Figures of numbers: training curves, KL of each latent, information between factors and latents, mean codes."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

Array = NDArray[np.float64]
Log = Sequence[Mapping[str, Any]]

# Okabe & Ito's colours, which readers with any colour vision tell apart (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
INK, MUTED, LINE = "#1f2328", "#656d76", "#d0d7de"
# On the page ink and lines take the colours of its theme, light or dark.
THEME = {INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", BLUE: "var(--accent)"}

SHADES = LinearSegmentedColormap.from_list("shades", ["#f3f6f9", SKY, BLUE, "#00324f"])

COLUMNS = 3  # of training curves
MOST_POINTS = 400  # of a curve; more cannot be told apart on a page


def training_curves(log: Log) -> Figure:
    """Figure of the logged means over training steps: terms per image, trade-off, weights, what the balance remembers.

    Beside beta a run with learned weights has the line sqrt(R / K), to which its trade-off tends (L-VAE, Eq. 5).
    """
    rows = [log[i] for i in np.unique(np.linspace(0, len(log) - 1, MOST_POINTS).astype(int))]
    step = _column(rows, "step")
    rec, kl = _column(rows, "rec"), _column(rows, "kl")
    weights = [key for key in rows[-1] if key.startswith("weight.")]
    terms = [key.removeprefix("weight.") for key in weights]
    others = [key for key in terms if key not in ("rec", "kl")]
    known = {"step", "loss", "beta_equivalent", "lr", "images_per_second", "seconds", *terms, *weights}
    state = [key for key, value in rows[-1].items() if key not in known and isinstance(value, int | float)]

    beta = {"β-equivalent": _column(rows, "beta_equivalent")}
    if any("sigma." in key for key in state):
        beta["√(R / K)"] = np.sqrt(rec / np.where(kl > 0, kl, np.nan))
    panels: list[tuple[str, dict[str, Array]]] = [
        ("reconstruction term R, per image", {"rec": rec}),
        ("KL term K, nats per image", {"kl": kl}),
        ("other terms, nats per image", {key: _column(rows, key) for key in others}),
        ("loss", {"loss": _column(rows, "loss")}),
        ("trade-off", beta),
        ("weights of the terms", {key: _column(rows, key) for key in weights}),
        ("state of the balance", {key: _column(rows, key) for key in state}),
    ]
    panels = [(title, lines) for title, lines in panels if any(np.isfinite(values).any() for values in lines.values())]

    height = -(-(len(panels) + 1) // COLUMNS)
    # Fixed margins: a layout engine would take longer than all the drawing.
    figure = Figure(figsize=(9.6, 2.35 * height), facecolor="white")
    margins = {"left": 0.055, "right": 0.965, "bottom": 0.46 / (2.35 * height), "top": 1 - 0.27 / (2.35 * height)}
    places = figure.add_gridspec(height, COLUMNS, **margins, wspace=0.24, hspace=0.47)
    for number, (title, lines) in enumerate(panels):
        _curves(figure.add_subplot(places[divmod(number, COLUMNS)]), step, lines, title)
    if "kl_dims" in rows[0] and len(rows) > 1:
        dims = np.array([row["kl_dims"] for row in rows], dtype=float)
        _awakening(figure.add_subplot(places[-1, len(panels) % COLUMNS :]), step, dims)
    return figure


def kl_bars(kl: Array, active: NDArray[np.bool_]) -> Figure:
    """Figure of the KL [D] of each latent in nats, largest first; inactive latents are grey."""
    order = np.argsort(-kl, kind="stable")
    figure, axes = _axes(max(2.6, 0.42 * len(kl)), 1.95, left=0.4)
    bars = axes.bar(range(len(kl)), kl[order], color=[BLUE if active[j] else LINE for j in order], width=0.72)
    axes.bar_label(bars, [f"{value:.2f}" for value in kl[order]], size=8, color=MUTED, padding=2)
    axes.set_xticks(range(len(kl)), [f"z{j}" for j in order])
    axes.set_title("KL, nats", size=9, color=MUTED, loc="left")
    axes.margins(x=0.02)
    axes.set_ylim(0, 1.12 * max(float(kl.max()), 0.01))
    _plain(axes)
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
    _plain(axes)
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


def svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element in the colours of the page; `name` keeps its ids apart from other figures'."""
    file = BytesIO()
    # Text stays text: small, sharp, found by a search. The salt makes the ids, and so the page, the same every time.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True)
    element = re.sub(r"<metadata>.*?</metadata>", "", file.getvalue().decode(), flags=re.DOTALL)
    element = element[element.index("<svg") :]
    for colour, variable in THEME.items():
        element = element.replace(colour, variable)
    return element


def _column(rows: Log, key: str) -> Array:
    return np.array([np.nan if row.get(key) is None else row[key] for row in rows], dtype=float)


def _curves(axes: Axes, step: Array, lines: Mapping[str, Array], title: str) -> None:
    for number, (name, values) in enumerate(lines.items()):
        style = "--" if name.startswith("√") else "-"
        marker = "o" if len(step) == 1 else None
        axes.plot(step, values, style, label=name, color=CYCLE[number % len(CYCLE)], linewidth=1.5, marker=marker)
    finite = np.concatenate([values[np.isfinite(values)] for values in lines.values()])
    if finite.min() > 0 and finite.max() > 10 * finite.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK)
    _titled(axes, title)


def _awakening(axes: Axes, step: Array, dims: Array) -> None:
    """KL [rows, D] of each latent over training, largest last value at the top."""
    order = np.argsort(-dims[-1], kind="stable")
    edges = np.interp(np.arange(len(step) + 1) - 0.5, np.arange(len(step)), step)
    # The burst of the first steps would leave the rest without contrast.
    top = max(float(dims[len(dims) // 2 :].max()), 1e-9)
    mesh = axes.pcolormesh(edges, np.arange(len(order) + 1), dims[:, order].T, cmap=SHADES, vmin=0, vmax=top)
    mesh.set_rasterized(True)
    axes.invert_yaxis()
    shown = range(0, len(order), -(-len(order) // 16))
    axes.set_yticks([row + 0.5 for row in shown], [f"z{order[row]}" for row in shown])
    bar = axes.figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=8, length=0)
    _titled(axes, "KL of each latent, nats")


def _axes(width: float, height: float, left: float) -> tuple[Figure, Axes]:
    """A new figure and its only axes, with room for labels around them; inches."""
    right, bottom, top = 0.1, 0.3, 0.3
    size = (left + width + right, bottom + height + top)
    figure = Figure(figsize=size, facecolor="white")
    return figure, figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, size=9, color=INK, loc="left")
    axes.set_xlabel("step", size=8, color=MUTED)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=8)
    axes.set_facecolor("none")


def _short(name: str, width: float) -> str:
    """A name that fits into `width` hundredths of an inch at 9 points, where a letter takes about 7."""
    most = max(3, int(width / 7))
    return name if len(name) <= most else name[: most - 1] + "…"
