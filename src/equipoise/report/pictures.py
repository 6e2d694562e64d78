"""Pictures of what a model does to images: originals beside reconstructions, and one latent swept at a time."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.errors import InputError
from equipoise.likelihoods import as_float, per_image
from equipoise.model import VAE
from equipoise.report.figures import BLUE, INK, MUTED
from equipoise.report.latents import Measure, carried, deviation_of

Array = NDArray[np.float64]
Images = torch.Tensor | NDArray[np.generic]

STEPS = 11  # odd, so that the middle picture is the middle of the range
COLUMNS = 10  # pictures in a row of reconstructions
TILE = 64  # pixels that a picture's longer side has at least in a figure
GAP = 4
PIXELS = 100  # per inch: the axes are laid out in pixels, so that no picture is resampled


def traversals(model: VAE, x: Images) -> Figure:
    """A figure with a row of decoded pictures for each latent, which is swept while the others keep the codes of x[0].

    x [B, C, H, W] is uint8 in 0..255 or float in [0, 1]. Rows are ordered by KL over x, largest first; under a prior
    that couples latents, by a bound on the information that each has of x. A latent runs from the 5th to the 95th
    percentile of its means over x, or over two standard deviations of the prior either way when x has fewer than 20
    images. Raises `InputError` when x holds no image or other values.
    """
    mean, logvar = model.encode(_batch(x))
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0)).to(mean)
    with torch.no_grad():
        kl = model.prior.kl(mean, logvar, mean + (0.5 * logvar).exp() * noise)
    measure, nats = carried(kl, mean, logvar)
    codes = _numpy(mean)
    high = 2 * deviation_of(model.prior)
    low = -high
    if len(codes) >= 20:  # below, the outer percentiles are no better than the extremes
        low, high = np.percentile(codes, (5, 95), axis=0)
    rows = [(int(j), float(low[j]), float(high[j]), float(nats[j])) for j in np.argsort(-nats, kind="stable")]
    return traversal_figure(model, codes[0], rows, measure)


def reconstructions(model: VAE, x: Images) -> Figure:
    """A figure of x, its reconstruction from the posterior mean and their absolute difference, with the SSE of each.

    x [B, C, H, W] is uint8 in 0..255 or float in [0, 1]; all B images are shown, ten in a row. SSE is the squared error
    summed over channels and pixels. Raises `InputError` when x holds no image or other values.
    """
    original = as_float(_batch(x)).cpu()
    decoded = model.decode(model.encode(original)[0]).cpu()
    sse = _numpy(per_image(original, decoded)["sse"])
    stack = _numpy(torch.stack([original, decoded, (original - decoded).abs()]))  # [3, B, C, H, W]

    blocks = [slice(start, start + COLUMNS) for start in range(0, len(sse), COLUMNS)]
    rows = [grid(np.concatenate(stack[:, block]), columns=len(sse[block])) for block in blocks]
    width, height, left, below = rows[0].shape[1], rows[0].shape[0], 110, 26
    figure = _canvas(left + width + 10, (height + below) * len(rows) + 6)
    for number, (block, row) in enumerate(zip(blocks, rows, strict=True)):
        top = 6 + number * (height + below)
        _place(figure, row, left, top)
        for line, name in enumerate(("original", "reconstruction", "difference")):
            _text(figure, left - 10, top + (line + 0.5) * height / 3, name, ha="right", va="center")
        _text(figure, left - 10, top + height + 12, "SSE", ha="right", va="center", color=MUTED)
        for column, error in enumerate(sse[block]):
            x_centre = left + (column + 0.5) * (row.shape[1] + GAP) / len(sse[block])
            _text(figure, x_centre, top + height + 12, f"{error:.1f}", ha="center", va="center", color=MUTED)
    return figure


def traversal_figure(
    model: VAE, reference: Array, rows: Sequence[tuple[int, float, float, float]], measure: Measure
) -> Figure:
    """A row for each (latent, low, high, nats of `measure`): the latent swept, the others at `reference` [D]."""
    strips = [grid(sweep(model, reference, j, low, high), columns=STEPS) for j, low, high, _ in rows]
    height, width = strips[0].shape[:2]
    left, right, top = 98 + 6 * len(measure), 110, 30
    figure = _canvas(left + width + right, top + (height + GAP) * len(strips) + 6)
    _text(figure, left, top - 12, "low", va="center", color=MUTED)
    _text(figure, left + width, top - 12, "high", ha="right", va="center", color=MUTED)
    _text(figure, left + width + 10, top - 12, "range", va="center", color=MUTED)
    for line, ((j, low, high, nats), strip) in enumerate(zip(rows, strips, strict=True)):
        centre = top + line * (height + GAP) + height / 2
        _place(figure, strip, left, top + line * (height + GAP))
        _text(figure, left - 10, centre - 8, f"z{j}", ha="right", va="center", weight="bold")
        _text(figure, left - 10, centre + 8, f"{measure} {nats:.2f} nats", ha="right", va="center", color=MUTED)
        _text(figure, left + width + 10, centre, f"{_signed(low)} to {_signed(high)}", va="center", color=MUTED)
    return figure


def strip_figure(pictures: Array, low: float, high: float, reference: float) -> Figure:
    """One sweep [STEPS, C, H, W] with the code under each picture and a mark where the reference image itself lies."""
    strip = grid(pictures, columns=STEPS)
    height, width = strip.shape[:2]
    side = 24  # the mark of a reference outside the range is drawn at the edge
    figure = _canvas(width + 2 * side, height + 38)
    _place(figure, strip, side, 14)
    pitch = (width + GAP) / STEPS
    first, last = side + pitch / 2 - GAP / 2, side + width - pitch / 2 + GAP / 2
    for step, value in enumerate(np.linspace(low, high, STEPS)):
        _text(figure, first + step * pitch, 14 + height + 12, _signed(value), ha="center", va="center", color=MUTED)
    share = (reference - low) / (high - low) if high > low else 0.5
    at = first + min(max(share, -0.05), 1.05) * (last - first)
    _text(figure, at, 6, "▼", ha="center", va="center", color=BLUE, size=8)
    return figure


def sweep(model: VAE, reference: Array, latent: int, low: float, high: float) -> Array:
    """Pictures [STEPS, C, H, W] in [0, 1] decoded from `reference` [D] with one latent taken from `low` to `high`."""
    codes = np.repeat(reference[None].astype(np.float32), STEPS, axis=0)
    codes[:, latent] = np.linspace(low, high, STEPS)
    return _numpy(model.decode(torch.from_numpy(codes)))


def grid(pictures: Array, columns: int) -> NDArray[np.uint8]:
    """One RGBA array [h, w, 4] of pictures [n, C, H, W] in [0, 1], row by row, with transparent gaps between them.

    Small pictures are enlarged by repeating pixels. One channel is shown in grey, three in colour, any other number as
    the mean of the channels.
    """
    if pictures.shape[1] not in (1, 3):
        pictures = pictures.mean(axis=1, keepdims=True)
    colour = np.broadcast_to(pictures, (len(pictures), 3, *pictures.shape[2:]))
    bytes_ = np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    scale = max(1, -(-TILE // max(bytes_.shape[1:3])))
    bytes_ = bytes_.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = bytes_.shape[1:3]
    rows = -(-len(bytes_) // columns)
    canvas = np.zeros((rows, height + GAP, columns, width + GAP, 4), np.uint8)
    for number, picture in enumerate(bytes_):
        row, column = divmod(number, columns)
        canvas[row, :height, column, :width, :3] = picture
        canvas[row, :height, column, :width, 3] = 255
    return canvas.reshape(rows * (height + GAP), columns * (width + GAP), 4)[:-GAP, :-GAP]


def _batch(x: Images) -> torch.Tensor:
    batch = torch.as_tensor(x)
    if batch.ndim != 4 or not len(batch):
        raise InputError(f"images have shape {list(batch.shape)}; expected [B, C, H, W] with at least one image")
    return batch


def _signed(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()


def _canvas(width: float, height: float) -> Figure:
    return Figure(figsize=(width / PIXELS, height / PIXELS), dpi=PIXELS, facecolor="white")


def _place(figure: Figure, picture: NDArray[np.uint8], left: float, top: float) -> None:
    width, height = figure.get_size_inches() * PIXELS
    h, w = picture.shape[:2]
    axes = figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()


def _text(
    figure: Figure,
    x: float,
    y: float,
    text: str,
    *,
    ha: str = "left",
    va: str = "baseline",
    color: str = INK,
    weight: str = "normal",
    size: float = 9,
) -> None:
    width, height = figure.get_size_inches() * PIXELS
    figure.text(x / width, 1 - y / height, text, ha=ha, va=va, color=color, weight=weight, size=size, parse_math=False)
