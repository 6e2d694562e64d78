"""What happened in training, drawn: the logged means over the steps, beside what they are held against."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from equipoise.config import Config, outline
from equipoise.objective import Objective
from equipoise.part import Aims, Rows, column
from equipoise.report.figures import CYCLE, INK, LINE, MUTED, SHADES, plain
from equipoise.report.latents import Array, parts_of
from equipoise.report.log import with_context

Columns = dict[str, Array]

COLUMNS = 3
HEIGHT = 2.35  # inches of a row of panels
MOST_POINTS = 400  # of a curve; more cannot be told apart on a page
SAME = 1e-6  # relative difference that is rounding

PARTS = ("mi", "tc", "dim_kl")  # whose sum is the KL
EQUIVALENTS = {"beta_equivalent": "kl", "tc_equivalent": "tc"}  # and the term that each is about
# The error of a controller is the gap between two lines that are drawn, its integral and the beta of accuracy feedback
# are a weight again, and the loss of a discriminator says no more than its accuracy.
UNDRAWN = ("step", "lr", "images_per_second", "seconds", "error", "integral", "beta", "adversary_loss")


@dataclass(frozen=True)
class Panel:
    """Curves of one scale by name, and dashed beside them what they are held against."""

    title: str
    lines: Columns
    aims: Columns


def training_curves(log: Rows, config: Config) -> Figure:
    """Figure of the logged means over training steps: terms per image, what moved of their weights, what else is known.

    Beside a value, dashed, is what the balance holds it against: the set point of a controller, a capacity, an accuracy
    that is aimed at or is chance, the trade-off at which learned weights settle. The last panels have a row for each
    latent: its KL, its relevance.
    """
    rows = [log[i] for i in np.unique(np.linspace(0, len(log) - 1, MOST_POINTS).astype(int))]
    step = column(rows, "step")
    objective = outline(config)
    parts = parts_of(objective.prior)
    panels = _panels(rows, _aims(rows, config, objective), parts)
    maps = [name for name in ("kl_dims", "relevance_dims") if name in rows[-1] and len(rows) > 1]

    widths = _widths(len(panels), len(maps))
    # Fixed margins: a layout engine would take longer than all the drawing.
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
        _curves(axes, step, panel)
    for axes, name in zip(places[len(panels) :], maps, strict=True):
        values = np.array([row[name] for row in rows], dtype=float)
        if name == "relevance_dims":
            _map(axes, step, values, [f"z{j}" for j in range(values.shape[1])], 1.0, "relevance of each latent, 0 to 1")
        else:
            # The burst of the first steps would leave the rest without contrast.
            top = max(float(values[len(values) // 2 :].max()), 0.01)
            each = "latent" if len(parts) == config.net.latent else "subspace"
            _map(axes, step, values, parts, top, f"KL of each {each}, nats")
    return figure


def constant_weights(log: Rows) -> dict[str, float]:
    """The weights that are the same in every row of the log, by term."""
    columns = {name: column(log, f"weight.{name}") for name in _weighed(log)}
    return {name: float(values[-1]) for name, values in columns.items() if not moved(values)}


def _aims(rows: Rows, config: Config, objective: Objective) -> Aims:
    """The target values of what is logged, from all parts of the objective; chance before the target of an accuracy."""
    aims: Aims = defaultdict(dict)
    for part in reversed(objective.parts):
        for key, lines in part.aims(with_context(rows, config, objective)).items():
            aims[key] |= lines
    return aims


def _panels(rows: Rows, aims: Aims, parts: Sequence[str]) -> list[Panel]:
    """The panels in reading order, each with something to draw. One with a single curve is called after it."""
    columns = _columns(rows, aims, parts)
    terms = _weighed(rows)
    weights = {f"weight.{name}": f"weight of {name}" for name in terms}
    for key in weights:
        if f"{key}_dims" in rows[-1]:
            weights[key] += ", mean over latents"
    exponents = {key: key.removeprefix("exponent ") for key in columns if key.startswith("exponent ")}
    # What a panel shows together, its unit, and the name of each curve by its key in the log.
    groups: list[tuple[str, str, Mapping[str, str]]] = [
        ("", ", nats per image", {"rec": "reconstruction term R"}),
        ("", ", nats per image", {"kl": "KL term K"}),
        (
            "parts of the KL",
            ", nats per image",
            {"mi": "mutual information", "tc": "total correlation", "dim_kl": "marginal KLs"},
        ),
        ("covariance less I", ", squared", {"cov_off": "off the diagonal", "cov_diag": "on the diagonal"}),
        ("", ", nats per image", {"loss": "loss"}),
        (
            "equivalents",
            ", weight per unit of error",
            {"beta_equivalent": "β-equivalent", "tc_equivalent": "TC-equivalent"},
        ),
        ("weights of the terms", "", weights),
        ("accuracy", " of the discriminator", {"accuracy": "accuracy", "smoothed": "running mean"}),
        ("", ", pixels from 0 to 1", {"sigma": "σ of the decoder"}),
        ("σ of the terms", "", {f"sigma.{name}": f"σ of {name}" for name in terms}),
        ("log σ of the terms", "", {f"log_sigma.{name}": f"log σ of {name}" for name in terms}),
        ("subspaces", ", exponent of the prior", exponents),
    ]
    known = {key for _, _, labels in groups for key in labels}
    groups.append(("other values", ", as logged", {key: key for key in columns if key not in known}))
    panels = []
    for title, unit, labels in groups:
        drawn = {key: label for key, label in labels.items() if key in columns}
        if drawn:
            lines = {label: columns[key] for key, label in drawn.items()}
            held = {name: values for key in drawn if key in aims for name, values in aims[key].items()}
            panels.append(Panel((next(iter(lines)) if len(lines) == 1 else title) + unit, lines, held))
    return panels


def _columns(rows: Rows, aims: Aims, parts: Sequence[str]) -> Columns:
    """The logged values that are worth a curve."""
    last = rows[-1]
    columns = {key: column(rows, key) for key, value in last.items() if not isinstance(value, list)}
    for number, values in enumerate(np.array([row.get("exponents", []) for row in rows], dtype=float).T):
        # Where a subspace is divided the exponents are in the order in which the layout is written.
        name = parts[number] if len(parts) == len(last["exponents"]) else f"{number + 1}"
        columns[f"exponent {name}"] = values

    left_out = {*UNDRAWN, *(key for key, values in columns.items() if not np.isfinite(values).any())}
    # A weight that never moves is a setting; where nothing else is scaled an equivalent is the weight itself.
    for key in [*(f"weight.{name}" for name in _weighed(rows)), *EQUIVALENTS]:
        if key in columns and key not in aims and not moved(columns[key]):
            left_out.add(key)
    for key, name in EQUIVALENTS.items():
        weight = columns.get(f"weight.{name}")
        if key in columns and weight is not None and np.allclose(columns[key], weight, SAME, 0, equal_nan=True):
            left_out.add(key)
    beside = {name for key in aims if key in columns for name in aims[key]}
    left_out |= {"set_point"} if "set point" in beside else set()
    left_out |= {"capacity"} if "capacity of all latents" in beside else set()
    return {key: values for key, values in columns.items() if key not in left_out}


def _weighed(rows: Rows) -> list[str]:
    """The terms that the rows have weights of."""
    keys = rows[-1] if rows else {}
    return [key.removeprefix("weight.") for key in keys if key.startswith("weight.") and not key.endswith("_dims")]


def moved(values: Array) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and np.ptp(finite) > SAME * np.abs(finite).max())


def _widths(curves: int, maps: int) -> list[list[int]]:
    """Widths of the panels of each row, in sixths of the figure: curves first, then maps, with every row full.

    Maps take what the curves leave of the last row, or a row of their own.
    """
    whole, over = divmod(curves, COLUMNS)
    if maps and over and over + maps <= COLUMNS:
        return [[2] * COLUMNS] * whole + [[2] * over + [(2 * COLUMNS - 2 * over) // maps] * maps]
    lines = [len(line) for line in np.array_split(range(curves), -(-curves // COLUMNS))] + ([maps] if maps else [])
    return [[2 * COLUMNS // line] * line for line in lines]


def _curves(axes: Axes, step: Array, panel: Panel) -> None:
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
    _titled(axes, panel.title)


def _scale(axes: Axes, panel: Panel) -> None:
    """The vertical scale: of accuracies up to 1, beside an aim linear from 0, and else logarithmic where that helps."""
    curves = [*panel.lines.values(), *panel.aims.values()]
    if "chance" in panel.aims:
        axes.set_ylim(min(0.45, *(float(np.nanmin(values)) for values in curves)), 1)
        return
    if panel.aims:
        # Held to an aim or not is a question of differences, which the burst of the first steps would make invisible.
        curves = [values[len(values) // 2 :] for values in curves]
    every = np.concatenate(curves)
    finite = every[np.isfinite(every)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if panel.aims:
        axes.set_ylim(min(low, -0.03 * high), 1.08 * high)
    elif low > 0 and high > 10 * low:
        low = max(low, high / 1e5)  # smaller values are 0 for the eye
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        log_ticks(axes.yaxis, low, high)
    if low < 0 < high:
        axes.axhline(0, color=LINE, linewidth=0.8, zorder=0)


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks that can be read as numbers, on a logarithmic axis from `low` to `high`."""
    axis.set_major_locator(LogLocator(subs=(1,) if high > 200 * low else (1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _map(axes: Axes, step: Array, values: Array, names: Sequence[str], top: float, title: str) -> None:
    """Values [rows, D] over training as shades from 0 to `top`, largest last value at the top."""
    order = np.argsort(-values[-1], kind="stable")
    edges = np.interp(np.arange(len(step) + 1) - 0.5, np.arange(len(step)), step)
    mesh = axes.pcolormesh(edges, np.arange(len(order) + 1), values[:, order].T, cmap=SHADES, vmin=0, vmax=top)
    mesh.set_rasterized(True)
    axes.invert_yaxis()
    shown = range(0, len(order), -(-len(order) // 16))
    axes.set_yticks([row + 0.5 for row in shown], [names[order[row]] for row in shown])
    bar = axes.figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.015)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=8, length=0)
    _titled(axes, title)


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, size=9, color=INK, loc="left")
    axes.set_xlabel("step", size=8, color=MUTED)
    plain(axes)
