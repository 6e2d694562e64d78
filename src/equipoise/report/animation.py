"""The traversals as a moving picture: every latent swept from low to high and back, side by side."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from equipoise.model import VAE
from equipoise.report.figures import MUTED, png, short
from equipoise.report.latents import Array, Latent
from equipoise.report.pictures import canvas, label, sweep, tiles

FRAMES = 15  # from low to high
PACE = 80  # milliseconds of each
COLUMNS = 6
GAP, BELOW = 26, 40  # pixels between pictures, and under them for their names


def animation(model: VAE, reference: Array, latents: Sequence[Latent]) -> bytes:
    """A GIF file that repeats for ever: a picture for each latent, swept while the others stay at `reference` [D]."""
    sweeps = np.stack([tiles(sweep(model, reference, latent, FRAMES)) for latent in latents])
    height, width = sweeps.shape[2:4]
    columns = min(COLUMNS, len(latents))
    places = [
        (GAP + (width + GAP) * (at % columns), GAP // 2 + (height + BELOW) * (at // columns))
        for at in range(len(latents))
    ]
    figure = canvas(GAP + (width + GAP) * columns, places[-1][1] + height + BELOW)
    for latent, (left, top) in zip(latents, places, strict=True):
        centre = left + width / 2
        label(figure, centre, top + height + 12, f"z{latent.index}", ha="center", va="center", weight="bold")
        if latent.factor is not None:
            name = short(latent.factor, width + GAP - 4)
            label(figure, centre, top + height + 27, name, ha="center", va="center", color=MUTED)
    with Image.open(BytesIO(png(figure, dpi=100))) as named:
        blank = np.array(named.convert("RGB"))
    frames = []
    for step in range(FRAMES):
        frame = blank.copy()
        for swept, (left, top) in zip(sweeps, places, strict=True):
            frame[top : top + height, left : left + width] = swept[step]
        frames.append(Image.fromarray(frame))
    if np.ptp(sweeps, axis=-1).any():
        # One palette for all frames, or colours would flicker.
        palette = Image.fromarray(np.concatenate([np.asarray(frame) for frame in frames[::3]])).quantize(256)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    else:
        frames = [frame.convert("L") for frame in frames]  # all 256 greys
    first, *others = [*frames, *frames[-2:0:-1]]
    file = BytesIO()
    first.save(file, "gif", save_all=True, append_images=others, duration=PACE, loop=0)
    return file.getvalue()
