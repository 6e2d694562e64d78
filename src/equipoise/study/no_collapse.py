"""Whether the methods that tune themselves collapse: each with its defaults, on each net and data set, as one table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tomli_w
from PIL import Image
from sklearn.datasets import load_sample_images

from equipoise import runs
from equipoise.files import write_text
from equipoise.study.compare import tables
from equipoise.study.folder import FILE
from equipoise.study.plan import Plan, plan
from equipoise.study.run.status import Watch
from equipoise.study.run.sweep import sweep

NAME = "no-collapse"
FOLDER = Path("studies") / NAME
METHODS: tuple[Mapping[str, str], ...] = (
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
)
NETS = ("mlp_lvae", "locatello", "burgess", "cnn_lvae")
STEPS = 2000
ACTIVE = 3  # latents that have to be active
NATS = 2.0  # the least KL
PHOTOGRAPHS = 1000


class Cell(NamedTuple):
    """A run: its method, net and data, its KL in nats and its active latents, NaN before it is finished."""

    method: str
    net: str
    data: str
    kl: float
    active: float

    @property
    def is_collapsed(self) -> bool:
        """Whether the run is finished and below one of the two limits."""
        return self.kl < NATS or self.active < ACTIVE

    @property
    def is_finished(self) -> bool:
        """Whether the run is finished."""
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
    folder: Path = FOLDER, size: int | None = None, steps: int = STEPS, methods: Sequence[Mapping[str, str]] = METHODS
) -> dict[str, Any]:
    """Return the study of all cells.

    Args:
        folder: its folder, which also has the photographs.
        size: side of the images in pixels. Default: that of the data.
        steps: training steps.
        methods: name and preset of each method.
    """
    names = ["dsprites", "rooms3d", str(folder / "photographs")]
    return {
        "out": str(folder),
        "data": {"name": names} if size is None else {"name": names, "size": size},
        "method": [dict(method) for method in methods],
        "net": {"name": list(NETS)},
        "train": {"steps": steps},
        "evaluate": {"which": ["active_units", "kl"], "n": 2000},
    }


def train(of_study: Mapping[str, Any], workers: int | None, progress: bool) -> int:
    """Train the cells that are not finished. Returns the number that are still not finished."""
    folder = Path(of_study["out"])
    if len(list((folder / "photographs").glob("*.png"))) < PHOTOGRAPHS:
        draw_photographs(folder / "photographs")
    file = folder / FILE
    write_text(file, tomli_w.dumps(of_study))
    states = sweep(file, workers=workers, progress=progress)
    return sum(state.stage != "done" for state in states)


def cells(of_study: Plan) -> list[Cell]:
    """Return the cells of a study, finished or not."""
    finished = {state.run for state in Watch(of_study)() if state.stage == "done"}
    listed = []
    for name, config in of_study.runs.items():
        kl = active = math.nan
        if name in finished:
            scores = runs.open_run(config.out).scores
            kl, active = scores["kl"].value, scores["active_units"].value
        method = config.method.name + (f" {config.preset}" if config.preset else "")
        listed.append(Cell(method, config.net.name, Path(config.data.name).stem, kl, active))
    return listed


def grid(listed: Sequence[Cell]) -> list[list[str]]:
    """Return the table, with a heading: a row for each method and net, a column for each data set."""
    columns = list(dict.fromkeys(cell.data for cell in listed))
    of = {(cell.method, cell.net, cell.data): cell.text for cell in listed}
    rows = list(dict.fromkeys((cell.method, cell.net) for cell in listed))
    return [["method", "net", *columns], *([*row, *(of[(*row, data)] for data in columns)] for row in rows)]


def summary(listed: Sequence[Cell]) -> str:
    """Return one sentence on the cells that are finished, and how to read the table."""
    finished = [cell for cell in listed if cell.is_finished]
    collapsed = sum(cell.is_collapsed for cell in finished)
    return (
        f"KL in nats / active latents. {len(finished)} of {len(listed)} cells are finished; {collapsed} of them, in "
        f"brackets, have fewer than {ACTIVE} active latents or a KL below {NATS:g} nats."
    )


def text(listed: Sequence[Cell]) -> str:
    """Return the table for the terminal."""
    return "\n".join([*tables.lines(grid(listed)), "", summary(listed)])


def markdown(listed: Sequence[Cell]) -> str:
    """Return the table as Markdown."""
    return "\n".join(["# No collapse", "", summary(listed), "", *tables.markdown(grid(listed)), ""])


def read(of_study: Mapping[str, Any]) -> list[Cell]:
    """Return the cells of the study of these contents."""
    return cells(plan(of_study))
