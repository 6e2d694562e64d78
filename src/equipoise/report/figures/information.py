"""The mutual information of factors and latents, drawn as a map."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.report.figures.style import MUTED, SHADES, plain, short, text_width

LEGIBLE = 400  # cells in which a number can still be read
DARKEST = 0.2  # nats that the darkest colour stands for at least, so that information by chance stays pale


def information_map(matrix: NDArray[np.float64], factor_names: Sequence[str], latents: Sequence[int]) -> Figure:
    """Return a figure of the mutual information of factors and latents.

    Args:
        matrix: Mutual information of each factor with each latent, float [K, D], in nats.
        factor_names: The names of the K factors.
        latents: Indices of the latents to draw as columns, each in 0..D-1, in this order.

    Returns:
        A Matplotlib figure with a row for each factor and a column for each latent.

    Example:
        >>> import numpy as np
        >>> import equipoise as eq
        >>> figure = eq.report.information_map(np.eye(2), ["size", "angle"], [0, 1])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1.00', '0.00', '0.00', '1.00']
    """
    cells = matrix[:, list(latents)]
    names = [short(name, 170) for name in factor_names]
    # Inches: of the map, and around it for the labels.
    width, height, left = max(2.6, 0.56 * len(latents)), 0.4 * len(cells), 0.15 + 0.075 * max(map(text_width, names))
    size = (left + width + 0.1, 0.3 + height + 0.3)
    figure = Figure(figsize=size, facecolor="white")
    axes = figure.add_axes((left / size[0], 0.3 / size[1], width / size[0], height / size[1]))
    top = max(float(np.nanmax(cells)), DARKEST)
    axes.imshow(cells, cmap=SHADES, vmin=0, vmax=top, aspect="auto", interpolation="none")
    axes.set_xticks(range(len(latents)), [f"z{j}" for j in latents])
    axes.set_yticks(range(len(cells)), names, parse_math=False)
    axes.set_title("mutual information, nats", size=9, color=MUTED, loc="left")
    if cells.size <= LEGIBLE:
        for (row, column), value in np.ndenumerate(cells):
            is_dark = np.dot(SHADES(value / top)[:3], (0.2126, 0.7152, 0.0722)) < 0.5  # Rec. 709 luma
            colour = "#ffffff" if is_dark else "#000000"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", size=8, color=colour)
    plain(axes)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure
