"""A map of the codes: the images at their places, and points in the colours of factors or clusters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.report.figures.canvas import Canvas, tiles
from equipoise.report.figures.style import CYCLE, INK, MUTED, PIXELS, label_axes, short
from equipoise.report.latents import Array

SIDE = 3.1  # inches of a panel
COLUMNS = 3  # panels in a row
PICTURE = 0.09  # longer side of an image, as a share of the panel
APART = 0.1  # smallest distance between two images along one of the axes, as a share of its range
MARGIN = 0.06  # around the points, as a share of their range
# Of names. The blue differs a little from that of the page, which is lighter on a dark page: the points are bitmaps, so
# they keep their colour, and the legend must have the same one.
DOTS = ("#0072b3", *CYCLE[1:])
# Of ordered values: without the darkest colours, which are lost on a dark page.
GRADES = ListedColormap(colormaps["viridis"](np.linspace(0.15, 1, 256)))


@dataclass(frozen=True)
class Colours:
    """The colours of a panel: a title, a number for each point [n], and the names of the numbers 0..V-1.

    Without names, or with more than six, the numbers are in order. Their colours go from dark to light, and `scale` is
    the legend.
    """

    title: str
    values: NDArray[np.int64]
    names: Sequence[str] = ()
    scale: str = "dark: low, light: high"


def code_map_figure(
    points: Array, axes_labels: tuple[str, str], pictures: Array | None, colours: Sequence[Colours]
) -> Figure:
    """Return a figure with a panel of images, if there are any, and one for each of the colours.

    Args:
        points: Places of the images, float [n, 2].
        axes_labels: Labels of the two axes.
        pictures: The images of `spread_out(points)` in this order, [m, C, H, W] in [0, 1]; None for vectors.
        colours: Factors or clusters of the n images.
    """
    count = len(colours) + (pictures is not None)
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = Canvas(figsize=(SIDE * columns, SIDE * rows), layout="constrained", facecolor="white", dpi=PIXELS)
    panels = [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
    limits = _limits(points)
    for number, panel in enumerate(panels):
        across, down = number + columns >= count, number % columns == 0
        label_axes(panel, "", axes_labels[0] if across else "", axes_labels[1] if down else "")
        panel.set(xlim=limits[:, 0], ylim=limits[:, 1], xticks=[], yticks=[])
    if pictures is not None:
        _images(panels[0], points[spread_out(points)], limits, pictures)
    for panel, colour in zip(panels[count - len(colours) :], colours, strict=True):
        _points(panel, points, colour)
    return figure


def spread_out(points: Array) -> list[int]:
    """Return the points of [n, 2] whose images do not cover each other, each as early as possible."""
    limits = _limits(points)
    shares = (points - limits[0]) / (limits[1] - limits[0])
    places: list[int] = []
    for number, point in enumerate(shares):
        if all(np.abs(shares[place] - point).max() >= APART for place in places):
            places.append(number)
    return places


def _limits(points: Array) -> Array:
    """Return the lower and the upper ends [2, 2] of the axes."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = MARGIN * np.where(high > low, high - low, 1.0)
    return np.stack([low - room, high + room])


def _images(axes: Axes, places: Array, limits: Array, pictures: Array) -> None:
    """Draw pictures at their places [m, 2]."""
    small = tiles(pictures)
    height, width = small.shape[1:3]
    half = np.array([width, height]) / max(height, width) * PICTURE / 2 * (limits[1] - limits[0])
    for picture, (x, y) in zip(small, places, strict=True):
        extent = (x - half[0], x + half[0], y - half[1], y + half[1])
        axes.imshow(picture, extent=extent, aspect="auto", interpolation="none")
    axes.set(xlim=limits[:, 0], ylim=limits[:, 1])
    _title(axes, "images")


def _points(axes: Axes, points: Array, colours: Colours) -> None:
    """Draw a point for each image, with a legend of few names, or else a scale."""
    style: dict[str, Any] = {"s": 8, "linewidths": 0, "rasterized": True}
    if 0 < len(colours.names) <= len(DOTS):
        room = 190 / len(colours.names)
        for number, name in enumerate(colours.names):
            of_name = points[colours.values == number]
            axes.scatter(of_name[:, 0], of_name[:, 1], color=DOTS[number], label=short(name, room), **style)
        space = {"handletextpad": 0.0, "columnspacing": 0.5, "borderpad": 0.0, "borderaxespad": 0.0}
        text: dict[str, Any] = {"fontsize": 7, "labelcolor": MUTED, "frameon": False, "markerscale": 1.6, **space}
        axes.legend(loc="lower right", bbox_to_anchor=(1.02, 0.98), ncols=len(colours.names), **text)
    else:
        axes.scatter(points[:, 0], points[:, 1], c=colours.values, cmap=GRADES, **style)
        axes.text(1, 1.02, colours.scale, transform=axes.transAxes, ha="right", size=7, color=MUTED)
    _title(axes, short(colours.title, 120))


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, size=9, loc="left", color=INK, parse_math=False)
