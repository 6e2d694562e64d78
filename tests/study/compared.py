"""Made-up studies for the tests of `compare`, and readers of its page and tables."""

import csv
import io
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path

from tests.study.made_up import TWO_METHODS, Made, study

from equipoise import commands
from equipoise.config import Config
from equipoise.study import open_study, read
from equipoise.study.compare.comparison import Comparison, compare_results
from equipoise.study.compare.results import read_results

MIG = {"beta=1": [0.1, 0.2, 0.4], "beta=4": [0.5, 0.6, 0.7], "": [0.3, 0.65, 0.8]}
SSE = {"beta=1": [20.0, 21.0, 22.0], "beta=4": [30.0, 34.0, 35.0], "": [24.0, 25.0, 26.0]}


def known(config: Config) -> Made:
    """Runs with the figures above."""
    beta = config.flat().get("method.beta")
    setting, seed = "" if beta is None else f"beta={beta:g}", config.train.seed
    more = 100.0 if config.data.name == "rooms3d" else 0.0
    weight = 1.25 + seed if beta is None else float(str(beta))
    scores = {"mig": MIG[setting][seed], "sap": 0.1, "mutual_information": 0.5 - MIG[setting][seed]}
    return Made(SSE[setting][seed] + more, scores, beta=weight)


def write(
    folder: Path, seeds: int = 3, data: str = '"dsprites"', made: Callable[[Config], Made | None] = known
) -> Path:
    study(folder, TWO_METHODS.format(seeds=seeds, data=data), made)
    return folder


def comparison(folder: Path, metrics: Sequence[str] = ()) -> Comparison:
    return compare_results(folder, *read_results(open_study(folder)), metrics)


class Page(HTMLParser):
    """What is in the tables of a page, row by row, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.cell = tag in ("td", "th") or (self.cell and tag not in ("tr", "svg"))
        self.links += [value or "" for key, value in attrs if key == "href" and tag == "a"]

    def handle_endtag(self, tag: str) -> None:
        self.cell = self.cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {data.strip()}".strip()


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def planned(folder: Path) -> list[Path]:
    return [Path(config.out) for config in read(folder / "study.toml").runs.values()]


def page_of(folder: Path) -> str:
    if not (folder / "compare.html").exists():
        commands.compare(folder)
    return (folder / "compare.html").read_text(encoding="utf-8")


def unquoted(link: str) -> str:
    from urllib.parse import unquote

    return unquote(link)
