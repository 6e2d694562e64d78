"""The figure of the time to disentangle: scores against CPU seconds or images, every seed and the median.

    python benchmarks/time_figure.py FILE ... [--against cpu_seconds|images] [--to time-to-disentangle.svg]

FILE is written by `time_to_disentangle.py`. There is a row for each data set and a column for each score.
Thin lines are seeds, thick lines with dots are their medians.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.artist import Artist
from matplotlib.figure import Figure

from equipoise.files import replacing
from equipoise.report.figures.style import CYCLE, label_axes

SCORES = {"mig": "MIG", "factor_vae": "FactorVAE score", "dci_hist_disentanglement": "DCI disentanglement"}
AGAINST = {"cpu_seconds": "CPU seconds of training", "images": "images of training"}


def draw(results: Sequence[Any], against: str) -> Figure:
    """Draw the entries of the files: a row of panels for each data set, a colour for each method."""
    sets = list(dict.fromkeys(data_of(entry) for entry in results))
    methods = list(dict.fromkeys(entry["method"] for entry in results))
    figure = Figure(figsize=(10, 2.9 * len(sets) + 0.4), layout="constrained", facecolor="white")
    panels = figure.subplots(len(sets), len(SCORES), squeeze=False)
    for row, data in zip(panels, sets, strict=True):
        for axes, (score, title) in zip(row, SCORES.items(), strict=True):
            for entry in results:
                if data_of(entry) != data or not entry["seeds"]:
                    continue
                colour = CYCLE[methods.index(entry["method"]) % len(CYCLE)]
                for points in entry["seeds"].values():
                    axes.plot(*line(points, against, score), color=colour, lw=0.7, alpha=0.5)
                label = f"{entry['method']}, median of {len(entry['seeds'])}"
                axes.plot(*line(entry["median"], against, score), "o-", color=colour, lw=2, ms=4, label=label)
            axes.set_ylim(0, 1)
            axes.set_xlim(left=0)
            label_axes(axes, f"{title}, {data}", AGAINST[against], title)
    found: dict[str, Artist] = {}
    for axes in panels.flat:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def data_of(entry: Any) -> str:
    """Return the data set of an entry, for example "dsprites"."""
    return Path(entry["settings"]["data.name"]).name


def line(points: Sequence[Any], against: str, score: str) -> tuple[list[float], list[float]]:
    """Return the two coordinates of the points of a training."""
    return [point[against] for point in points], [point[score] for point in points]


def main() -> None:
    parser = argparse.ArgumentParser(description="draw scores against CPU seconds or images of training")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSON file of time_to_disentangle.py")
    parser.add_argument("--against", choices=AGAINST, default="cpu_seconds", help="horizontal axis")
    parser.add_argument("--to", type=Path, default=Path("time-to-disentangle.svg"), help=".svg, .png or .pdf to write")
    args = parser.parse_args()
    results = [entry for file in args.files for entry in json.loads(file.read_text(encoding="utf-8"))["results"]]
    with replacing(args.to) as stream:
        draw(results, args.against).savefig(stream, format=args.to.suffix.removeprefix("."))
    print(f"wrote {args.to}")


if __name__ == "__main__":
    main()
