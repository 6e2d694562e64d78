"""Figures of vectors: curves over ordered columns, or bars of named ones."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from equipoise.data.columns import Scaling
from equipoise.report.figures.canvas import axes_at, canvas, label, label_row
from equipoise.report.figures.style import BLUE, INK, LINE, MUTED, ORANGE, plain, short, text_width
from equipoise.report.latents import Array

WIDTH, HEIGHT = 640, 130  # pixels of the panel of a traversal
SMALL = (150, 90)  # of a single vector
MOVING = (220, 120)  # of a latent in an animation
ACROSS = 5  # single vectors in a row
ENDS = LinearSegmentedColormap.from_list("ends", [BLUE, "#a8b0b8", ORANGE])
LETTERS = 14  # of a name of a column below bars
SHARP = 3  # curves are drawn this many times larger, and then reduced


def to_draw(scaling: Scaling, values: Array) -> Array:
    """Return the values [n, V] to draw for scaled vectors [n, 1, 1, V], in the units of the data if all share one."""
    return scaling.restore(values) if scaling.has_one_unit else values.reshape(len(values), -1)


def value_label(scaling: Scaling) -> str:
    """Return the label of the axis of values."""
    if scaling.has_one_unit or scaling.kind == "none":
        return "value"
    return "standard deviations" if scaling.kind == "standardize" else "share of the range"


def traversals(scaling: Scaling, strips: Sequence[Array], texts: Sequence[tuple[str, str, str]]) -> Figure:
    """Return a figure with a panel for each latent: curves from low to high, or bars of both ends.

    strips: for each latent, scaled vectors [steps, 1, 1, V]. texts: for each latent three lines of text.
    """
    arrays = [to_draw(scaling, strip) for strip in strips]
    limits = axis_range(np.concatenate(arrays))
    left, top = 236, 26
    below = 34 if scaling.axis is not None else 24 + 7 * min(LETTERS, max(text_width(name) for name in scaling.names))
    pitch = HEIGHT + below
    figure = canvas(left + WIDTH + 20, top + pitch * len(arrays) + 4)
    label(figure, left, top - 12, "low", color=BLUE, weight="bold")
    label(figure, left + 34, top - 12, "high", color=ORANGE, weight="bold")
    for line, (values, lines) in enumerate(zip(arrays, texts, strict=True)):
        axes = axes_at(figure, left, top + line * pitch, WIDTH, HEIGHT)
        _draw_sweep(axes, scaling, values)
        _finish(axes, scaling, limits)
        label_row(figure, left - 66, top + line * pitch + HEIGHT / 2, [short(text, left - 80) for text in lines])
    return figure


def reconstructions(scaling: Scaling, original: Array, decoded: Array, errors: Array, titles: Sequence[str]) -> Figure:
    """Return a figure of vectors and their reconstructions, with the squared error of each, five in a row.

    original, decoded: scaled vectors [n, 1, 1, V]. titles: one for each ten.
    """
    pairs = np.stack([to_draw(scaling, original), to_draw(scaling, decoded)], 1)
    captions = [f"SSE {error:.2f}" for error in errors]
    return _panels(scaling, pairs, captions, titles, ("original", "reconstruction"))


def samples(scaling: Scaling, vectors: Array) -> Figure:
    """Return a figure of scaled vectors [n, 1, 1, V], five in a row."""
    return _panels(scaling, to_draw(scaling, vectors)[:, None], [""] * len(vectors), (), ())


def neighbours(scaling: Scaling, queries: Array, others: Array, distances: Array) -> Figure:
    """Return a figure with a panel for each of the neighbours [Q, k, 1, 1, V] of scaled vectors [Q, 1, 1, V]."""
    rows = [
        np.stack([to_draw(scaling, query[None]).repeat(len(near), 0), to_draw(scaling, near)], 1)
        for query, near in zip(queries, others, strict=True)
    ]
    captions = [f"{q}: {distance:.2f}" for q, row in enumerate(distances) for distance in row]
    return _panels(scaling, np.concatenate(rows), captions, (), ("query", "neighbour"))


def pictures(scaling: Scaling, strips: Sequence[Array]) -> NDArray[np.uint8]:
    """Return small pictures [n, steps, h, w, 3] of n strips of scaled vectors, each [steps, 1, 1, V]."""
    arrays = [to_draw(scaling, strip) for strip in strips]
    limits = axis_range(np.concatenate(arrays))
    return np.stack([[_picture(scaling, values, limits) for values in strip] for strip in arrays])


def _picture(scaling: Scaling, values: Array, limits: tuple[float, float]) -> NDArray[np.uint8]:
    width, height = (side * SHARP for side in MOVING)
    low, high = limits
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    across = (np.arange(len(values)) + 0.5) / len(values)
    if (axis := scaling.axis) is not None:
        across = (axis - axis.min()) / np.ptp(axis)
    x, y = across * (width - 1), (high - values) / (high - low) * (height - 1)
    zero = (high - min(max(0.0, low), high)) / (high - low) * (height - 1)
    draw.line([(0, zero), (width, zero)], LINE, SHARP)
    if axis is not None:
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), BLUE, 2 * SHARP, joint="curve")
    else:
        half = 0.35 * width / len(values)
        for place, end in zip(x.tolist(), y.tolist(), strict=True):
            draw.rectangle([place - half, min(zero, end), place + half, max(zero, end)], BLUE)
    return np.asarray(picture.resize(MOVING, Image.Resampling.LANCZOS))


def _panels(
    scaling: Scaling, groups: Array, captions: Sequence[str], titles: Sequence[str], names: Sequence[str]
) -> Figure:
    """Return panels of groups [n, 1 or 2, V] of values as they are drawn, with a caption below each."""
    width, height = SMALL
    rows = -(-len(groups) // ACROSS)
    pitch, left, above = height + 30, 56, 26
    top = above + (18 if names else 0)
    heads = above if titles else 0
    figure = canvas(left + (width + 14) * min(ACROSS, len(groups)) + 6, top + rows * pitch + heads * len(titles) + 24)
    for place, name, colour in zip((left, left + 80), names, (INK, ORANGE), strict=False):
        label(figure, place, 12, name, color=colour, weight="bold")
    # Small panels have no labels of their own.
    ends = f"{scaling.names[0]} to {scaling.names[-1]}"
    axes_text = f"across: {len(scaling.names)} columns, {ends}; up: {value_label(scaling)}"
    label(figure, left, 12 + (18 if names else 0), axes_text, color=MUTED)
    limits = axis_range(groups)
    for number, (group, caption) in enumerate(zip(groups, captions, strict=True)):
        row, column = divmod(number, ACROSS)
        block = number // (2 * ACROSS)
        x, y = left + column * (width + 14), top + row * pitch + heads * min(block + 1, len(titles))
        if titles and number % (2 * ACROSS) == 0:
            label(figure, left, y - heads / 2, titles[block], weight="bold")
        axes = axes_at(figure, x, y, width, height)
        _draw_pair(axes, scaling, group)
        _finish(axes, scaling, limits, is_small=True, has_values=column == 0)
        label(figure, x + width / 2, y + height + 12, caption, ha="center", color=MUTED)
    return figure


def _draw_sweep(axes: Axes, scaling: Scaling, values: Array) -> None:
    axis = scaling.axis
    if axis is None:
        for end, offset, colour in ((values[0], -0.2, BLUE), (values[-1], 0.2, ORANGE)):
            axes.bar(np.arange(len(end)) + offset, end, 0.36, color=colour)
        return
    for share, row in zip(np.linspace(0, 1, len(values)), values, strict=True):
        axes.plot(axis, row, color=ENDS(share), linewidth=1.2)


def _draw_pair(axes: Axes, scaling: Scaling, group: Array) -> None:
    axis = scaling.axis
    if axis is not None:
        for row, colour in zip(group, (INK, ORANGE) if len(group) > 1 else (BLUE,), strict=True):
            axes.plot(axis, row, color=colour, linewidth=1)
        return
    axes.bar(np.arange(group.shape[1]), group[0], 0.7, color=LINE if len(group) > 1 else BLUE)
    if len(group) > 1:
        axes.plot(np.arange(group.shape[1]), group[1], "_", color=ORANGE, markersize=6, markeredgewidth=1.6)


def _finish(
    axes: Axes, scaling: Scaling, limits: tuple[float, float], is_small: bool = False, has_values: bool = True
) -> None:
    """Set limits, ticks and labels: the names of the columns below bars, numbers below curves."""
    plain(axes)
    axes.set_ylim(limits)
    axes.axhline(0, color=LINE, linewidth=0.8, zorder=0)
    if not has_values:
        axes.set_yticklabels([])
    if scaling.axis is not None:
        axes.margins(x=0)
    elif not is_small:
        names = [short(name, 7 * LETTERS) for name in scaling.names]
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_xlim(-0.6, len(names) - 0.4)
    if is_small:
        axes.set_xticks([])
    else:
        axes.set_ylabel(value_label(scaling), size=8, color=MUTED)


def axis_range(values: Array) -> tuple[float, float]:
    """Return the ends of an axis for these values, a little beyond the least and the largest."""
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
