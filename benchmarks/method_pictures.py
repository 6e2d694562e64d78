"""Traversals of each method, as a PNG for its page and a GIF for the gallery, from its first run on the board.

    python benchmarks/method_pictures.py [--methods NAME ...] [--out FOLDER]

The run is that of dSprites with seed 0 in `studies/board`, as `equipoise reproduce board --run` trains it. One that is
missing there is trained, two minutes on one core, or six with a discriminator. `compose` is not on the board; it is
trained in the same way with a preset.
"""

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence

import equipoise as eq
from equipoise.config import Config
from equipoise.methods import METHODS
from equipoise.report import traverse
from equipoise.report.figures.animation import traversal_gif
from equipoise.report.figures.saving import png
from equipoise.study.evidence import board
from equipoise.study.evidence.table import Size
from equipoise.study.plan import plan
from equipoise.study.run.work import work

ROOT = Path(__file__).parent.parent
DATA = "dsprites"
CHOSEN: dict[str, dict[str, Any]] = {  # where the board has several settings of a method, or none
    "beta-vae": {"beta": 4.0},
    "compose": {"preset": "control_isa_tc"},
}
ROWS = 5  # latents that are drawn, those with the most information
GREYS = 24  # levels of the stored pictures


def config(method: str) -> Config:
    """Return the settings of the run of a method."""
    contents = board.study(Size(seeds=1), [{"name": method, **CHOSEN.get(method, {})}])
    return next(each for each in plan(contents).runs.values() if each.data.name == DATA)


def train(method: str) -> eq.Run:
    """Train the run of a method in the current folder, unless it is there, and return it."""
    of_method = config(method)
    end = work(of_method, board.FOLDER)
    if end != "done":
        raise SystemExit(f"{of_method.out}: {end}")
    return eq.open_run(of_method.out)


def draw(run: eq.Run, out: Path, method: str) -> list[Path]:
    """Write the traversals of the latents with the most information as a small PNG and a small GIF file."""
    chosen = traverse.choose(run, None, None, None, 2)
    latents = chosen.latents[:ROWS]
    still, moving = out / f"method-{method}.png", out / f"method-{method}.gif"
    with Image.open(BytesIO(png(run.traversals(latents=[latent.index for latent in latents]), dpi=100))) as picture:
        picture.convert("L").quantize(GREYS).save(still, optimize=True)
    moving.write_bytes(fewer_greys(traversal_gif(run.model, chosen.reference, latents)))
    return [still, moving]


def fewer_greys(gif: bytes) -> bytes:
    """Return a GIF with `GREYS` levels from black to white."""
    palette = Image.new("P", (1, 1))
    palette.putpalette([255 * level // (GREYS - 1) for level in range(GREYS) for _ in "RGB"])
    with Image.open(BytesIO(gif)) as picture:
        duration = picture.info["duration"]
        frames = [
            frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE)
            for frame in ImageSequence.Iterator(picture)
        ]
    file = BytesIO()
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=True)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Traversals of each method as PNG and GIF")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="folder of the pictures")
    arguments = parser.parse_args()
    for method in arguments.methods:
        paths = draw(train(method), arguments.out, method)
        print(f"wrote {', '.join(map(str, paths))}", flush=True)


if __name__ == "__main__":
    main()
