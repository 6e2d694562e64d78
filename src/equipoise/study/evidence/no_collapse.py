"""Whether methods collapse with their defaults, on each net and data set, as one table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from equipoise.study.evidence.table import Evidence, Page, Size, StudyRun, one_table, read
from equipoise.study.grouping import group_by

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
WITH_PAIRS: Mapping[str, str] = {"name": "ada-gvae"}  # on the sets that have factors, from which pairs are drawn
QUANTISED: Mapping[str, str] = {"name": "qlae"}  # its codes have no KL from N(0, I)
NETS = ("mlp_lvae", "locatello", "burgess", "cnn_lvae")
SIZE = 32  # side of the images, as `equipoise train` chooses it on a CPU
STEPS = 2000
ACTIVE = 3  # latents that have to be active
NATS = 2.0  # the least KL
INFORMATIVE = 0.01  # nats, of a quantised latent
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


def draw_photographs(folder: Path, count: int = PHOTOGRAPHS, side: int = 64) -> None:
    """Write grey crops of the two photographs that scikit-learn contains, `side` pixels square, as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    photographs = [Image.fromarray(image).convert("L") for image in load_sample_images().images]
    rng = np.random.default_rng(0)
    for i in range(count):
        photograph = photographs[i % len(photographs)]
        size = int(rng.integers(side, 4 * side + 1))
        x, y = (int(rng.integers(0, side_of_photograph - size + 1)) for side_of_photograph in photograph.size)
        crop = photograph.crop((x, y, x + size, y + size))
        crop.resize((side, side), Image.Resampling.LANCZOS).save(folder / f"{i:04d}.png")


def studies(size: Size) -> list[dict[str, Any]]:
    """Return the studies of all cells, whose folder also has the photographs. Quick ones have a third of the steps."""
    steps = size.steps_of(STEPS)
    folder = FOLDER if steps == STEPS else FOLDER.with_name(f"{NAME}-{steps}")
    drawn, metrics = ["dsprites", "rooms3d"], ["active_units", "kl"]
    every = [*drawn, str(folder / "photographs")]
    return [
        {
            "out": str(folder),
            **({"seeds": size.seeds} if (size.seeds or 1) > 1 else {}),
            "data": {"name": data, "size": SIZE},
            "method": [dict(method) for method in methods],
            "net": {"name": list(NETS)},
            "train": {"steps": steps},
            "evaluate": {"which": which, "n": 2000, "interval": False},
        }
        for data, methods, which in (
            (every, METHODS, metrics),
            (drawn, [WITH_PAIRS], metrics),
            (every, [QUANTISED], ["sse"]),
        )
    ]


def prepare(contents: Mapping[str, Any]) -> None:
    """Draw the photographs that the study reads, unless they are there."""
    folder = Path(contents["out"]) / "photographs"
    if len(list(folder.glob("*.png"))) < PHOTOGRAPHS:
        draw_photographs(folder)


def cells(contents: Sequence[Mapping[str, Any]], results: Path) -> list[Cell]:
    """Return the cells of studies, from the records in a folder of results."""
    runs = [run for each in contents for run in read(each, results)]
    seeds = group_by(runs, lambda run: (run.method, run.config.net.name, run.data))
    least = {cell: np.min([_measure(run) for run in members], axis=0) for cell, members in seeds.items()}
    return [Cell(*cell, *map(float, values)) for cell, values in least.items()]


def _measure(run: StudyRun) -> tuple[float, float]:
    """Return KL in nats and active latents of a run, NaN before it is finished.

    The KL of quantised codes is from the frequencies of their values, at the last row of the log: the entropy. A latent
    is then active if its entropy exceeds the threshold of `active_units` for the KL, 0.01 nats.
    """
    if run.record is None:
        return math.nan, math.nan
    if run.config.method.name == QUANTISED["name"]:
        entropies = np.array(run.record.latents["kl_dims"])
        return float(entropies.sum()), float((entropies > INFORMATIVE).sum())
    return run.scores["kl"], run.scores["active_units"]


def show(table: Sequence[Cell]) -> Page:
    """Return the page of these cells: a row for each method and net, a column for each data set.

    It is complete when no cell is missing or collapsed.
    """
    columns = list(dict.fromkeys(cell.data for cell in table))
    grid = [["method", "net", *columns]]
    for key, row in group_by(table, lambda cell: (cell.method, cell.net)).items():
        texts = {cell.data: cell.text for cell in row}
        grid.append([*key, *(texts.get(data, "no pairs") for data in columns)])
    finished = sum(cell.is_finished for cell in table)
    collapsed = sum(cell.is_collapsed for cell in table)
    summary = (
        f"KL in nats / active latents. {finished} of {len(table)} cells are finished; {collapsed} of them, in "
        f"brackets, have fewer than {ACTIVE} active latents or a KL below {NATS:g} nats. The KL of {QUANTISED['name']} "
        "is the entropy of its quantised codes."
    )
    values = {"cells": [cell.values for cell in table]}
    return one_table("No collapse", summary, grid, values, finished == len(table) and not collapsed)


TABLE = Evidence(NAME, studies, lambda results, size: show(cells(studies(size), results)), prepare)
