"""The trade-off of a model for every beta: rate against distortion, and what each latent carries at each beta."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.report.figures.style import BLUE, CYCLE, INK, LINE, MUTED, label_axes

MARKED = 5  # betas that are written beside their dots


def rates_figure(curve: Mapping[str, NDArray[Any]], latents: Sequence[int]) -> Figure:
    """Return a figure of the trade-off over beta.

    Args:
        curve: The arrays of `rates.npz`: beta, rec and kl [20], nats [20, D], and mig [20] where factors are known.
        latents: The latents to draw.

    Returns:
        A Matplotlib figure of R against K, of the nats of each latent over beta, and of the score.

    Example:
        >>> import numpy as np
        >>> from equipoise.report.figures.rates import rates_figure
        >>> curve = {"beta": np.array([0.1, 1.0]), "rec": np.array([5.0, 9.0]), "kl": np.array([8.0, 3.0])}
        >>> len(rates_figure(curve | {"nats": np.ones((2, 3))}, [0, 2]).axes)
        2
    """
    beta, has_scores = curve["beta"], "mig" in curve
    figure = Figure(figsize=(9.44, 3.3), facecolor="white")
    panels = 3 if has_scores else 2
    grid = figure.add_gridspec(1, panels, left=0.065, right=0.985, bottom=0.14, top=0.9, wspace=0.28)
    places = [figure.add_subplot(grid[0, panel]) for panel in range(panels)]
    rate, carried = places[:2]
    rate.plot(curve["kl"], curve["rec"], "-o", color=BLUE, linewidth=1.2, markersize=3.5)
    spread = np.linspace(curve["kl"].min(), curve["kl"].max(), MARKED)
    for row in np.unique(np.abs(curve["kl"][:, None] - spread).argmin(0)):
        at = (curve["kl"][row], curve["rec"][row])
        rate.annotate(f"β {beta[row]:.3g}", at, (5, 4), textcoords="offset points", size=8, color=INK)
    label_axes(rate, "reconstruction term R against KL term K", "K, nats per image", "R, nats per image")
    for place, latent in enumerate(latents):
        style = ("-", "--", ":")[place // len(CYCLE) % 3]
        carried.plot(beta, curve["nats"][:, latent], style, color=CYCLE[place % len(CYCLE)], label=f"z{latent}")
    _over_beta(carried, "nats of each latent")
    carried.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=2)
    if has_scores:
        places[2].plot(beta, curve["mig"], "-o", color=BLUE, linewidth=1.2, markersize=3.5)
        places[2].set_ylim(bottom=0)
        _over_beta(places[2], "MIG")
    return figure


def _over_beta(axes: Axes, title: str) -> None:
    axes.set_xscale("log")
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    axes.tick_params(which="minor", colors=MUTED, length=0)
    label_axes(axes, title, "β")
