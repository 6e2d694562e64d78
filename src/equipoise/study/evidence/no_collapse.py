"""Whether methods collapse with their defaults, on each net and data set, as one table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from equipoise.study.compare import tables
from equipoise.study.evidence.table import Evidence, Page, Size, read

NAME = "no-collapse"
FOLDER = Path("studies") / NAME
METHODS: tuple[Mapping[str, str], ...] = (
    {"name": "aligned-vae"},
    {"name": "outline-vae"},
    {"name": "l-vae"},
    {"name": "l-vae", "preset": "closed"},
    {"name": "control-vae"},
    {"name": "dynamic-vae"},
    {"name": "sigma-vae"},
    {"name": "progressive-factor-vae"},
    {"name": "progressive-rf-vae"},
    {"name": "rf-vae"},
    {"name": "dava"},
    {"name": "geco"},
    {"name": "info-vae"},
    {"name": "hfs"},
)
NETS = ("mlp_lvae", "locatello", "burgess", "cnn_lvae")
SIZE = 32  # side of the images, as `equipoise train` chooses it on a CPU
STEPS = 2000
ACTIVE = 3  # latents that have to be active
NATS = 2.0  # the least KL
PHOTOGRAPHS = 1000


class Cell(NamedTuple):
    """A method, net and data set: KL in nats and active latents, the least of its seeds, NaN until all are finished."""

    method: str
    net: str
    data: str
    kl: float
    active: float

    @property
    def is_collapsed(self) -> bool:
        """Whether a run is finished and below one of the two limits."""
        return self.kl < NATS or self.active < ACTIVE

    @property
    def is_finished(self) -> bool:
        """Whether all its runs are finished."""
        return not math.isnan(self.kl)

    @property
    def values(self) -> dict[str, Any]:
        """The cell for JSON, without the numbers that are not there yet."""
        return self._asdict() if self.is_finished else {"method": self.method, "net": self.net, "data": self.data}

    @property
    def text(self) -> str:
        """KL and active latents; in brackets where they are too few."""
        if not self.is_finished:
            return "-"
        text = f"{self.kl:.1f} / {self.active:.0f}"
        return f"({text})" if self.is_collapsed else text


def draw_photographs(folder: Path, count: int = PHOTOGRAPHS, side: int = 64, seed: int = 0) -> None:
    """Write grey crops of the two photographs that scikit-learn contains, `side` pixels square, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    photographs = [Image.fromarray(image).convert("L") for image in load_sample_images().images]
    rng = np.random.default_rng(seed)
    for i in range(count):
        photograph = photographs[i % len(photographs)]
        size = int(rng.integers(side, 4 * side + 1))
        left, top = (int(rng.integers(0, room - size + 1)) for room in photograph.size)
        crop = photograph.crop((left, top, left + size, top + size))
        crop.resize((side, side), Image.Resampling.LANCZOS).save(folder / f"{i:04d}.png")


def contents(
    folder: Path = FOLDER,
    size: int = SIZE,
    steps: int = STEPS,
    methods: Sequence[Mapping[str, str]] = METHODS,
    seeds: int = 1,
) -> dict[str, Any]:
    """Return the study of all cells.

    Args:
        folder: its folder, which also has the photographs.
        size: side of the images in pixels.
        steps: training steps.
        methods: name and preset of each method.
        seeds: runs of each cell.
    """
    names = ["dsprites", "rooms3d", str(folder / "photographs")]
    return {
        "out": str(folder),
        **({"seeds": seeds} if seeds > 1 else {}),
        "data": {"name": names, "size": size},
        "method": [dict(method) for method in methods],
        "net": {"name": list(NETS)},
        "train": {"steps": steps},
        "evaluate": {"which": ["active_units", "kl"], "n": 2000, "interval": False},
    }


def prepare(of_study: Mapping[str, Any]) -> None:
    """Draw the photographs that the study reads, unless they are there."""
    folder = Path(of_study["out"]) / "photographs"
    if len(list(folder.glob("*.png"))) < PHOTOGRAPHS:
        draw_photographs(folder)


def cells(of_study: Mapping[str, Any], results: Path) -> list[Cell]:
    """Return the cells of a study, from the records in a folder of results."""
    groups: dict[tuple[str, str, str], list[Mapping[str, float]]] = {}
    for run in read(of_study, results):
        groups.setdefault((run.method, run.config.net.name, run.data), []).append(run.scores)
    return [Cell(*cell, _least(scores, "kl"), _least(scores, "active_units")) for cell, scores in groups.items()]


def _least(scores: Sequence[Mapping[str, float]], metric: str) -> float:
    """Return the least value of a metric, NaN where one is missing."""
    return min(each[metric] for each in scores) if all(metric in each for each in scores) else math.nan


def grid(table: Sequence[Cell]) -> list[list[str]]:
    """Return the table, with a heading: a row for each method and net, a column for each data set."""
    columns = list(dict.fromkeys(cell.data for cell in table))
    of = {(cell.method, cell.net, cell.data): cell.text for cell in table}
    rows = list(dict.fromkeys((cell.method, cell.net) for cell in table))
    return [["method", "net", *columns], *([*row, *(of[(*row, data)] for data in columns)] for row in rows)]


def summary(table: Sequence[Cell]) -> str:
    """Return one sentence on the cells that are finished, and how to read the table."""
    finished = [cell for cell in table if cell.is_finished]
    collapsed = sum(cell.is_collapsed for cell in finished)
    return (
        f"KL in nats / active latents. {len(finished)} of {len(table)} cells are finished; {collapsed} of them, in "
        f"brackets, have fewer than {ACTIVE} active latents or a KL below {NATS:g} nats."
    )


def study(size: Size) -> dict[str, Any]:
    """Return the study of the table; a quick one has a third of the steps."""
    steps = (STEPS // 3 if size.quick else STEPS) if size.steps is None else size.steps
    folder = FOLDER if steps == STEPS else FOLDER.with_name(f"{NAME}-{steps}")
    return contents(folder, steps=steps, seeds=1 if size.seeds is None else size.seeds)


def page(results: Path, size: Size) -> Page:
    """Return the table from the records in a folder of results. It is complete when no cell is missing or collapsed."""
    return show(cells(study(size), results))


def show(table: Sequence[Cell]) -> Page:
    """Return the page of these cells."""
    rows, sentence = grid(table), summary(table)
    text = "\n".join([*tables.lines(rows), "", sentence])
    is_complete = all(cell.is_finished and not cell.is_collapsed for cell in table)
    values = {"cells": [cell.values for cell in table]}
    return Page("No collapse", text, [sentence, "", *tables.markdown(rows)], {}, values, is_complete)


TABLE = Evidence(NAME, study, page, prepare)
