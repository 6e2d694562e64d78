"""The page of a run: one file that needs nothing else, and the pictures beside it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.files import replacing, write_text
from equipoise.likelihoods import Bernoulli
from equipoise.metrics import METRICS, Score
from equipoise.report import figures, pictures
from equipoise.report.animation import animation
from equipoise.report.curves import constant_weights, training_curves
from equipoise.report.figures import information_map
from equipoise.report.findings import Findings, findings
from equipoise.report.latents import ACTIVE, Latent, typical
from equipoise.report.remarks import remarks
from equipoise.report.sentences import alternatives, lead
from equipoise.report.tradeoff import tradeoff
from equipoise.report.versus import arrangement, versus
from equipoise.scoring import Run

TYPICAL = 10  # reconstructions of either kind
MOST = 16  # latents in a picture

# The six measures that the L-VAE paper reports head the page; the table of scores has all.
HEADLINE = ("beta_vae", "factor_vae", "mig", "sap", "explicitness", "irs")


@dataclass(frozen=True)
class Drawn:
    """The pictures of a run by their names, the latents in them, and the rows of codes whose images are shown."""

    figures: Mapping[str, Figure]
    latents: Sequence[Latent]
    typical: NDArray[np.int64]
    worst: NDArray[np.int64]


def write(run: Run) -> Path:
    """The path of `report.html` in the run's folder, written together with the pictures in `pictures/`.

    The page has its pictures inside and loads nothing. The run must be encoded; without factors or scores the page
    shows what can be known and says so. A picture for which a run has no data is left out.
    """
    found = findings(run)
    drawn = _draw(run, found)
    files = {f"{name}.{FILES[name]}": _file(figure, name) for name, figure in drawn.figures.items()}
    files["traversals.gif"] = animation(run.model, found.codes[typical(found.codes)], drawn.latents)
    for name, content in files.items():
        with replacing(run.path / "pictures" / name) as file:
            file.write(content)

    said = remarks(run, found)
    sse = run.codes["sse"]
    alternative = alternatives(run, found, drawn.latents, sse[drawn.typical], sse[drawn.worst])
    page = template("page.html").render(
        title=run.path.resolve().name,
        run=run,
        found=found,
        lead=lead(run, found),
        last=run.logs[-1] if run.logs else {},
        data=run.images,
        sse=float(np.mean(sse)),
        active_variance=ACTIVE,
        unit="cross-entropy" if isinstance(run.model.likelihood, Bernoulli) else "squared error",
        constant=constant_weights(run.logs),
        headline={name: run.scores[name] for name in HEADLINE if name in run.scores},
        warnings=[remark.sentence for remark in said if remark.flag is not None],
        notes=[remark.sentence for remark in said if remark.flag is None],
        drawn=drawn,
        shown=arrangement(found.factors, [one.index for one in drawn.latents]) if found.factors else None,
        svg={name: markup(figure, name, alternative[name]) for name, figure in drawn.figures.items()},
        pictures=sorted(files),
        metrics=METRICS,
        convention=_convention(run.path / "scores.json") if run.scores else "",
        parts=_parts,
        left_out=_left_out,
        settings=(run.path / "config.toml").read_text(encoding="utf-8"),
        meta={key: _said(value) for key, value in run.meta.items() if key not in ("command", "shape", "images")},
    )
    path = run.path / "report.html"
    write_text(path, page)
    return path


# The pictures beside the page, and as what: pixels of a model as pixels, lines as lines.
FILES = {
    "traversals": "png",
    "latents-vs-factors": "png",
    "information": "png",
    "reconstructions": "png",
    "samples": "png",
    "tradeoff": "svg",
    "curves": "svg",
}


def _draw(run: Run, found: Findings) -> Drawn:
    """The pictures that the data of a run allow. Of a model that collapsed the first latents show just that."""
    by_error = np.argsort(run.codes["sse"], kind="stable")
    usual, worst, titles = by_error, by_error[:0], []
    if len(by_error) >= 2 * TYPICAL:
        usual = by_error[(np.linspace(0.05, 0.95, TYPICAL) * (len(by_error) - 1)).round().astype(int)]
        worst = by_error[::-1][:TYPICAL]
        titles = ["from good to bad, at even ranks of the error", f"the {TYPICAL} worst of {len(by_error):,}"]
    x = torch.from_numpy(run.images.pixels(run.codes["index"][np.concatenate([usual, worst])]))
    latents = found.active[:MOST] or [replace(one, factor=None, told=None) for one in found.latents[:3]]
    figures = {
        "traversals": pictures.traversal_figure(run.model, found.codes[typical(found.codes)], latents, found.measure),
        "latents-vs-factors": _versus(run, found, latents),
        "information": None
        if found.information is None or not found.active
        else information_map(found.information.matrix, found.information.names, [one.index for one in latents]),
        "reconstructions": pictures.reconstruction_figure(run.model, x, titles),
        "samples": pictures.samples(run.model),
        "tradeoff": tradeoff(run.logs),
        "curves": training_curves(run.logs, run.config) if run.logs else None,
    }
    return Drawn({name: figure for name, figure in figures.items() if figure is not None}, latents, usual, worst)


def _versus(run: Run, found: Findings, latents: Sequence[Latent]) -> Figure | None:
    if not found.factors or not found.active:
        return None
    return versus(found.codes, run.codes["factors"], run.images.factor_names, found.factors, latents)


def _file(figure: Figure, name: str) -> bytes:
    return figures.png(figure) if FILES[name] == "png" else figures.svg_file(figure, name)


def _parts(score: Score, names: Sequence[str]) -> list[tuple[str, float]]:
    """The parts of a score by factor or by latent, with their names; those left out are missing."""
    if score.per_factor is not None:
        parts = zip(names, score.per_factor, strict=True)
    elif score.per_latent is not None:
        parts = zip((f"z{j}" for j in range(len(score.per_latent))), score.per_latent, strict=True)
    else:
        return []
    return [(name, float(value)) for name, value in parts if np.isfinite(value)]


def _convention(path: Path) -> str:
    """Whose parameters the scores were taken with; it need not be the one of the settings."""
    return str(json.loads(path.read_text(encoding="utf-8"))["convention"])


def _left_out(score: Score, names: Sequence[str]) -> dict[str, list[str]]:
    """What took no part in a score, by reason."""
    reasons: dict[str, list[str]] = {}
    for part, why in score.left_out.items():
        kind, _, number = part.partition(" ")
        name = names[int(number)] if kind == "factor" else f"z{number}"
        reasons.setdefault(why, []).append(name)
    return reasons


def _said(value: Any) -> str:
    """A value of `meta.json` as text: mappings as `key value`, lists with commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_said(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else str(value)


def markup(figure: Figure, name: str, alt: str = "") -> Markup:
    """The figure as part of a page; `name` keeps its ids apart from other figures', `alt` says what it shows."""
    return Markup(figures.svg(figure, name, alt))  # matplotlib has escaped the names in it


def _number(value: float | None, decimals: int | None = None) -> Markup:
    """A number for reading, to `decimals` or to three digits that count, with its exact value in the element.

    A dash where there is none.
    """
    if value is None or not np.isfinite(value):
        return Markup("–")
    if decimals is None:
        decimals = 0 if value == round(value) else max(0, 2 - math.floor(math.log10(abs(value))))
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), f"{value:z,.{decimals}f}".replace("-", "−"))


def template(name: str) -> Template:
    """A page of this folder, to be filled: names are escaped, `number` is a filter, what is missing is an error."""
    files = resources.files(__package__)
    environment = Environment(
        loader=FunctionLoader(lambda file: files.joinpath(file).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment.get_template(name)
