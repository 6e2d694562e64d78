"""The trade-off over training, drawn: reconstruction against KL, and the weights that led there."""

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from equipoise.report.curves import MOST_POINTS, Log, column, log_ticks, moved
from equipoise.report.figures import INK, LINE, MUTED, plain
from equipoise.report.latents import Array

# Without its darkest and brightest tenth, which a dark or a light page would swallow.
STEPS = ListedColormap(colormaps["viridis"](np.linspace(0.1, 0.9, 256)))
WIDE = 3  # ratio of largest to smallest from which a scale is logarithmic


def tradeoff(log: Log) -> Figure | None:
    """Figure of reconstruction against KL over training, a dot for each row of the log, coloured by its step.

    Beside it is the path of the weights: the KL's against the reconstruction's where both moved, with lines of equal
    β-equivalent; else the β-equivalent over the steps, if it moved. None when the log has no KL or fewer than two rows.
    """
    rows = [log[i] for i in np.unique(np.linspace(0, len(log) - 1, MOST_POINTS).astype(int))] if log else []
    if len(rows) < 2 or not {"rec", "kl"} <= rows[-1].keys():
        return None
    step, rec, kl = (column(rows, key) for key in ("step", "rec", "kl"))
    of_rec, of_kl, beta = (column(rows, key) for key in ("weight.rec", "weight.kl", "beta_equivalent"))
    plane = moved(of_rec) and moved(of_kl) and bool(min(of_rec.min(), of_kl.min()) > 0)

    figure = Figure(figsize=(9.44, 3.5), facecolor="white")
    beside = plane or moved(beta)
    left = figure.add_axes((0.075, 0.14, 0.355 if beside else 0.78, 0.74))
    dots = _path(left, kl, rec, step)
    _logarithmic(left, kl if _wide(kl) else None, rec if _wide(rec) else None)
    _titled(left, "reconstruction term R against KL term K", "K, nats per image", "R, nats per image")
    if plane:
        right = figure.add_axes((0.53, 0.14, 0.355, 0.74))
        _path(right, of_rec, of_kl, step)
        if _wide(of_rec) or _wide(of_kl):
            _logarithmic(right, of_rec, of_kl)  # both, so that lines of equal ratio are straight
        _equal(right, of_rec, of_kl, beta)
        _titled(right, "weights of the two terms", "weight of R", "weight of K")
    elif beside:
        right = figure.add_axes((0.53, 0.14, 0.355, 0.74))
        _path(right, step, beta, step)
        _logarithmic(right, None, beta if _wide(beta) else None)
        _titled(right, "β-equivalent: weight of K beside one unit of error", "step", "")
    bar = figure.colorbar(dots, cax=figure.add_axes((0.915, 0.14, 0.014, 0.74)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=8, length=0)
    bar.ax.set_title("step", size=8, color=MUTED, loc="left")
    return figure


def _path(axes: Axes, x: Array, y: Array, step: Array) -> PathCollection:
    """A path from row to row, its start and end named."""
    known = np.isfinite(x) & np.isfinite(y)
    x, y, step = x[known], y[known], step[known]
    axes.plot(x, y, color=MUTED, linewidth=0.8, zorder=1)
    dots = axes.scatter(x, y, c=step, s=14, cmap=STEPS, norm=Normalize(0, float(step[-1])), linewidths=0, zorder=2)
    for at, name in ((0, "start"), (-1, "end")):
        axes.plot(x[at], y[at], "o", markersize=7, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.1)
        axes.annotate(name, (x[at], y[at]), (7, 5), textcoords="offset points", size=8, color=INK)
    axes.margins(0.08)
    return dots


def _wide(values: Array) -> bool:
    return bool(values.min() > 0 and values.max() > WIDE * values.min())


def _logarithmic(axes: Axes, x: Array | None, y: Array | None) -> None:
    """Makes the scales of these values logarithmic."""
    if x is not None:
        axes.set_xscale("log")
        log_ticks(axes.xaxis, float(x.min()), float(x.max()))
    if y is not None:
        axes.set_yscale("log")
        log_ticks(axes.yaxis, float(y.min()), float(y.max()))


def _equal(axes: Axes, of_rec: Array, of_kl: Array, beta: Array) -> None:
    """Lines of equal β-equivalent, which is a constant times the ratio of the two weights."""
    unit = float((beta * of_rec / of_kl)[-1])
    (x0, x1), (y0, y1) = axes.get_xlim(), axes.get_ylim()
    wide = beta.max() > 30 * beta.min()
    powers = np.arange(np.floor(np.log10(beta.min())), np.ceil(np.log10(beta.max())) + 1)
    for value in [first * 10**power for power in powers for first in ((1,) if wide else (1, 2, 5))]:
        x = np.geomspace(max(x0, x1 / 1e4), x1, 200)
        y = value * x / unit
        inside = (y > y0) & (y < y1)
        if inside.sum() > len(x) / 10:
            axes.plot(x, y, color=LINE, linewidth=0.8, zorder=0)
            end = np.flatnonzero(inside)[-1]
            said = f"β {value:g}"
            axes.annotate(said, (x[end], y[end]), (-3, -9), textcoords="offset points", size=8, color=MUTED, ha="right")
    axes.set(xlim=(x0, x1), ylim=(y0, y1))


def _titled(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, size=9, color=INK, loc="left")
    axes.set_xlabel(x, size=8, color=MUTED)
    axes.set_ylabel(y, size=8, color=MUTED)
    plain(axes)
