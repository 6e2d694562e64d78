"""The training curves: the logged values over the steps, with their targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from equipoise.config import Config, outline
from equipoise.part import Aims, Rows, column, merged_aims
from equipoise.report.figures.style import CYCLE, INK, LINE, MUTED, SHADES, label_axes
from equipoise.report.latents import Array, parts_of
from equipoise.report.log import with_context

Columns = dict[str, Array]

COLUMNS = 3
HEIGHT = 2.35  # inches of a row of panels
MOST_POINTS = 400  # of a curve; more cannot be distinguished on a page
SAME = 1e-6  # relative difference up to which values are equal

EQUIVALENTS = {"beta_equivalent": "kl", "tc_equivalent": "tc"}  # and the terms that they weight
# Logged values that are not drawn, because another curve has the same information or they do not change with training.
UNDRAWN = (
    *("step", "lr", "images_per_second", "seconds"),
    *("error", "integral", "beta"),  # of controllers: the gap between two lines, and weights
    "adversary_loss",  # follows the accuracy of the discriminator
    *("spread", "unit_mean", "rec_min", "sse_of_mean"),  # of the images, and of the perfect and the mean reconstruction
    *("multiplier", "ratio", "error_mean"),  # of geco: the inverse of a weight, that weight, the gap between two lines
    *("term_mean", "entered", "kl_mean", "opened"),  # state of the balances of aligned-vae and outline-vae
)
OF_TERMS = {"weight": "weight", "sigma": "σ", "log_sigma": "log σ"}  # values that each term has, and their names
# Logged values that are not drawn beside a dashed line of this name, which shows them.
AS_TARGETS = {"set_point": "set point", "bound": "bound", "capacity": "capacity of all latents"}


@dataclass(frozen=True)
class Panel:
    """Curves with one scale, by name, and their targets, which are dashed."""

    title: str
    lines: Columns
    aims: Columns


def training_curves(log: Rows, config: Config) -> Figure:
    """Return a figure of all logged values over the training steps.

    The panels have the terms, the weights that change, and what else is logged. Targets are dashed: the set point of a
    controller, a capacity, the accuracy of chance, the ratio to which learned weights converge. The last panels have a
    row for each latent, with its KL or relevance.

    Args:
        log: Rows of a training log, at least one, as in `run.logs`. Terms are in nats per image.
        config: The settings of the run, as in `run.config`.

    Returns:
        A Matplotlib figure.

    Example:
        >>> import equipoise as eq
        >>> from equipoise.config import resolve
        >>> rows = [{"step": step, "rec": 900 / step, "kl": step / 50} for step in (100, 200, 300)]
        >>> figure = eq.report.training_curves(rows, resolve({"data": "dsprites", "method": "vae"}))
        >>> figure.axes[0].get_title(loc="left")
        'reconstruction term R, nats per image'
    """
    rows = thin(log)
    step = column(rows, "step")
    objective = outline(config)
    parts = parts_of(objective.prior)
    # The targets of the balance come last, after chance.
    panels = _panels(rows, merged_aims(reversed(objective.parts), with_context(rows, config, objective)), parts)
    maps = [name for name in ("kl_dims", "relevance_dims") if name in rows[-1] and len(rows) > 1]

    widths = _widths(len(panels), len(maps))
    # Fixed margins: a layout engine would take longer than the rest of the drawing.
    high = HEIGHT * len(widths)
    figure = Figure(figsize=(9.6, high), facecolor="white")
    margins = {"left": 0.07, "right": 0.97, "bottom": 0.46 / high, "top": 1 - 0.27 / high}
    grid = figure.add_gridspec(len(widths), 2 * COLUMNS, **margins, wspace=0.64, hspace=0.47)
    places = [
        figure.add_subplot(grid[line, sum(row[:place]) : sum(row[: place + 1])])
        for line, row in enumerate(widths)
        for place in range(len(row))
    ]
    for axes, panel in zip(places, panels, strict=False):
        _draw_curves(axes, step, panel)
    for axes, name in zip(places[len(panels) :], maps, strict=True):
        values = np.array([row[name] for row in rows], dtype=float)
        if name == "relevance_dims":
            labels, top, title = [f"z{j}" for j in range(values.shape[1])], 1.0, "relevance of each latent, 0 to 1"
        else:
            # The large values of the first steps would leave the rest without contrast.
            labels, top = parts, max(float(values[len(values) // 2 :].max()), 0.01)
            title = f"KL of each {'latent' if len(parts) == config.net.latent else 'subspace'}, nats"
        _draw_map(axes, step, values, labels, top, title)
    return figure


def thin(log: Rows) -> Rows:
    """Return at most 400 rows of the log at even distances, first and last included."""
    return [log[i] for i in np.unique(np.linspace(0, len(log) - 1, MOST_POINTS).astype(int))] if log else []


def constant_weights(log: Rows) -> dict[str, float]:
    """Return the weights that are the same in every row of the log, by term."""
    columns = {name: column(log, f"weight.{name}") for name in _weighted_terms(log)}
    return {name: float(values[-1]) for name, values in columns.items() if not is_changing(values)}


def _panels(rows: Rows, aims: Aims, parts: Sequence[str]) -> list[Panel]:
    """Return the panels that have a curve, in reading order. A panel with one curve is named after it."""
    columns = _columns(rows, aims, parts)
    terms = _weighted_terms(rows)
    means = {name: ", mean over latents" for name in terms if f"weight.{name}_dims" in rows[-1]}
    exponents = {key: key.removeprefix("exponent ") for key in columns if key.startswith("exponent ")}
    # Of each panel: title, unit, and the names of its curves by their keys in the log.
    groups: list[tuple[str, str, Mapping[str, str]]] = [
        ("", ", nats per image", {"rec": "reconstruction term R"}),
        ("", ", nats per image", {"edges": "error of the edge maps"}),
        ("", ", nats per image", {"kl": "KL term K"}),
        ("", " per image", {"sse": "squared error"}),
        ("weighted terms", ", nats per image", {"weighted_rec": "weighted R", "weighted_kl": "weighted K"}),
        (
            "parts of the KL",
            ", nats per image",
            {"mi": "mutual information", "tc": "total correlation", "dim_kl": "marginal KLs"},
        ),
        ("covariance minus identity", ", squared", {"cov_off": "off the diagonal", "cov_diag": "on the diagonal"}),
        ("distance of codes and values", "", {"quantise": "moves the values", "commit": "moves the codes"}),
        ("", " of the codes and the prior", {"mmd": "MMD"}),
        ("", " of the codes and the product of their marginals", {"hausdorff": "Hausdorff distance"}),
        ("", ", nats per labelled image", {"labels": "error of the labels"}),
        ("", ", nats per image", {"loss": "loss"}),
        (
            "equivalents",
            ", weight per unit of error",
            {"beta_equivalent": "β-equivalent", "tc_equivalent": "TC-equivalent"},
        ),
        ("weights of the terms", "", _of_terms("weight", terms, columns, means)),
        ("", ", nats", {"tc_decrease": "decrease of the TC by a rotation"}),
        ("accuracy", " of the discriminator", {"accuracy": "accuracy", "smoothed": "running mean"}),
        ("", ", pixels from 0 to 1", {"sigma": "σ of the decoder"}),
        ("σ of the terms", "", _of_terms("sigma", terms, columns, {})),
        ("log σ of the terms", "", _of_terms("log_sigma", terms, columns, {})),
        ("subspaces", ", exponent of the prior", exponents),
    ]
    grouped_keys = {key for _, _, labels in groups for key in labels}
    groups.append(("other values", ", as logged", {key: key for key in columns if key not in grouped_keys}))
    panels = []
    for title, unit, labels in groups:
        present = {key: label for key, label in labels.items() if key in columns}
        if present:
            lines = {label: columns[key] for key, label in present.items()}
            targets = {name: values for key in present if key in aims for name, values in aims[key].items()}
            panels.append(Panel((next(iter(lines)) if len(lines) == 1 else title) + unit, lines, targets))
    return panels


def _of_terms(value: str, terms: Sequence[str], columns: Columns, notes: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the curves of a logged value that each term has: short ones if there are several."""
    keys = {f"{value}.{name}": name for name in terms if f"{value}.{name}" in columns}
    of = f"{OF_TERMS[value]} of " if len(keys) == 1 else ""
    return {key: f"{of}{name}{notes.get(name, '')}" for key, name in keys.items()}


def _columns(rows: Rows, aims: Aims, parts: Sequence[str]) -> Columns:
    """Return the logged values to draw, by key."""
    last = rows[-1]
    columns = {key: column(rows, key) for key, value in last.items() if not isinstance(value, list)}
    for number, values in enumerate(np.array([row.get("exponents", []) for row in rows], dtype=float).T):
        # Where a subspace is nested, there are more exponents than parts; their order is that of the layout.
        name = parts[number] if len(parts) == len(last["exponents"]) else f"{number + 1}"
        columns[f"exponent {name}"] = values

    left_out = {*UNDRAWN, *(key for key, values in columns.items() if not np.isfinite(values).any())}
    # A constant weight is a setting. An equivalent that equals its weight is left out.
    for key in [*(f"weight.{name}" for name in _weighted_terms(rows)), *EQUIVALENTS]:
        if key in columns and key not in aims and not is_changing(columns[key]):
            left_out.add(key)
    for key, name in EQUIVALENTS.items():
        weight = columns.get(f"weight.{name}")
        if key in columns and weight is not None and np.allclose(columns[key], weight, SAME, 0, equal_nan=True):
            left_out.add(key)
    targets = {name for key in aims if key in columns for name in aims[key]}
    left_out |= {key for key, name in AS_TARGETS.items() if name in targets}
    return {key: values for key, values in columns.items() if key not in left_out}


def _weighted_terms(rows: Rows) -> list[str]:
    """Return the terms whose weights are logged."""
    keys = rows[-1] if rows else {}
    return [key.removeprefix("weight.") for key in keys if key.startswith("weight.") and not key.endswith("_dims")]


def is_changing(values: Array) -> bool:
    """Whether values change by more than rounding."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and np.ptp(finite) > SAME * np.abs(finite).max())


def _widths(curves: int, maps: int) -> list[list[int]]:
    """Return the widths of the panels in each row, in sixths of the figure: first curves, then maps. All rows are full.

    Maps fill the last row of the curves, or have a row of their own.
    """
    rows, rest = divmod(curves, COLUMNS)
    if maps and rest and rest + maps <= COLUMNS:
        return [[2] * COLUMNS] * rows + [[2] * rest + [(2 * COLUMNS - 2 * rest) // maps] * maps]
    lines = [len(line) for line in np.array_split(range(curves), -(-curves // COLUMNS))] + ([maps] if maps else [])
    return [[2 * COLUMNS // line] * line for line in lines]


def _draw_curves(axes: Axes, step: Array, panel: Panel) -> None:
    marker = "o" if len(step) == 1 else None
    for number, (name, values) in enumerate(panel.lines.items()):
        axes.plot(step, values, label=name, color=CYCLE[number % len(CYCLE)], linewidth=1.5, marker=marker)
    for number, (name, values) in enumerate(panel.aims.items(), start=len(panel.lines)):
        colour = MUTED if name == "chance" else CYCLE[number % len(CYCLE)]
        axes.plot(step, values, "--", label=name, color=colour, linewidth=1.5, marker=marker)
    _scale(axes, panel)
    names = len(panel.lines) + len(panel.aims)
    if names > 1:
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, ncols=1 + names // 4, columnspacing=1)
    label_axes(axes, panel.title)


def _scale(axes: Axes, panel: Panel) -> None:
    """Scale the vertical axis: to 1 for accuracies, linear from 0 beside a target, logarithmic for a wide range."""
    curves = [*panel.lines.values(), *panel.aims.values()]
    if "chance" in panel.aims:
        axes.set_ylim(min(0.45, *(float(np.nanmin(values)) for values in curves)), 1)
        return
    if panel.aims:
        # Without the large values of the first steps, which would hide the distance to the target.
        curves = [values[len(values) // 2 :] for values in curves]
    every = np.concatenate(curves)
    finite = every[np.isfinite(every)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if panel.aims:
        axes.set_ylim(min(low, -0.03 * high), 1.08 * high)
    elif low > 0 and high > 10 * low:
        low = max(low, high / 1e5)  # smaller values cannot be distinguished from 0
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        log_ticks(axes.yaxis, low, high)
    if low < 0 < high:
        axes.axhline(0, color=LINE, linewidth=0.8, zorder=0)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Set ticks with plain numbers on a logarithmic axis from `low` to `high`."""
    axis.set_major_locator(LogLocator(subs=(1,) if high > 200 * low else (1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _draw_map(axes: Axes, step: Array, values: Array, names: Sequence[str], top: float, title: str) -> None:
    """Draw values [rows, D] over training as shades from 0 to `top`, with the largest last value in the first row."""
    order = np.argsort(-values[-1], kind="stable")
    edges = np.interp(np.arange(len(step) + 1) - 0.5, np.arange(len(step)), step)
    mesh = axes.pcolormesh(edges, np.arange(len(order) + 1), values[:, order].T, cmap=SHADES, vmin=0, vmax=top)
    mesh.set_rasterized(True)
    axes.invert_yaxis()
    labels = range(0, len(order), -(-len(order) // 16))
    axes.set_yticks([row + 0.5 for row in labels], [names[order[row]] for row in labels])
    bar = axes.figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=8, length=0)
    label_axes(axes, title)
