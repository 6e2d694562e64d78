"""Pictures of what a model does to images: reconstructions, one latent swept at a time, what it draws by itself."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch.nn import functional

from equipoise.errors import InputError
from equipoise.likelihoods import as_float, per_image
from equipoise.model import VAE
from equipoise.report.figures import INK, MUTED, PIXELS, short
from equipoise.report.latents import Latent, Measure, carried, deviation_of, latent_variances

Array = NDArray[np.float64]
Images = torch.Tensor | NDArray[np.generic]

STEPS = 11  # odd, so that the middle picture is the middle of the range
COLUMNS = 10  # pictures in a row of reconstructions
TILE = 64  # pixels that a picture's longer side has at least in a figure
GAP = 4
LARGEST = 96  # and at most: a report of large pictures would be a large file


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
    variance = latent_variances(codes)
    latents = [
        Latent(int(j), float(nats[j]), float(variance[j]), float(low[j]), float(high[j]), None, "")
        for j in np.argsort(-nats, kind="stable")
    ]
    return traversal_figure(model, codes[0], latents, measure)


def reconstructions(model: VAE, x: Images) -> Figure:
    """A figure of x, its reconstruction from the posterior mean and their absolute difference, with the SSE of each.

    x [B, C, H, W] is uint8 in 0..255 or float in [0, 1]; all B images are shown, ten in a row. SSE is the squared error
    summed over channels and pixels. Raises `InputError` when x holds no image or other values.
    """
    return reconstruction_figure(model, x)


def samples(model: VAE, n: int = 20, seed: int = 0) -> Figure:
    """A figure of n pictures decoded from codes that are drawn from the prior with `seed`, ten in a row.

    Raises `InputError` when n is less than 1.
    """
    if n < 1:
        raise InputError(f"n is {n}; give the number of pictures to draw, at least 1")
    held = chain(model.prior.parameters(), model.prior.buffers())
    device = next((tensor.device for tensor in held), torch.device("cpu"))
    with torch.no_grad():
        z = model.prior.sample(n, torch.Generator(device).manual_seed(seed))
    shown = grid(_numpy(model.decode(z)), columns=min(COLUMNS, n))
    figure = canvas(shown.shape[1] + 20, shown.shape[0] + 12)
    place(figure, shown, 10, 6)
    return figure


def reconstruction_figure(model: VAE, x: Images, titles: Sequence[str] = ()) -> Figure:
    """As `reconstructions`, with a line above each row of ten."""
    original = as_float(_batch(x)).cpu()
    decoded = model.decode(model.encode(original)[0]).cpu()
    sse = _numpy(per_image(original, decoded)["sse"])
    stack = _numpy(torch.stack([original, decoded, (original - decoded).abs()]))  # [3, B, C, H, W]

    blocks = [slice(start, start + COLUMNS) for start in range(0, len(sse), COLUMNS)]
    rows = [grid(np.concatenate(stack[:, block]), columns=len(sse[block])) for block in blocks]
    left, above, below = 110, 26 if titles else 0, 26
    height = rows[0].shape[0] + above + below
    figure = canvas(left + max(row.shape[1] for row in rows) + 10, height * len(rows) + 6)
    for number, (block, row) in enumerate(zip(blocks, rows, strict=True)):
        top = 6 + number * height + above
        place(figure, row, left, top)
        if titles:
            label(figure, left, top - above / 2, titles[number], va="center", weight="bold")
        for line, name in enumerate(("original", "reconstruction", "difference")):
            label(figure, left - 10, top + (line + 0.5) * row.shape[0] / 3, name, ha="right", va="center")
        under = top + row.shape[0] + 12
        label(figure, left - 10, under, "SSE", ha="right", va="center", color=MUTED)
        for column, error in enumerate(sse[block]):
            centre = left + (column + 0.5) * (row.shape[1] + GAP) / len(sse[block])
            label(figure, centre, under, f"{error:.1f}", ha="center", va="center", color=MUTED)
    return figure


def traversal_figure(model: VAE, reference: Array, latents: Sequence[Latent], measure: Measure) -> Figure:
    """A row for each latent, which is swept from its low to its high, the others at `reference` [D].

    Beside it is the factor that it follows, the nats of `measure` that it carries, its mutual information with that
    factor, where known, and the range of its code.
    """
    strips = [grid(sweep(model, reference, latent), columns=STEPS) for latent in latents]
    height, width = strips[0].shape[:2]
    pitch = max(height + GAP, 58)
    left, top = 182, 26
    figure = canvas(left + width + 14, top + pitch * len(strips) + 4)
    label(figure, left, top - 10, "low", va="center", color=MUTED)
    label(figure, left + width, top - 10, "high", ha="right", va="center", color=MUTED)
    for line, (latent, strip) in enumerate(zip(latents, strips, strict=True)):
        place(figure, strip, left, top + line * pitch)
        centre = top + line * pitch + height / 2
        bold = f"z{latent.index}" if latent.factor is None else short(f"z{latent.index}  {latent.factor}", left - 16)
        told = "" if latent.told is None else f", MI {latent.told:.2f}"
        nats = f"{'KL' if measure == 'KL' else 'info'} {latent.nats:.2f}{told} nats"
        label(figure, left - 12, centre - 17, bold, ha="right", va="center", weight="bold", size=10)
        label(figure, left - 12, centre + 1, nats, ha="right", va="center", color=MUTED)
        range_ = f"{signed(latent.low)} to {signed(latent.high)}"
        label(figure, left - 12, centre + 18, range_, ha="right", va="center", color=MUTED)
    return figure


def sweep(model: VAE, reference: Array, latent: Latent, steps: int = STEPS) -> Array:
    """Pictures [steps, C, H, W] in [0, 1] decoded from `reference` [D] with one latent taken from its low to high."""
    codes = np.repeat(reference[None].astype(np.float32), steps, axis=0)
    codes[:, latent.index] = np.linspace(latent.low, latent.high, steps)
    return _numpy(model.decode(torch.from_numpy(codes)))


def grid(pictures: Array, columns: int) -> NDArray[np.uint8]:
    """One RGBA array [h, w, 4] of pictures [n, C, H, W] in [0, 1], row by row, with transparent gaps between them.

    One channel is shown in grey, three in colour, any other number as the mean of the channels; sizes are as `tiles`
    makes them.
    """
    bytes_ = tiles(pictures)
    height, width = bytes_.shape[1:3]
    rows = -(-len(bytes_) // columns)
    shown = np.zeros((rows, height + GAP, columns, width + GAP, 4), np.uint8)
    for number, picture in enumerate(bytes_):
        row, column = divmod(number, columns)
        shown[row, :height, column, :width, :3] = picture
        shown[row, :height, column, :width, 3] = 255
    return shown.reshape(rows * (height + GAP), columns * (width + GAP), 4)[:-GAP, :-GAP]


def tiles(pictures: Array) -> NDArray[np.uint8]:
    """Pictures [n, C, H, W] in [0, 1] as RGB [n, h, w, 3], the longer side of each 64 to 127 pixels, or as it was.

    Small ones are enlarged by repeating pixels, those above 96 pixels brought down to that by averaging.
    """
    if pictures.shape[1] not in (1, 3):
        pictures = pictures.mean(axis=1, keepdims=True)
    longest = max(pictures.shape[2:])
    if longest > LARGEST:
        size = tuple(max(1, round(side * LARGEST / longest)) for side in pictures.shape[2:])
        pictures = functional.interpolate(torch.from_numpy(pictures), size, mode="area").numpy()
    colour = np.broadcast_to(pictures, (len(pictures), 3, *pictures.shape[2:]))
    bytes_ = np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    scale = max(1, -(-TILE // max(bytes_.shape[1:3])))
    return bytes_.repeat(scale, axis=1).repeat(scale, axis=2)


def _batch(x: Images) -> torch.Tensor:
    batch = torch.as_tensor(x)
    if batch.ndim != 4 or not len(batch):
        raise InputError(f"images have shape {list(batch.shape)}; expected [B, C, H, W] with at least one image")
    return batch


def signed(value: float) -> str:
    return f"{value:z.2f}".replace("-", "−")


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()


def canvas(width: float, height: float) -> Figure:
    """An empty figure of so many pixels: what is laid out in pixels is not resampled."""
    return Figure(figsize=(width / PIXELS, height / PIXELS), dpi=PIXELS, facecolor="white")


def place(figure: Figure, picture: NDArray[np.uint8], left: float, top: float) -> None:
    """Puts a picture [h, w, 3 or 4] on a canvas, its corner at `left` and `top` in pixels."""
    width, height = figure.get_size_inches() * PIXELS
    h, w = picture.shape[:2]
    axes = figure.add_axes((left / width, 1 - (top + h) / height, w / width, h / height))
    axes.imshow(picture, interpolation="none", aspect="auto")
    axes.set_axis_off()


def label(
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
    """Writes on a canvas at x, y in pixels from the top left."""
    width, height = figure.get_size_inches() * PIXELS
    figure.text(x / width, 1 - y / height, text, ha=ha, va=va, color=color, weight=weight, size=size, parse_math=False)
