"""Figures of the experiments, with the log-likelihood in grey and free energies in colour."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from equipoise_toys import factor_analysis, ica
from equipoise_toys.experiments import (
    BUDGET,
    GONE,
    ICA_BETAS,
    NOISE,
    SCALES,
    VARIANCES,
    Learned,
    Pruning,
    Rotation,
    Shrinking,
)
from equipoise_toys.factor_analysis import Array

# Okabe & Ito's colours, which are distinct for readers with any colour vision (https://jfly.uni-koeln.de/color/).
BLUE, ORANGE = "#0072b2", "#d55e00"
COLOURS = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00")
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))  # a second mark of each colour
INK, MUTED, LINE = "#1f2328", "#656d76", "#d0d7de"


def rotation(result: Rotation) -> Figure:
    """Experiment 1: log-likelihood and free energy over the angle; the posteriors at 0° and 45°."""
    figure = _figure(9.6, 3.1)
    curves, *posteriors = figure.subplots(1, 3, width_ratios=(1.7, 1, 1))
    curves.plot(result.angle, result.log_likelihood, color=MUTED, linewidth=3, label="log-likelihood")
    curves.plot(result.angle, result.free_energy[1.0], color=BLUE, label="free energy")
    curves.legend(frameon=False, fontsize=8, loc="lower center")
    _degrees(curves)
    _labels(curves, "VI prefers orthogonal components", "rotation of the latents", "nats, all data")
    for axes, angle in zip(posteriors, (0, 45), strict=True):
        weights = factor_analysis.rotated(np.diag(SCALES), np.deg2rad(angle))
        _posteriors(axes, weights)
        _labels(axes, f"posterior at {angle}°", "z₁ minus its mean", "z₂ minus its mean")
    posteriors[1].legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def pruning(result: Pruning) -> Figure:
    """Experiment 2: log-likelihood and free energy over the length of the first of two copies of a component."""
    figure = _figure(5.2, 3.2)
    axes = figure.subplots()
    axes.plot(result.share, result.log_likelihood, color=MUTED, linewidth=3, label="log-likelihood")
    axes.plot(result.share, result.free_energy, color=BLUE, label="free energy")
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    _labels(axes, "VI prunes one of two parallel components", "length a of the first copy (1: alone)", "nats, all data")
    return figure


def beta(result: Rotation) -> Figure:
    """Experiment 3: the free energy over the angle at each beta, minus its maximum, in both scalings."""
    figure = _figure(9.6, 3.2)
    names = "F = E log p(x|z) / β − KL", "β F = E log p(x|z) − β KL"
    for axes, name, scaled in zip(figure.subplots(1, 2), names, (False, True), strict=True):
        for (value, free), colour, dash in zip(result.free_energy.items(), COLOURS, DASHES, strict=True):
            below = (value if scaled else 1) * (free - free.max())
            axes.plot(result.angle, below, color=colour, linestyle=dash, label=f"β = {value:g}")
        _degrees(axes)
        _labels(axes, name, "rotation of the latents", "nats below the maximum, all data")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def shrinking(result: Shrinking) -> Figure:
    """The linear beta-VAE: eigenvalues of W Wᵀ over beta, after the fit (marks) and in closed form (lines)."""
    figure = _figure(5.6, 3.4)
    axes = figure.subplots()
    betas = np.array(list(result.eigenvalues))
    values = np.stack(list(result.eigenvalues.values()))
    fine = np.geomspace(betas.min(), betas.max(), 400)
    for k, (variance, colour) in enumerate(zip(VARIANCES, COLOURS[:4], strict=True)):
        axes.plot(fine, np.maximum(variance - fine * NOISE, 0), color=colour, linewidth=1.3)
        axes.plot(betas, values[:, k], "osD^"[k], color=colour, markersize=5, clip_on=False, label=f"{variance:g}")
    axes.set_xscale("log")
    axes.set_xticks(betas, [f"{value:g}" for value in betas], minor=False)
    axes.minorticks_off()
    axes.legend(title="variance of the data", title_fontsize=8, frameon=False, fontsize=8)
    _labels(axes, f"β shrinks and prunes: max(λ − β·{NOISE:g}, 0)", "β", "eigenvalue of W Wᵀ, variance of x")
    return figure


def components(result: Sequence[Learned]) -> Figure:
    """Over-complete ICA: components after few and many iterations on the first data set; length of the shortest."""
    figure = _figure(9.6, 5.6)
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1), squeeze=False)[0]
    first = {run.beta: run.weights for run in result if run.seed == result[0].seed}
    x, _, truth = ica.sample(result[0].seed)
    last = len(result[0].weights) - 1
    for row, at in zip(left.subplots(2, 2), (BUDGET, last), strict=True):
        for axes, value in zip(row, ICA_BETAS, strict=True):
            _components(axes, x, truth, first[value][at])
            _labels(axes, f"β = {value:g}, {at} EM iterations", "x₁", "x₂")
    left.legend(*row[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8)

    axes = right.subplots()
    for run in result:
        sizes = ica.lengths(run.weights)
        style = (ORANGE, "--") if run.beta == ICA_BETAS[0] else (BLUE, "-")
        label = f"β = {run.beta:g}" if run.seed == result[0].seed else None
        axes.plot(sizes[:, 0] / sizes[:, -1], color=style[0], linestyle=style[1], linewidth=1.3, label=label)
    axes.axhline(GONE, color=LINE, linewidth=0.8)
    axes.axvline(BUDGET, color=LINE, linewidth=0.8)
    axes.text(last, GONE + 0.01, "pruned below this line", size=8, color=MUTED, ha="right")
    axes.text(BUDGET + 6, 0.97, f"{BUDGET} iterations: the paper’s picture", size=8, color=MUTED)
    axes.legend(frameon=False, fontsize=8, loc="center right")
    _labels(axes, "Both prune; β = 5 is faster", "EM iteration", "shortest over longest component")
    return figure


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG file on white, 150 pixels per inch."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _posteriors(axes: Axes, weights: Array) -> None:
    """Ellipses at one standard deviation: the exact posterior of two latents and its factorised approximation."""
    precision, _, variances = factor_analysis.posterior(weights, np.full(2, NOISE))
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 200))
    around = np.stack([circle.real, circle.imag])
    axes.plot(*np.linalg.cholesky(np.linalg.inv(precision)) @ around, color=MUTED, linewidth=3, label="exact")
    axes.plot(*np.diag(np.sqrt(variances)) @ around, "--", color=BLUE, label="factorised")
    axes.set(xlim=(-0.7, 0.7), ylim=(-0.7, 0.7), aspect="equal", xticks=(-0.5, 0, 0.5), yticks=(-0.5, 0, 0.5))


def _components(axes: Axes, x: Array, truth: Array, weights: Array) -> None:
    reach = 4.2  # of the picture; a few data lie outside
    axes.plot(*x.T, ".", color=MUTED, alpha=0.5, markersize=4, markeredgewidth=0, zorder=0, label="data")
    for k in range(truth.shape[1]):
        label = "true" if k == 0 else None
        axes.plot(*np.outer(truth[:, k], (-2.5, 2.5)), color=INK, linestyle=":", linewidth=1.4, label=label)
        label = "learned" if k == 0 else None
        axes.plot(*np.outer(weights[:, k], (-2.5, 2.5)), color=ORANGE, linewidth=2, label=label)
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=(-4, 0, 4), yticks=(-4, 0, 4))


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), facecolor="white", layout="constrained")


def _degrees(axes: Axes) -> None:
    axes.set_xticks(range(0, 181, 45), [f"{angle}°" for angle in range(0, 181, 45)])


def _labels(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title, size=9, color=INK, loc="left")
    axes.set_xlabel(across, size=8, color=MUTED)
    axes.set_ylabel(up, size=8, color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=8)
