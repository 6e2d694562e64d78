"""The horizontal axis of a figure in powers of ten."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter


def set_log_axis(axes: Axes, ticks: Sequence[float]) -> None:
    """Make the horizontal axis logarithmic, with labels at these multiples of the powers of ten."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=ticks))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
