"""The mean codes of latents over the factors: a map over two factors, lines over the others.

After the figures of Chen et al. (2018, arXiv:1802.04942) and Stuehmer et al. (2020, arXiv:1909.05063, appendix).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.errors import InputError
from equipoise.report.figures.canvas import axes_at, canvas, label, signed
from equipoise.report.figures.style import BLUE, CYCLE, INK, LINE, MUTED, short
from equipoise.report.latents import Array, Factor, Latent, factors_over, latent_variances, latents_over, levels

Levels = NDArray[np.int64]

MAP_VALUES = 5  # values that a factor needs to be a side of the map; with fewer it can be shown by colours
COLOUR_VALUES = 6  # values that colours can show, of a factor without an order
PANELS = 4  # factors shown by lines
CELL = 16  # images behind each mean, whose standard error is then a quarter of the standard deviation
KINDS = ("shape", "class", "category", "kind", "type")  # parts of the names of factors whose values have no order
PAIRS = (("x", "y"), ("horizontal", "vertical"), ("azimuth", "elevation"))  # parts of the names of two directions

# Pixels of the page.
WIDTH, LEFT, RIGHT, TOP, BELOW = 944.0, 118.0, 44.0, 48.0, 34.0
HEIGHT, GAP, BESIDE = 96.0, 12.0, 30.0
DIVERGING = "RdBu_r"  # blue below 0, red above
STYLES = ("-", "--", ":", "-.", (0, (6, 1)), (0, (1, 3)))  # so that lines differ in more than their colour


@dataclass(frozen=True)
class Arrangement:
    """The factors of the two sides of the map, of the colours of lines, and of the panels with lines."""

    sides: tuple[str, str] | None
    colours: str | None
    lines: list[str]


@dataclass(frozen=True)
class Means:
    """Mean codes of D latents: `map` [rows, columns, D] over the two sides, `lines` [colours, V, D] by factor."""

    map: Array | None
    lines: dict[str, Array]

    @property
    def limit(self) -> float:
        """The largest absolute mean code, where all scales end."""
        means = [*self.lines.values(), *([] if self.map is None else [self.map])]
        return max((float(np.nanmax(np.abs(mean))) for mean in means), default=0.0) or 1.0


def latents_vs_factors(
    codes: NDArray[Any],
    factors: NDArray[Any],
    names: Sequence[str],
    value_names: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """Return a figure of the mean code of each active latent over the factors, a row for each latent.

    Two factors that are directions by their names, such as pos_x and pos_y, or else the two that affect the latents
    most, are the sides of a map: blue below 0, red above. Up to four others are the horizontal axes of line plots. A
    factor that has few values, or no order by its name, such as shape, gives the colours of the lines. All scales have
    the same ends. Rows are sorted by the variance of the codes, largest first.

    Args:
        codes: Posterior means of the images, float [N, D].
        factors: Values of the factors of the same images, [N, K].
        names: Names of the K factors.
        value_names: For some factors the names of their values 0..V-1, for the key of the colours.

    Returns:
        A Matplotlib figure.

    Example:
        >>> import numpy as np
        >>> import equipoise as eq
        >>> factors = np.stack(np.unravel_index(np.arange(100), (10, 10)), axis=1)
        >>> figure = eq.report.latents_vs_factors(factors / 10 - 0.5, factors, ["pos_x", "pos_y"])
        >>> [text.get_text() for text in figure.texts][:2]
        ['pos_x →', 'pos_y ↓']
    """
    codes = codes.astype(np.float64)
    varied = factors_over(codes, factors, names)
    latents = latents_over(codes, latent_variances(codes), np.ones(codes.shape[1]), varied, None)
    active = [latent for latent in latents if latent.active]
    return mean_code_figure(codes, factors, names, varied, active or latents[:3], value_names or {})


def mean_code_figure(
    codes: Array,
    factors: NDArray[Any],
    names: Sequence[str],
    varied: Sequence[Factor],
    latents: Sequence[Latent],
    value_names: Mapping[str, Sequence[str]],
) -> Figure:
    """Return the figure of `latents_vs_factors` for these latents; `varied` has the factors with two values or more."""
    indices = [latent.index for latent in latents]
    arrangement = arrange(varied, indices)
    raw = dict(zip(names, factors.T, strict=True))
    values = {factor.name: levels(raw[factor.name]) for factor in varied}
    means = _means(codes[:, indices], values, arrangement)
    limit = means.limit

    # Fixed places: a layout engine would take longer than all the drawing.
    figure = canvas(WIDTH, TOP + len(latents) * (HEIGHT + GAP) + (0 if means.map is None else BELOW))
    start = LEFT if means.map is None else LEFT + HEIGHT + BESIDE
    width = min(220.0, (WIDTH - RIGHT - start + GAP) / max(len(means.lines), 1) - GAP)
    columns = {name: start + column * (width + GAP) for column, name in enumerate(means.lines)}
    _head(figure, arrangement, columns, width)
    if (factor := arrangement.colours) is not None:
        texts = _value_texts(factor, raw[factor], values[factor], value_names.get(factor, ()))
        _key_of_lines(figure, min(columns.values()), factor, texts)
    for row, latent in enumerate(latents):
        top = TOP + row * (HEIGHT + GAP)
        middle = top + HEIGHT / 2
        label(figure, LEFT - 14, middle - 9, f"z{latent.index}", ha="right", weight="bold", size=10)
        if latent.factor is not None:
            label(figure, LEFT - 14, middle + 9, short(latent.factor, LEFT - 20), ha="right", color=MUTED)
        if means.map is not None:
            axes = _panel(figure, LEFT, top, HEIGHT, latent.factor in (arrangement.sides or ()))
            axes.imshow(means.map[..., row], **_shades(limit))
        for name, left in columns.items():
            axes = _panel(figure, left, top, width, latent.factor == name)
            _curves(axes, means.lines[name][..., row], limit)
        if columns:
            right = max(columns.values()) + width + 6
            for share, value in ((0.04, limit), (0.5, 0.0), (0.96, -limit)):
                label(figure, right, top + share * HEIGHT, signed(value), color=MUTED)
    if means.map is not None:
        _key_of_map(figure, TOP + len(latents) * (HEIGHT + GAP) + 4, limit)
    return figure


def arrange(factors: Sequence[Factor], latents: Sequence[int]) -> Arrangement:
    """Choose how each factor is drawn, by its name, its number of values and its effect on these latents."""
    size = {factor.name: len(factor.mean) for factor in factors}
    effect = {factor.name: float(factor.explained[list(latents)].max()) for factor in factors}
    by_effect = sorted(size, key=lambda name: -effect[name])
    ordered = [name for name in by_effect if size[name] >= MAP_VALUES and not _is_kind(name)]
    sides = _directions(ordered) or ((ordered[0], ordered[1]) if len(ordered) > 1 else None)
    rest = [name for name in by_effect if sides is None or name not in sides]
    few = [name for name in rest if size[name] < MAP_VALUES or (_is_kind(name) and size[name] <= COLOUR_VALUES)]
    # A factor without an order by its name comes before one that merely has few values.
    colours = min(few, key=lambda name: not _is_kind(name)) if few and len(rest) > 1 else None
    lines = [name for name in rest if name != colours][:PANELS]
    return Arrangement(sides, colours, [name for name in size if name in lines])


def _is_kind(name: str) -> bool:
    return any(kind in name.lower() for kind in KINDS)


def _directions(names: Sequence[str]) -> tuple[str, str] | None:
    """Return two names that differ in their direction alone, such as pos_x and pos_y."""
    lower = {name.lower(): name for name in names}
    for across, down in PAIRS:
        for name in lower:
            other = name.replace(across, down)
            if other != name and other in lower:
                return lower[name], lower[other]
    return None


def _means(codes: Array, values: dict[str, Levels], arrangement: Arrangement) -> Means:
    """Average the codes over the factors' values. Neighbouring values are joined until each mean has enough images."""
    most = len(codes) // CELL
    grid = None
    if arrangement.sides is not None:
        across, down = (_join(values[side], math.isqrt(most)) for side in arrangement.sides)
        grid = _cells(codes, down, across)
    colour = np.zeros(len(codes), np.int64) if arrangement.colours is None else values[arrangement.colours]
    lines = {name: _join(values[name], most // (int(colour.max()) + 1)) for name in arrangement.lines}
    return Means(grid, {name: _cells(codes, colour, joint) for name, joint in lines.items()})


def _join(values: Levels, most: int) -> Levels:
    """Join neighbours of the values 0..V-1 so that at most `most`, or two, remain."""
    joint: Levels = values // -(-(int(values.max()) + 1) // max(most, 2))
    return joint


def _cells(codes: Array, rows: Levels, columns: Levels) -> Array:
    """Return the means [R, C, D] of codes [n, D] over the images with each pair of values; nan where there is none."""
    shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    cell = np.ravel_multi_index((rows, columns), shape)
    count = np.bincount(cell, minlength=math.prod(shape)).astype(float)
    count[count == 0] = np.nan
    means = [np.bincount(cell, weights, minlength=len(count)) / count for weights in codes.T]
    return np.stack(means, axis=-1).reshape(*shape, -1)


def _head(figure: Figure, arrangement: Arrangement, columns: dict[str, float], width: float) -> None:
    """Write the names of the factors above their panels."""
    if arrangement.sides is not None:
        for line, side in enumerate(arrangement.sides):
            text = f"{short(side, HEIGHT + 4)} {'→↓'[line]}"
            label(figure, LEFT + HEIGHT / 2, 18 + 16 * line, text, ha="center")
    for name, left in columns.items():
        label(figure, left + width / 2, 34, short(name, width), ha="center")


def _value_texts(factor: str, column: NDArray[Any], labels: Levels, names: Sequence[str]) -> list[str]:
    """Return the names of the values of a factor that occur, or without names the labels 0..V-1."""
    if not names:
        return [str(value) for value in range(int(labels.max()) + 1)]
    present = np.unique(column).astype(int)
    if present.min() < 0 or present.max() >= len(names):
        raise InputError(
            f"value_names: {factor} has the values {present.min()} to {present.max()}, and {len(names)} names; "
            "expected a name for each value from 0 on"
        )
    return [names[value] for value in present]


def _key_of_lines(figure: Figure, left: float, factor: str, values: Sequence[str]) -> None:
    """Draw a line in the colour of each value of a factor, and write the value beside it."""
    name = short(factor, 150)
    label(figure, left, 12, f"{name}:", color=MUTED)
    left += 7 * len(name) + 12
    for number, value in enumerate(values):
        axes = _panel(figure, left, 6, 24, False, 12)
        axes.set_axis_off()
        axes.plot([0, 1], [0, 0], color=CYCLE[number], linestyle=STYLES[number], linewidth=1.8)
        text = short(value, 90)
        label(figure, left + 28, 12, text, color=MUTED)
        left += max(50, 7 * len(text) + 36)


def _panel(figure: Figure, left: float, top: float, width: float, is_followed: bool, height: float = HEIGHT) -> Axes:
    """Return new axes, placed in pixels. Their frame is strong where the latent follows their factor."""
    axes = axes_at(figure, left, top, width, height)
    axes.set(xticks=[], yticks=[], facecolor="none")
    axes.spines[:].set(color=INK if is_followed else LINE, linewidth=1.4 if is_followed else 0.8)
    return axes


def _curves(axes: Axes, means: Array, limit: float) -> None:
    """Draw mean codes [colours, V] as lines."""
    axes.axhline(0, color=LINE, linewidth=0.7, zorder=0)
    x = (np.arange(means.shape[1]) + 0.5) / means.shape[1]
    for number, mean in enumerate(means):
        is_finite = np.isfinite(mean)
        colour = BLUE if len(means) == 1 else CYCLE[number]
        axes.plot(x[is_finite], mean[is_finite], color=colour, linestyle=STYLES[number], linewidth=1.5)
    axes.set(xlim=(0, 1), ylim=(-1.08 * limit, 1.08 * limit))


def _shades(limit: float) -> dict[str, Any]:
    return {"cmap": DIVERGING, "vmin": -limit, "vmax": limit, "aspect": "auto", "interpolation": "none"}


def _key_of_map(figure: Figure, top: float, limit: float) -> None:
    """Draw the colours of the maps from -limit to limit."""
    axes = _panel(figure, LEFT, top, HEIGHT, False, 8)
    axes.imshow(np.linspace(-limit, limit, 64)[None], **_shades(limit))
    for share, value in ((0, -limit), (0.5, 0.0), (1, limit)):
        label(figure, LEFT + share * HEIGHT, top + 18, signed(value), ha="center", color=MUTED, size=8)
