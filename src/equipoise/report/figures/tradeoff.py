"""The trade-off over training: the reconstruction term against the KL, and the weights of the two."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from equipoise.part import Rows, column
from equipoise.report.figures.curves import is_changing, log_ticks, thin
from equipoise.report.figures.style import INK, LINE, MUTED, label_axes
from equipoise.report.latents import Array

# Without the darkest and brightest tenth, which have too little contrast on a dark or light page.
STEPS = ListedColormap(colormaps["viridis"](np.linspace(0.1, 0.9, 256)))
WIDE = 3  # ratio of the largest to the smallest value above which a scale is logarithmic


def tradeoff(log: Rows) -> Figure | None:
    """Return a figure of the reconstruction term against the KL over training.

    A dot is a row of the log, coloured by its step. A second panel shows the path of the weights: the weight of the KL
    against that of the reconstruction where both change, with lines of equal β-equivalent; or the β-equivalent over the
    steps where it alone changes.

    Args:
        log: Rows of a training log, as in `run.logs`. `rec` and `kl` are in nats per image.

    Returns:
        A Matplotlib figure, or None where the log has fewer than two rows, or no finite R and KL.

    Example:
        >>> import equipoise as eq
        >>> rows = [{"step": step, "rec": 900 / step, "kl": step / 50} for step in (100, 200, 300)]
        >>> eq.report.tradeoff(rows).axes[0].get_xlabel()
        'K, nats per image'
    """
    rows = thin(log)
    if len(rows) < 2 or not {"rec", "kl"} <= rows[-1].keys():
        return None
    step, rec, kl = (column(rows, key) for key in ("step", "rec", "kl"))
    if not (np.isfinite(rec) & np.isfinite(kl)).any():
        return None
    of_rec, of_kl, beta = (column(rows, key) for key in ("weight.rec", "weight.kl", "beta_equivalent"))
    has_plane = is_changing(of_rec) and is_changing(of_kl) and min(of_rec.min(), of_kl.min()) > 0
    has_plane &= np.isfinite(beta).all()  # for the lines of equal β-equivalent

    figure = Figure(figsize=(9.44, 3.5), facecolor="white")
    has_second = has_plane or is_changing(beta)
    left = figure.add_axes((0.075, 0.14, 0.355 if has_second else 0.78, 0.74))
    dots = _path(left, kl, rec, step)
    _logarithmic(left, kl if _is_wide(kl) else None, rec if _is_wide(rec) else None)
    label_axes(left, "reconstruction term R against KL term K", "K, nats per image", "R, nats per image")
    if has_second:
        right = figure.add_axes((0.53, 0.14, 0.355, 0.74))
    if has_plane:
        _path(right, of_rec, of_kl, step)
        if _is_wide(of_rec) or _is_wide(of_kl):
            _logarithmic(right, of_rec, of_kl)  # both axes, so that lines of equal ratio are straight
        _equal(right, of_rec, of_kl, beta)
        label_axes(right, "weights of the two terms", "weight of R", "weight of K")
    elif has_second:
        _path(right, step, beta, step)
        _logarithmic(right, None, beta if _is_wide(beta) else None)
        label_axes(right, "β-equivalent: weight of K per unit of error")
    bar = figure.colorbar(dots, cax=figure.add_axes((0.915, 0.14, 0.014, 0.74)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=8, length=0)
    bar.ax.set_title("step", size=8, color=MUTED, loc="left")
    return figure


def _path(axes: Axes, x: Array, y: Array, step: Array) -> PathCollection:
    """Draw the path from row to row with labels at its start and end."""
    finite = np.isfinite(x) & np.isfinite(y)
    x, y, step = x[finite], y[finite], step[finite]
    axes.plot(x, y, color=MUTED, linewidth=0.8, zorder=1)
    dots = axes.scatter(x, y, c=step, s=14, cmap=STEPS, norm=Normalize(0, float(step[-1])), linewidths=0, zorder=2)
    for row, name in ((0, "start"), (-1, "end")):
        axes.plot(x[row], y[row], "o", markersize=7, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.1)
        axes.annotate(name, (x[row], y[row]), (7, 5), textcoords="offset points", size=8, color=INK)
    axes.margins(0.08)
    return dots


def _is_wide(values: Array) -> bool:
    return bool(values.min() > 0 and values.max() > WIDE * values.min())


def _logarithmic(axes: Axes, x: Array | None, y: Array | None) -> None:
    """Make the axes logarithmic for which values are passed."""
    if x is not None:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, float(x.min()), float(x.max()))
    if y is not None:
        axes.set_yscale("log")
        log_ticks(axes.yaxis, float(y.min()), float(y.max()))


def _equal(axes: Axes, of_rec: Array, of_kl: Array, beta: Array) -> None:
    """Draw lines of equal β-equivalent, which is proportional to the ratio of the two weights."""
    unit = float((beta * of_rec / of_kl)[-1])
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    is_wide = beta.max() > 30 * beta.min()
    powers = np.arange(np.floor(np.log10(beta.min())), np.ceil(np.log10(beta.max())) + 1)
    for value in [first * 10**power for power in powers for first in ((1,) if is_wide else (1, 2, 5))]:
        x = np.geomspace(max(x0, x1 / 1e4), x1, 200)
        y = value * x / unit
        inside = (y > y0) & (y < y1)
        if inside.sum() > len(x) / 10:
            axes.plot(x, y, color=LINE, linewidth=0.8, zorder=0)
            end = np.flatnonzero(inside)[-1]
            text, place = f"β {value:g}", (x[end], y[end])
            axes.annotate(text, place, (-3, -9), textcoords="offset points", size=8, color=MUTED, ha="right")
    axes.set(xlim=(x0, x1), ylim=(y0, y1))
