"""Figures that are laid out in pixels, and image arrays as tiles to put on them."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.nn import functional

from equipoise.report.figures.saving import png
from equipoise.report.figures.style import INK, MUTED, PIXELS
from equipoise.report.latents import Array

SMALLEST = 64  # pixels: smaller images are enlarged at least to this
LARGEST = 96  # pixels: larger images are reduced to this, which keeps the report small
GAP = 4  # pixels between tiles


class Canvas(Figure):
    """A figure that notebooks show without pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self, dpi=PIXELS)


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of this size in pixels. Images placed on it are not resampled."""
    return Canvas(figsize=(width / PIXELS, height / PIXELS), dpi=PIXELS, facecolor="white")


def axes_at(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Return new axes on a canvas. Their size, and the position of their top left corner, are in pixels."""
    across, down = figure.get_size_inches() * PIXELS
    return figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def place(figure: Figure, picture: NDArray[np.uint8], left: float, top: float) -> None:
    """Draw a picture [h, w, 3 or 4] on a canvas; `left` and `top` of its corner are in pixels."""
    height, width = picture.shape[:2]
    axes = axes_at(figure, left, top, width, height)
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()


def label(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    ha: str = "left",
    color: str = INK,
    weight: str = "normal",
    size: float = 9,
) -> None:
    """Write text on a canvas, with its middle at height y; x and y are in pixels from the top left corner."""
    width, height = figure.get_size_inches() * PIXELS
    at = x / width, 1 - y / height
    figure.text(*at, text, ha=ha, va="center", color=color, weight=weight, size=size, parse_math=False)


def label_row(figure: Figure, right: float, middle: float, lines: Sequence[str]) -> None:
    """Write three lines of text, the first in bold, to the left of `right` and around the height `middle` of a row."""
    label(figure, right, middle - 17, lines[0], ha="right", weight="bold", size=10)
    label(figure, right, middle + 1, lines[1], ha="right", color=MUTED)
    label(figure, right, middle + 18, lines[2], ha="right", color=MUTED)


def grid(pictures: Array, columns: int) -> NDArray[np.uint8]:
    """Join pictures [n, C, H, W] in [0, 1] to one RGBA array [h, w, 4], row by row, with transparent gaps.

    `tiles` describes their colours and size.
    """
    images = tiles(pictures)
    height, width = images.shape[1:3]
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows, height + GAP, columns, width + GAP, 4), np.uint8)
    for number, image in enumerate(images):
        row, column = divmod(number, columns)
        sheet[row, :height, column, :width, :3] = image
        sheet[row, :height, column, :width, 3] = 255
    return sheet.reshape(rows * (height + GAP), columns * (width + GAP), 4)[:-GAP, :-GAP]


def tiles(pictures: Array) -> NDArray[np.uint8]:
    """Convert pictures [n, C, H, W] in [0, 1] to RGB bytes [n, h, w, 3] of a size for a page.

    One channel is grey, three are colour, and any other number is shown as the mean of the channels. Small pictures are
    enlarged by repeating pixels until the longer side has at least 64; larger ones are averaged down to 96 pixels.
    """
    if pictures.shape[1] not in (1, 3):
        pictures = pictures.mean(axis=1, keepdims=True)
    longest = max(pictures.shape[2:])
    if longest > LARGEST:
        size = tuple(max(1, round(side * LARGEST / longest)) for side in pictures.shape[2:])
        pictures = functional.interpolate(torch.from_numpy(pictures), size, mode="area").numpy()
    colour = np.broadcast_to(pictures, (len(pictures), 3, *pictures.shape[2:]))
    images = np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    scale = max(1, -(-SMALLEST // max(images.shape[1:3])))
    return images.repeat(scale, axis=1).repeat(scale, axis=2)


def signed(value: float) -> str:
    """Format a number with two decimals and a true minus sign."""
    return f"{value:z.2f}".replace("-", "−")
