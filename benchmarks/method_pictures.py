"""A picture of traversals for each method, for its page and the gallery, from short runs on dSprites at 32 x 32.

    python benchmarks/method_pictures.py [--methods NAME ...] [--runs FOLDER] [--out FOLDER]

Each run takes about a minute on one core. A run that is there already is not trained again. All runs have the same net,
batch, learning rate and number of steps, except where `OWN` has other values, and otherwise the defaults of the method.
They are too short for a comparison.
"""

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

import equipoise as eq
from equipoise.methods import METHODS
from equipoise.report import traverse
from equipoise.report.figures.saving import png

ROOT = Path(__file__).parent.parent
COMMON: dict[str, Any] = {
    "data.size": 32,
    "net.name": "small",
    "train.steps": 2000,
    "train.batch": 64,
    "train.lr": 1e-3,
    "train.threads": 1,
    "evaluate.n": 2000,
    "evaluate.which": ["mig", "sse", "active_units"],
}
SMALL = {"method.width": 256}  # a discriminator of 1,000 units takes several times as long as this net
OWN: dict[str, dict[str, Any]] = {
    "annealed-vae": {"method.gamma": 5.0},  # with 1,000 or 50, the KL of so short a run carries no information
    "ada-gvae": {"train.lr": 2e-3},  # its optimizer is another one, that of aligned-vae
    "aligned-vae": {"train.lr": 2e-3},
    "compose": {"method.preset": "control_isa_tc"},  # without a choice of parts it is vae
    "info-vae": {"train.lr": 2e-3},
    "hfs": {"train.lr": 2e-3, "train.steps": 600},  # a step takes three times as long
    "qlae": {"train.lr": 2e-3, "evaluate.which": ["mig", "sse"]},  # its codes have no noise, as active_units needs
    "dava": {"train.steps": 600},  # a step takes many times as long
    **dict.fromkeys(("factor-vae", "rf-vae", "progressive-factor-vae", "progressive-rf-vae"), SMALL),
}
ROWS = 5  # latents that are drawn, those with the most information
GREYS = 24  # levels of the stored picture


def train(method: str, folder: Path) -> eq.Run:
    """Train the short run of a method, or return the one that is there."""
    settings = COMMON | OWN.get(method, {})
    return eq.train("dsprites", method, out=folder / method, settings=settings, progress=False)


def draw(run: eq.Run, path: Path) -> None:
    """Write the traversals of the latents with the most information as a small PNG file."""
    latents = [latent.index for latent in traverse.choose(run, None, None, None, 2).latents[:ROWS]]
    with Image.open(BytesIO(png(run.traversals(latents=latents), dpi=100))) as picture:
        picture.convert("L").quantize(GREYS).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A picture of traversals for each method")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "methods", help="folder of the runs")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder of the pictures")
    arguments = parser.parse_args()
    for method in arguments.methods:
        path = arguments.out / f"method-{method}.png"
        draw(train(method, arguments.runs), path)
        print(f"wrote {path}", flush=True)


if __name__ == "__main__":
    main()
