"""Latent traversals as moving pictures: GIF and MP4."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from equipoise.codes import latent_columns
from equipoise.errors import import_package
from equipoise.model import VAE
from equipoise.report.figures import vectors
from equipoise.report.figures.canvas import canvas, label, tiles
from equipoise.report.figures.images import Images, latents_of, sweep
from equipoise.report.figures.saving import png
from equipoise.report.figures.style import MUTED, short
from equipoise.report.latents import Array, Latent

FRAMES = 15  # from low to high
FRAME_TIME = 80  # milliseconds
TURNS = 3  # there and back in an MP4, which does not repeat by itself
COLUMNS = 6
GAP, BELOW = 26, 40  # pixels between pictures, and below them for their names


def animation(model: VAE, x: Images, latents: Sequence[int] | None = None) -> bytes:
    """Return a GIF in which every latent of the code of the first image moves from low to high and back.

    Latents are sorted and vary over the same ranges as in `traversals`.

    Args:
        model: A trained model.
        x: Images [B, C, H, W], uint8 in 0..255 or float in [0, 1].
        latents: Indices of the latents to show, each in 0..D-1; default: all.

    Returns:
        The bytes of a GIF file that repeats without end.

    Raises:
        InputError: If x has another shape, no image, or values out of range, or if there is no such latent.

    Example:
        >>> import torch
        >>> import equipoise as eq
        >>> from equipoise.model import VAE
        >>> nets = eq.nets.build("burgess", (1, 16, 16), latent=3)
        >>> model = VAE(*nets, eq.likelihoods.Bernoulli(), eq.priors.StandardNormal(3), (1, 16, 16), 100)
        >>> gif = eq.report.animation(model, torch.zeros(1, 1, 16, 16), latents=[0])
        >>> gif[:6]
        b'GIF89a'
    """
    codes, every, _ = latents_of(model, x)
    indices = latent_columns(latents, len(every))
    return traversal_gif(model, codes[0], [latent for latent in every if latent.index in indices])


def traversal_gif(model: VAE, reference: Array, latents: Sequence[Latent], steps: int = FRAMES) -> bytes:
    """Return a GIF file with a moving picture for each latent; the others stay at `reference` [D].

    It has `steps` frames from low to high, and the same frames back, and repeats without end.
    """
    frames = traversal_frames(model, reference, latents, steps)
    if model.shape[0] > 1 or model.scaling is not None:
        # One palette for all frames, so that colours do not flicker.
        palette = Image.fromarray(np.concatenate([np.asarray(frame) for frame in frames[::3]])).quantize(256)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    else:
        frames = [frame.convert("L") for frame in frames]  # 256 greys are exact
    first, *others = [*frames, *frames[-2:0:-1]]
    file = BytesIO()
    first.save(file, "gif", save_all=True, append_images=others, duration=FRAME_TIME, loop=0)
    return file.getvalue()


def traversal_mp4(model: VAE, reference: Array, latents: Sequence[Latent], steps: int = FRAMES) -> bytes:
    """Return an MP4 file with the frames of the GIF, `TURNS` times there and back. Needs the extra `video`.

    Raises `InputError` where imageio-ffmpeg is not installed.
    """
    remedy = "an .mp4 needs imageio-ffmpeg; pip install equipoise[video], or write a .gif"
    imageio_ffmpeg = import_package("imageio_ffmpeg", remedy)
    frames = [np.asarray(frame) for frame in traversal_frames(model, reference, latents, steps)]
    height, width = frames[0].shape[:2]
    even = [np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") for frame in frames]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "traversals.mp4"
        size = (width + width % 2, height + height % 2)
        writer = imageio_ffmpeg.write_frames(str(path), size, fps=1000 / FRAME_TIME, macro_block_size=2)
        writer.send(None)
        for frame in TURNS * [*even, *even[-2:0:-1]]:
            writer.send(np.ascontiguousarray(frame))
        writer.close()
        return path.read_bytes()


def traversal_frames(model: VAE, reference: Array, latents: Sequence[Latent], steps: int) -> list[Image.Image]:
    """Return pictures in which every latent moves from low to high; the others stay at `reference` [D]."""
    strips = [sweep(model, reference, latent, steps) for latent in latents]
    if model.scaling is not None:
        sweeps = vectors.pictures(model.scaling, strips)
    else:
        sweeps = np.stack([tiles(strip) for strip in strips])
    height, width = sweeps.shape[2:4]
    columns = min(COLUMNS if model.scaling is None else COLUMNS // 2, len(latents))
    places = [
        (GAP + (width + GAP) * (number % columns), GAP // 2 + (height + BELOW) * (number // columns))
        for number in range(len(latents))
    ]
    figure = canvas(GAP + (width + GAP) * columns, places[-1][1] + height + BELOW)
    for latent, (left, top) in zip(latents, places, strict=True):
        centre = left + width / 2
        label(figure, centre, top + height + 12, f"z{latent.index}", ha="center", weight="bold")
        if latent.factor is not None:
            name = short(latent.factor, width + GAP - 4)
            label(figure, centre, top + height + 27, name, ha="center", color=MUTED)
    with Image.open(BytesIO(png(figure, dpi=100))) as picture:
        background = np.array(picture.convert("RGB"))
    frames = []
    for step in range(steps):
        frame = background.copy()
        for pictures, (left, top) in zip(sweeps, places, strict=True):
            frame[top : top + height, left : left + width] = pictures[step]
        frames.append(Image.fromarray(frame))
    return frames
