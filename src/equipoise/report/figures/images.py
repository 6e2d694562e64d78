"""Figures of what a model does to images: reconstructions, latent traversals, samples from the prior."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from equipoise.data.columns import Scaling
from equipoise.errors import InputError, check_value, check_whole
from equipoise.likelihoods import as_float, per_image
from equipoise.model import VAE
from equipoise.report.figures import vectors
from equipoise.report.figures.canvas import GAP, canvas, grid, label, label_row, place, signed
from equipoise.report.figures.style import MUTED, short
from equipoise.report.latents import Array, Latent, Measure, deviation_of, latent_variances, nats_carried
from equipoise.torch_defaults import torch_defaults

Images = torch.Tensor | NDArray[np.generic]

STEPS = 11  # pictures of a traversal; odd, so that one is in the middle of the range
COLUMNS = 10  # pictures in a row of reconstructions or samples
ENOUGH = 20  # images from which the 5th and 95th percentile differ from the extremes


def traversals(model: VAE, x: Images) -> Figure:
    """Return a figure of latent traversals: each row varies one latent of the code of the first image.

    Rows are sorted by the KL of the latent over x, largest first. Under a prior that couples latents they are sorted by
    an estimate of the information that each latent carries. A latent varies from the 5th to the 95th percentile of its
    posterior means over x, or over ±2 standard deviations of the prior where x has fewer than 20 images.

    Args:
        model: A trained model.
        x: Images [B, C, H, W], uint8 in 0..255 or float in [0, 1].

    Returns:
        A Matplotlib figure with a row of 11 pictures for each latent.

    Raises:
        InputError: If x has another shape, no image, or values out of range.

    Example:
        >>> import torch
        >>> import equipoise as eq
        >>> from equipoise.model import VAE
        >>> nets = eq.nets.build("burgess", (1, 16, 16), latent=3)
        >>> model = VAE(*nets, eq.likelihoods.Bernoulli(), eq.priors.StandardNormal(3), (1, 16, 16), 100)
        >>> figure = eq.report.traversals(model, torch.zeros(1, 1, 16, 16))
        >>> len(figure.axes)
        3
    """
    codes, latents, measure = latents_of(model, x)
    return traversal_figure(model, codes[0], latents, measure)


def reconstructions(model: VAE, x: Images, titles: Sequence[str] = ()) -> Figure:
    """Return a figure of images, their reconstructions and the absolute differences, ten images in a row.

    Below each image is its squared error, summed over channels and pixels. Reconstructions are decoded from the
    posterior mean.

    Args:
        model: A trained model.
        x: Images [B, C, H, W], uint8 in 0..255 or float in [0, 1]. All are drawn.
        titles: A title for each row of ten images; default: none.

    Returns:
        A Matplotlib figure.

    Raises:
        InputError: If x has another shape, no image, or values out of range.

    Example:
        >>> import torch
        >>> import equipoise as eq
        >>> from equipoise.model import VAE
        >>> nets = eq.nets.build("burgess", (1, 16, 16), latent=3)
        >>> model = VAE(*nets, eq.likelihoods.Bernoulli(), eq.priors.StandardNormal(3), (1, 16, 16), 100)
        >>> figure = eq.report.reconstructions(model, torch.zeros(12, 1, 16, 16))
        >>> len(figure.axes)  # rows of ten images
        2
    """
    link = model.likelihood.link
    original = as_float(_batch(x), link).cpu()
    decoded = model.decode(model.encode(original)[0]).cpu()
    sse = _numpy(per_image(original, decoded, link)["sse"])
    if model.scaling is not None:
        return vectors.reconstructions(model.scaling, _numpy(original), _numpy(decoded), sse, titles)
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
            label(figure, left, top - above / 2, titles[number], weight="bold")
        for line, name in enumerate(("original", "reconstruction", "difference")):
            label(figure, left - 10, top + (line + 0.5) * row.shape[0] / 3, name, ha="right")
        bottom = top + row.shape[0] + 12
        label(figure, left - 10, bottom, "SSE", ha="right", color=MUTED)
        for column, error in enumerate(sse[block]):
            centre = left + (column + 0.5) * (row.shape[1] + GAP) / len(sse[block])
            label(figure, centre, bottom, f"{error:.1f}", ha="center", color=MUTED)
    return figure


def samples(model: VAE, n: int = 20, seed: int = 0) -> Figure:
    """Return a figure of pictures decoded from samples of the prior, ten in a row.

    Args:
        model: A trained model.
        n: Number of pictures, at least 1.
        seed: Seed of the samples.

    Returns:
        A Matplotlib figure.

    Raises:
        InputError: If n is less than 1.

    Example:
        >>> import equipoise as eq
        >>> from equipoise.model import VAE
        >>> nets = eq.nets.build("burgess", (1, 16, 16), latent=3)
        >>> model = VAE(*nets, eq.likelihoods.Bernoulli(), eq.priors.StandardNormal(3), (1, 16, 16), 100)
        >>> figure = eq.report.samples(model, n=5)
    """
    decoded = _numpy(model.decode(prior_codes(model, n, seed)))
    if model.scaling is not None:
        return vectors.samples(model.scaling, decoded)
    pictures = grid(decoded, columns=min(COLUMNS, n))
    figure = canvas(pictures.shape[1] + 20, pictures.shape[0] + 12)
    place(figure, pictures, 10, 6)
    return figure


@torch_defaults()
def prior_codes(model: VAE, n: int, seed: int) -> torch.Tensor:
    """Return n samples [n, D] of the prior of a model. Raises `InputError` for n below 1."""
    check_whole("n", n)
    check_whole("seed", seed)
    if n < 1:
        raise InputError(f"n is {n}, but it must be at least 1; give the number of pictures to draw")
    check_value("n", n)
    check_value("seed", seed)
    tensors = chain(model.prior.parameters(), model.prior.buffers())
    device = next((tensor.device for tensor in tensors), torch.device("cpu"))
    with torch.no_grad():
        return model.prior.sample(n, torch.Generator(device).manual_seed(seed))


def neighbours(images: Images, pictures: Images, distances: Array, scaling: Scaling | None = None) -> Figure:
    """Return a figure with a row for each image [Q, C, H, W]: the image, and its neighbours [Q, k, C, H, W].

    Below each neighbour is its distance [Q, k]. Vectors have a scaling, and are drawn into the panels of neighbours.
    """
    if scaling is not None:
        return vectors.neighbours(scaling, np.asarray(images), np.asarray(pictures), distances)
    rows = [
        (grid(_numpy(as_float(image[None])), columns=1), grid(_numpy(as_float(others)), columns=len(others)))
        for image, others in zip(torch.as_tensor(images), torch.as_tensor(pictures), strict=True)
    ]
    height, width = rows[0][0].shape[:2]
    start, pitch = width + 36, height + 26
    figure = canvas(start + rows[0][1].shape[1] + 10, pitch * len(rows) + 6)
    for line, (image, others) in enumerate(rows):
        top = 6 + line * pitch
        place(figure, image, 10, top)
        place(figure, others, start, top)
        for column, distance in enumerate(distances[line]):
            centre = start + (column + 0.5) * (width + GAP)
            label(figure, centre, top + height + 12, f"{distance:.2f}", ha="center", color=MUTED)
    return figure


def latents_of(model: VAE, x: Images) -> tuple[Array, list[Latent], Measure]:
    """Return the posterior means [B, D] of images, the latents sorted by the nats they carry, and the measure of these.

    Raises `InputError` for images of another shape or range.
    """
    mean, logvar = model.encode(_batch(x))
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0)).to(mean)
    with torch.no_grad():
        kl = model.prior.kl(mean, logvar, mean + (0.5 * logvar).exp() * noise)
    measure, nats = nats_carried(kl, mean, logvar)
    codes = _numpy(mean)
    high = 2 * deviation_of(model.prior)
    low = -high
    if len(codes) >= ENOUGH:
        low, high = np.percentile(codes, (5, 95), axis=0)
    variance = latent_variances(codes)
    latents = [
        Latent(int(j), float(nats[j]), float(variance[j]), float(low[j]), float(high[j]), None, "")
        for j in np.argsort(-nats, kind="stable")
    ]
    return codes, latents, measure


def traversal_figure(
    model: VAE, reference: Array, latents: Sequence[Latent], measure: Measure, steps: int = STEPS
) -> Figure:
    """Return a figure with a row of `steps` pictures for each latent, varied from its low to its high end.

    The other latents stay at `reference` [D]. The label of a row has the factor that the latent follows, the nats of
    `measure`, the mutual information with the factor where it is known, and the range of the code.
    """
    sweeps = [sweep(model, reference, latent, steps) for latent in latents]
    if model.scaling is not None:
        return vectors.traversals(model.scaling, sweeps, [_row_texts(latent, measure) for latent in latents])
    strips = [grid(pictures, columns=steps) for pictures in sweeps]
    height, width = strips[0].shape[:2]
    pitch = max(height + GAP, 58)
    left, top = 182, 26
    figure = canvas(left + width + 14, top + pitch * len(strips) + 4)
    label(figure, left, top - 10, "low", color=MUTED)
    label(figure, left + width, top - 10, "high", ha="right", color=MUTED)
    for line, (latent, strip) in enumerate(zip(latents, strips, strict=True)):
        place(figure, strip, left, top + line * pitch)
        name, *others = _row_texts(latent, measure)
        label_row(figure, left - 12, top + line * pitch + height / 2, [short(name, left - 16), *others])
    return figure


def _row_texts(latent: Latent, measure: Measure) -> tuple[str, str, str]:
    """Return three texts: the latent and its factor, its nats, and its range."""
    name = f"z{latent.index}" if latent.factor is None else f"z{latent.index}  {latent.factor}"
    information = "" if latent.mutual_information is None else f", MI {latent.mutual_information:.2f}"
    nats = f"{'KL' if measure == 'KL' else 'info'} {latent.nats:.2f}{information} nats"
    return name, nats, f"{signed(latent.low)} to {signed(latent.high)}"


def sweep(model: VAE, reference: Array, latent: Latent, steps: int = STEPS) -> Array:
    """Decode pictures [steps, C, H, W] in [0, 1] from `reference` [D] with one latent varied from low to high."""
    codes = np.repeat(reference[None].astype(np.float32), steps, axis=0)
    codes[:, latent.index] = np.linspace(latent.low, latent.high, steps)
    return _numpy(model.decode(torch.from_numpy(codes)))


def _batch(x: Images) -> torch.Tensor:
    batch = torch.as_tensor(x)
    if batch.ndim != 4 or not len(batch):
        raise InputError(f"images have shape {list(batch.shape)}; expected [B, C, H, W] with at least one image")
    return batch


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().double().numpy()
