"""The page of a run: one file that needs nothing else, and the pictures beside it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup
from matplotlib.figure import Figure

from equipoise.files import replacing, write_text
from equipoise.likelihoods import Bernoulli
from equipoise.metrics import METRICS, Score
from equipoise.report import figures, pictures
from equipoise.report.curves import constant_weights, training_curves
from equipoise.report.findings import Findings, Run, findings
from equipoise.report.latents import ACTIVE, Latent, typical
from equipoise.report.remarks import remarks

SHOWN = 10  # reconstructions
PANELS = 8  # factors beside a latent

# The six measures that the L-VAE paper reports head the page; the table of scores has all.
HEADLINE = ("beta_vae", "factor_vae", "mig", "sap", "explicitness", "irs")


@dataclass(frozen=True)
class Card:
    """A latent and its two pictures: swept from low to high, and its mean code over the factors, where known."""

    latent: Latent
    strip: Markup
    curves: Markup | None


def write(run: Run) -> Path:
    """The path of `report.html` in the run's folder, written together with `pictures/*.png`.

    The page has its pictures inside and loads nothing. The run must be encoded; without factors or scores the page
    shows what can be known and says so.
    """
    found = findings(run)
    drawn = {name: figure for name, figure in _figures(run, found).items() if figure is not None}
    inline = ["reconstructions", "latents", "training", "information"] if found.active else list(drawn)
    for name, figure in drawn.items():
        with replacing(run.path / "pictures" / f"{name}.png") as file:
            file.write(figures.png(figure))

    page = template("page.html").render(
        title=run.path.resolve().name,
        run=run,
        found=found,
        last=run.logs[-1] if run.logs else {},
        data=run.images,
        sse=float(np.mean(run.codes["sse"])),
        active_variance=ACTIVE,
        unit="cross-entropy" if isinstance(run.model.likelihood, Bernoulli) else "squared error",
        constant=constant_weights(run.logs),
        headline={name: run.scores[name] for name in HEADLINE if name in run.scores},
        notes=[remark.sentence for remark in remarks(run, found)],
        svg={name: markup(drawn[name], name) for name in inline if name in drawn},
        cards=_cards(run, found),
        metrics=METRICS,
        convention=_convention(run.path / "scores.json") if run.scores else "",
        parts=_parts,
        left_out=_left_out,
        settings=(run.path / "config.toml").read_text(encoding="utf-8"),
        meta={key: _said(value) for key, value in run.meta.items() if key != "command"},
    )
    path = run.path / "report.html"
    write_text(path, page)
    return path


def _figures(run: Run, found: Findings) -> dict[str, Figure | None]:
    """The pictures of a run by the name of their file; None for what its data do not allow."""
    by_error = np.argsort(run.codes["sse"], kind="stable")
    ranks = np.unique(np.linspace(0, len(by_error) - 1, SHOWN).round().astype(int))
    x = torch.from_numpy(run.images.pixels(run.codes["index"][by_error[ranks]]))
    drawn = _drawn(found)
    rows = [(latent.index, latent.low, latent.high, latent.nats) for latent in drawn]
    reference = found.codes[typical(found.codes)]
    active = np.isin(np.arange(len(found.nats)), [latent.index for latent in found.active])
    information = found.information
    return {
        "reconstructions": pictures.reconstructions(run.model, x),
        "traversals": pictures.traversal_figure(run.model, reference, rows, found.measure),
        "factors": _curves(found, drawn) if found.factors else None,
        "information": None
        if information is None
        else figures.information_map(information.matrix, information.names, [latent.index for latent in drawn]),
        "latents": figures.latent_bars(found.nats, active, found.measure),
        "training": training_curves(run.logs, run.config) if run.logs else None,
    }


def _cards(run: Run, found: Findings) -> list[Card]:
    """The latents with something to show, each with its pictures decoded from a typical image."""
    reference = found.codes[typical(found.codes)]
    cards = []
    for latent in found.active:
        j = latent.index
        swept = pictures.sweep(run.model, reference, j, latent.low, latent.high)
        strip = pictures.strip_figure(swept, latent.low, latent.high, float(reference[j]))
        curves = markup(_curves(found, [latent]), f"curves{j}") if found.factors else None
        cards.append(Card(latent, markup(strip, f"strip{j}"), curves))
    return cards


def _drawn(found: Findings) -> list[Latent]:
    """The active latents; of a model that collapsed the first three, whose pictures show just that."""
    return found.active or found.latents[:3]


def _curves(found: Findings, latents: Sequence[Latent]) -> Figure:
    """Mean codes of latents over the factors; over those that move them most, if there are many factors."""
    indices = [latent.index for latent in latents]
    moved = [float(factor.explained[indices].max()) for factor in found.factors]
    chosen = sorted(sorted(range(len(moved)), key=lambda k: -moved[k])[:PANELS])
    curves = {found.factors[k].name: (found.factors[k].mean, found.factors[k].spread) for k in chosen}
    return figures.factor_sweeps(curves, indices, {latent.index: latent.factor for latent in latents})


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


def markup(figure: Figure, name: str) -> Markup:
    """The figure as part of a page; `name` keeps its ids apart from other figures'."""
    return Markup(figures.svg(figure, name))  # matplotlib has escaped the names in it


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
