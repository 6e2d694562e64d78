"""Phrases that several parts of the report use."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equipoise.config import Config, outline
from equipoise.data import Images
from equipoise.report.findings import Findings
from equipoise.report.latents import Latent
from equipoise.scoring import Run

MOST = 8  # names in a sentence
BIT = np.log(2)  # nats
ROWS = {
    "number of pixels times channels": "number of columns",
    "pixel and channel": "column",
    "pixels and channels": "columns",
    "channels and pixels": "columns",
    "of the picture": "of the row",
    "an image": "a row",
    "image": "row",
}
"""Words of summaries of metrics and parts, in which data are images, and those of a table in their place."""


def lead(run: Run, findings: Findings) -> list[str]:
    """Return the sentences at the top of the report: what the model was trained on and what it learned."""
    latents = len(findings.latents)
    labels = f", {supervision(run.config) or 'without their labels'}" if findings.factors else ""
    scaling = run.images.scaling
    one = "image" if scaling is None else "row"
    items = counted(run.meta["images"], one)
    items += "" if scaling is None else f" of {counted(len(scaling.names), 'column')}"
    numbers, them = ("1 number, its latent", "it") if latents == 1 else (f"{latents} numbers, its latents", "them")
    sentences = [
        f"The model was trained on {items} of {Path(run.images.name).name}{labels}. "
        f"It encodes each {one} as {numbers}, and decodes the {one} from {them}."
    ]
    if not findings.active:
        return [*sentences, f"No latent is active: {constant_output(scaling is not None)}."]
    nats = float(findings.kl.sum())
    sentences.append(f"{_usage(findings)} They encode {nats:.1f} nats ({nats / BIT:.0f} bits) per {one}.")
    return sentences + _followers(findings.main, [factor.name for factor in findings.factors])


def _usage(findings: Findings) -> str:
    """Return a sentence on how many latents are used, weak and unused."""
    total, counts = len(findings.latents), findings.counts
    if counts["used"] == total:
        return "Its latent is used." if total == 1 else f"All {total} latents are used."
    phrases = [f"{count} {'is' if count == 1 else 'are'} {kind}" for kind, count in counts.items() if count]
    return f"Of its {total} latents, {listing(phrases)}."


def one_of(run: Run) -> str:
    """Return what the report calls one of the things that a run was trained on: a row of a table, or an image."""
    return "image" if run.model.scaling is None else "row"


def of_rows(text: str) -> str:
    """Return a text on images as one on the rows of a table."""
    for words, others in ROWS.items():
        text = text.replace(words, others)
    return text


def form(images: Images) -> str:
    """Return what images are as a phrase: their size and colours, or for vectors the number of columns."""
    channels, height, width = images.shape
    if images.scaling is not None:
        return f"rows of {counted(width, 'column')}"
    colours = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    return f"images of {height} × {width} pixels in {colours}"


def supervision(config: Config) -> str:
    """Return which labels the training used, empty if it used none."""
    pairing = outline(config).pairing
    if config.train.labels is not None:
        return "with the labels of some of them"
    return "in pairs drawn by their labels" if pairing is not None and pairing.source == "factors" else ""


def _followers(latents: Sequence[Latent], factors: Sequence[str]) -> list[str]:
    """Return sentences on the latents that follow each factor, and on the factors that none follows."""
    if not factors:
        return []
    followers: dict[str, list[str]] = {name: [] for name in factors}
    for latent in latents:
        if latent.factor is not None:
            followers[latent.factor].append(f"z{latent.index}")
    phrases = [f"{listing(z)} follow{'s' if len(z) == 1 else ''} {name}" for name, z in followers.items() if z]
    missing = [name for name, z in followers.items() if not z]
    sentences = [f"Compared with the labels, {'; '.join(phrases[:MOST])}."] if phrases else []
    return [*sentences, f"No latent follows {listing(missing, 'or')}."] if missing else sentences


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as "1 column" or "1,200 columns"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def constant_output(is_vector: bool) -> str:
    """Return the clause that describes the reconstructions of a model without an active latent."""
    return f"every {'row is decoded to the same values' if is_vector else 'image is decoded to the same picture'}"


def listing(names: Sequence[str], last: str = "and") -> str:
    """Join names to a phrase. Beyond eight, the rest are counted."""
    if len(names) > MOST:
        return f"{', '.join(names[:MOST])} {last} {counted(len(names) - MOST, 'other')}"
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def latent_names(latents: Sequence[Latent]) -> str:
    """Return the latents as a phrase, each with the factor that it follows: "z0 (across) and z1"."""
    return listing([f"z{one.index} ({one.factor})" if one.factor else f"z{one.index}" for one in latents])
