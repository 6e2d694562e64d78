"""Latents against factors, drawn: the mean code over two factors as a map, over the others as lines.

In the style of Chen et al. (2018, arXiv:1802.04942) and of Stuehmer et al. (2020, arXiv:1909.05063, appendix).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.report.figures import BLUE, CYCLE, INK, LINE, MUTED, short
from equipoise.report.latents import Array, Factor, Latent, factors_over, latent_variances, latents_over, levels
from equipoise.report.pictures import canvas, label, signed

Levels = NDArray[np.int64]

ORDERED = 5  # values that a factor has at least to be a side of a map; of fewer, colours can tell
FEW = 6  # values that colours can tell at most, of a factor without an order
PANELS = 4  # factors along lines
CELL = 16  # images that a mean is over: its standard error is then a quarter of the deviation within
KINDS = ("shape", "class", "category", "kind", "type")  # in the names of factors whose values have no order
PAIRS = (("x", "y"), ("horizontal", "vertical"), ("azimuth", "elevation"))  # how the names of two directions differ

# Hundredths of an inch, which are pixels of the page.
WIDTH, LEFT, RIGHT, TOP, BELOW = 944.0, 118.0, 44.0, 48.0, 34.0
HIGH, GAP, BESIDE = 96.0, 12.0, 30.0
DIVERGING = "RdBu_r"  # blue below 0, red above
STYLES = ("-", "--", ":", "-.", (0, (6, 1)), (0, (1, 3)))  # so that colours are not all that tells lines apart


@dataclass(frozen=True)
class Shown:
    """Which two factors are the sides of a map, if any; which is told by colours, if any; which run along lines."""

    sides: tuple[str, str] | None
    colours: str | None
    along: list[str]


@dataclass(frozen=True)
class Means:
    """Mean codes of D latents: `map` [rows, columns, D] over the sides, `lines` [colours, V, D] by factor."""

    map: Array | None
    lines: dict[str, Array]

    @property
    def reach(self) -> float:
        """The largest distance from 0, the end of all scales."""
        means = [*self.lines.values(), *([] if self.map is None else [self.map])]
        return max((float(np.nanmax(np.abs(mean))) for mean in means), default=0.0) or 1.0


def latents_vs_factors(codes: NDArray[Any], factors: NDArray[Any], names: Sequence[str]) -> Figure:
    """Figure of the mean code of each active latent over the factors, a row for each latent, most variance first.

    codes [n, D] are posterior means of n images, factors [n, K] what the images were made from, `names` theirs. Two
    factors that are directions by their names, such as pos_x and pos_y, or else the two that move latents most, are
    the sides of a map, blue below 0 and red above. Up to four others run along lines, one for each value of a factor
    that has no order by its name, such as shape, or has few values. All scales have the same ends.
    """
    codes = codes.astype(np.float64)
    over = factors_over(codes, factors, names)
    latents = latents_over(codes, latent_variances(codes), np.ones(codes.shape[1]), over, None)
    return versus(codes, factors, names, over, [latent for latent in latents if latent.active] or latents[:3])


def versus(
    codes: Array, factors: NDArray[Any], names: Sequence[str], over: Sequence[Factor], latents: Sequence[Latent]
) -> Figure:
    """As `latents_vs_factors` for these latents, in this order; `over` are the factors with more than one value."""
    indices = [latent.index for latent in latents]
    shown = arrangement(over, indices)
    value = {factor.name: levels(factors[:, list(names).index(factor.name)]) for factor in over}
    means = _means_of(codes[:, indices], value, shown)

    # Fixed places: a layout engine would take longer than all the drawing.
    figure = canvas(WIDTH, TOP + len(latents) * (HIGH + GAP) + (0 if means.map is None else BELOW))
    start = LEFT if means.map is None else LEFT + HIGH + BESIDE
    wide = min(220.0, (WIDTH - RIGHT - start + GAP) / max(len(means.lines), 1) - GAP)
    columns = {name: start + column * (wide + GAP) for column, name in enumerate(means.lines)}
    _heads(figure, shown, columns, wide, [] if shown.colours is None else sorted(set(value[shown.colours].tolist())))
    for row, latent in enumerate(latents):
        top = TOP + row * (HIGH + GAP)
        middle = top + HIGH / 2
        label(figure, LEFT - 14, middle - 9, f"z{latent.index}", ha="right", va="center", weight="bold", size=10)
        if latent.factor is not None:
            label(figure, LEFT - 14, middle + 9, short(latent.factor, LEFT - 20), ha="right", va="center", color=MUTED)
        if means.map is not None:
            axes = _panel(figure, LEFT, top, HIGH, latent.factor in (shown.sides or ()))
            axes.imshow(means.map[..., row], **_shades(means.reach))
        for name, left in columns.items():
            axes = _panel(figure, left, top, wide, latent.factor == name)
            _curves(axes, means.lines[name][..., row], means.reach)
        if columns:
            for share, at in ((0.04, means.reach), (0.5, 0.0), (0.96, -means.reach)):
                label(
                    figure, max(columns.values()) + wide + 6, top + share * HIGH, signed(at), va="center", color=MUTED
                )
    if means.map is not None:
        _key(figure, TOP + len(latents) * (HIGH + GAP) + 4, means.reach)
    return figure


def arrangement(factors: Sequence[Factor], latents: Sequence[int]) -> Shown:
    """How factors are shown beside the latents with these indices."""
    size = {factor.name: len(factor.mean) for factor in factors}
    moved = {factor.name: float(factor.explained[list(latents)].max()) for factor in factors}
    most = sorted(size, key=lambda name: -moved[name])
    ordered = [name for name in most if size[name] >= ORDERED and not _kind(name)]
    sides = _directions(ordered) or ((ordered[0], ordered[1]) if len(ordered) > 1 else None)
    rest = [name for name in most if sides is None or name not in sides]
    # A factor without an order by its name before one that merely has few values.
    few = [name for name in rest if size[name] < ORDERED or (_kind(name) and size[name] <= FEW)]
    colours = min(few, key=lambda name: not _kind(name)) if few and len(rest) > 1 else None
    along = [name for name in rest if name != colours][:PANELS]
    return Shown(sides, colours, [name for name in size if name in along])


def _kind(name: str) -> bool:
    return any(kind in name.lower() for kind in KINDS)


def _directions(names: Sequence[str]) -> tuple[str, str] | None:
    """Two names that differ in their direction and nothing else, such as pos_x and pos_y."""
    lower = {name.lower(): name for name in names}
    for across, down in PAIRS:
        for name in lower:
            other = name.replace(across, down)
            if other != name and other in lower:
                return lower[name], lower[other]
    return None


def _means_of(codes: Array, value: dict[str, Levels], shown: Shown) -> Means:
    """Mean codes over the factors' values, neighbours joined until a mean is over enough images; nan where none is."""
    enough = len(codes) // CELL
    over = None
    if shown.sides is not None:
        across, down = (_joined(value[side], math.isqrt(enough)) for side in shown.sides)
        over = _cells(codes, down, across)
    alike = np.zeros(len(codes), dtype=np.int64)
    colour = alike if shown.colours is None else value[shown.colours]
    along = {name: _joined(value[name], enough // (int(colour.max()) + 1)) for name in shown.along}
    return Means(over, {name: _cells(codes, colour, joined) for name, joined in along.items()})


def _joined(value: Levels, most: int) -> Levels:
    """Values 0..V-1 with neighbours joined, so that there are no more than `most`, or two."""
    joined: Levels = value // -(-(int(value.max()) + 1) // max(most, 2))
    return joined


def _cells(codes: Array, rows: Levels, columns: Levels) -> Array:
    """Means [R, C, D] of codes [n, D] over the images with each pair of values."""
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    cell = np.ravel_multi_index((rows, columns), shape)
    count = np.bincount(cell, minlength=math.prod(shape)).astype(float)
    count[count == 0] = np.nan
    means = [np.bincount(cell, weights, minlength=len(count)) / count for weights in codes.T]
    return np.stack(means, axis=-1).reshape(*shape, -1)


def _heads(figure: Figure, shown: Shown, columns: dict[str, float], wide: float, values: Sequence[int]) -> None:
    """The names of the factors above their panels, and whose values the colours are."""
    if shown.sides is not None:
        for line, side in enumerate(shown.sides):
            text = f"{short(side, HIGH + 4)} {'→↓'[line]}"
            label(figure, LEFT + HIGH / 2, 18 + 16 * line, text, ha="center", va="center")
    for name, left in columns.items():
        label(figure, left + wide / 2, 34, short(name, wide), ha="center", va="center")
    if shown.colours is None:
        return
    left = min(columns.values())
    label(figure, left, 12, f"{short(shown.colours, 150)}:", va="center", color=MUTED)
    left += 7 * len(short(shown.colours, 150)) + 12
    for number, one in enumerate(values):
        axes = _panel(figure, left + 50 * number, 6, 24, False, 12)
        axes.set_axis_off()
        axes.plot([0, 1], [0, 0], color=CYCLE[number], linestyle=STYLES[number], linewidth=1.8)
        label(figure, left + 50 * number + 28, 12, str(one), va="center", color=MUTED)


def _panel(figure: Figure, left: float, top: float, wide: float, followed: bool, high: float = HIGH) -> Axes:
    """Axes at a place in pixels from the top left, in a darker frame where the latent follows their factor."""
    width, height = figure.get_size_inches() * 100
    place = (left / width, 1 - (top + high) / height, wide / width, high / height)
    axes = figure.add_axes(place, xticks=[], yticks=[])
    axes.set_facecolor("none")
    axes.spines[:].set(color=INK if followed else LINE, linewidth=1.4 if followed else 0.8)
    return axes


def _curves(axes: Axes, means: Array, reach: float) -> None:
    """Mean codes [colours, V] as lines."""
    axes.axhline(0, color=LINE, linewidth=0.7, zorder=0)
    at = (np.arange(means.shape[1]) + 0.5) / means.shape[1]
    for number, mean in enumerate(means):
        known = np.isfinite(mean)
        colour = BLUE if len(means) == 1 else CYCLE[number]
        axes.plot(at[known], mean[known], color=colour, linestyle=STYLES[number], linewidth=1.5)
    axes.set(xlim=(0, 1), ylim=(-1.08 * reach, 1.08 * reach))


def _shades(reach: float) -> dict[str, Any]:
    return {"cmap": DIVERGING, "vmin": -reach, "vmax": reach, "aspect": "auto", "interpolation": "none"}


def _key(figure: Figure, top: float, reach: float) -> None:
    """The colours of the maps from -reach to reach."""
    axes = _panel(figure, LEFT, top, HIGH, False, 8)
    axes.imshow(np.linspace(-reach, reach, 64)[None], **_shades(reach))
    for share, at in ((0, -reach), (0.5, 0.0), (1, reach)):
        label(figure, LEFT + share * HIGH, top + 18, signed(at), ha="center", va="center", color=MUTED, size=8)
