"""dSprites, rendered instead of downloaded: 737,280 sprites of 64 x 64 black and white pixels in about a second.

The set of Matthey, Higgins, Hassabis and Lerchner (2017), https://github.com/google-deepmind/dsprites-dataset: every
combination of 3 shapes, 6 scales, 40 orientations and 32 x 32 positions. The rendering rule was derived from published
images and reproduces all that we compared, pixel by pixel (461 are in the tests). It gives 128,328,864 white pixels;
the published mean pixel corresponds to 128,328,862, so a few images may differ by one pixel of rounding.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.data.pixels import Bytes
from equipoise.data.store import cache_folder
from equipoise.files import replacing

FACTOR_NAMES = ("shape", "scale", "orientation", "pos_x", "pos_y")
FACTOR_SIZES = (3, 6, 40, 32, 32)
FACTOR_VALUES = {"shape": ("square", "ellipse", "heart")}
N = 737_280
BLOCK = 32 * 32  # images of one shape, scale and orientation
ROW = 64 * 64 // 8  # bytes of a packed image

SCALES = np.linspace(0.5, 1, 6)
ANGLES = np.linspace(0, 2 * np.pi, 40)  # both ends: orientations 0 and 39 are the same picture, as published
CENTRES = 16 + 32 * np.linspace(0, 1, 32)  # pixels from the left and from the top

# A row of 64 pixels whose first k are white, as the 8 packed bytes of the row; k = 0..64.
_FIRST = np.packbits(np.arange(64) < np.arange(65)[:, None], axis=1).view(np.uint64)[:, 0]

_Floats = npt.NDArray[np.float64]


def outline(shape: int) -> tuple[_Floats, _Floats]:
    """Corners of a shape at scale 1, in pixels to the right of and below the point about which it turns; each [M]."""
    half = 9.6  # 0.15 of the picture's side
    if shape == 0:  # square
        return half * np.array([-1.0, 1, 1, -1]), half * np.array([-1.0, -1, 1, 1])
    if shape == 1:  # ellipse, a polygon of 100 corners
        t = 2 * np.pi * np.arange(100) / 100
        return 1.33 * half * np.cos(t), half / 1.33 * np.sin(t)
    t = 2 * np.pi * np.arange(150) / 150  # heart, a polygon of 150 corners
    height = (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 14.5 + 0.15
    return half * np.sin(t) ** 3, -half * height


def block(shape: int, scale: int, orientation: int) -> Bytes:
    """The 1,024 images of one shape, scale and orientation, pos_y running fastest: packed bits, uint8 [1024, 512].

    Corners are snapped to 1/256 pixel. A pixel is white when its centre lies inside the polygon by the even-odd rule;
    a centre on a left or lower edge is inside, on a right or upper edge outside. Horizontal coordinates depend on pos_x
    alone and vertical ones on pos_y alone, so the edges are cut with the scan lines once for each pos_y.
    """
    u, v = outline(shape)
    cos, sin = np.cos(ANGLES[orientation]), np.sin(ANGLES[orientation])
    across = SCALES[scale] * (u * cos + v * sin)
    down = SCALES[scale] * (-u * sin + v * cos)
    x = np.rint(256 * (CENTRES[:, None] + across))  # [pos_x, M], 1/256 pixel
    y = np.rint(256 * (64 - (CENTRES[:, None] + down)))  # [pos_y, M], upwards: the tie rule above needs it so
    dx, dy = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y  # the edge from each corner to the next

    # The scan lines an edge crosses: those with lower end <= 256 * line + 128 < upper end.
    lowest = np.ceil((np.minimum(y, y + dy) - 128) / 256).astype(np.int64)
    crossings = np.ceil((np.maximum(y, y + dy) - 128) / 256).astype(np.int64) - lowest
    pos_y, edge = np.nonzero(crossings)
    times = crossings[pos_y, edge]
    line = np.arange(times.sum()) + np.repeat(lowest[pos_y, edge] - np.cumsum(times) + times, times)
    pos_y, edge = np.repeat(pos_y, times), np.repeat(edge, times)
    row = pos_y * 64 + 63 - line
    order = np.argsort(row.astype(np.uint16), kind="stable")  # 16 bits are sorted by radix
    row, line, pos_y, edge = row[order], line[order], pos_y[order], edge[order]

    # The number of pixel centres left of a crossing. Numerator and denominator are whole numbers below 2**31 and the
    # quotient is below 2**8, so that its distance from a whole number, at least 1/denominator, survives the rounding.
    run, rise = 256 * line + 128 - y[pos_y, edge], dy[pos_y, edge]
    left = np.ceil(((x - 128)[:, edge] * rise + dx[:, edge] * run) / (256 * rise))  # [pos_x, crossings]

    # Filling from the left up to each crossing, and inverting where fills meet, is the even-odd rule.
    first = np.flatnonzero(np.diff(row, prepend=-1))
    images = np.zeros((32, 32 * 64), np.uint64)
    images[:, row[first]] = np.bitwise_xor.reduceat(_FIRST[left.astype(np.int64)], first, axis=1)
    return images.view(np.uint8).reshape(BLOCK, ROW)


def blocks() -> Iterator[Bytes]:
    """All blocks in the published order: shape, scale and orientation, the last running fastest."""
    for shape, scale, orientation in np.ndindex(FACTOR_SIZES[:3]):
        yield block(shape, scale, orientation)


def load() -> Images:
    """dSprites as Images: 737,280 of (1, 64, 64), factors shape, scale, orientation, pos_x, pos_y on a full grid.

    The packed pixels (377 MB) are mapped from a file in the cache folder, which all processes of a machine share and
    which is rendered if it is missing or damaged. If it cannot be written, they are kept in memory.
    """
    try:
        path = cache_folder() / "dsprites-64x64-bits.npy"
        rows = _memory_map(path)
        if rows is None:
            _write(path)
            rows = _memory_map(path)
    except (OSError, RuntimeError):  # no right to write, no room, no home folder
        rows = None
    if rows is None:
        rows = np.empty((N, ROW), np.uint8)
        for i, images in enumerate(blocks()):
            rows[i * BLOCK : (i + 1) * BLOCK] = images
    # A fixed digest, to be changed with any pixel: computing it would read all pixels at every start of a run.
    return of_rows(rows, "grid", source="rendered by equipoise.data.sets.dsprites", digest="dsprites-1")


def of_rows(rows: Bytes, factors: npt.ArrayLike | Literal["grid"], source: str, digest: str | None = None) -> Images:
    """Images from packed rows, uint8 [N, 512], with the name, factors, licence and citation of dSprites."""
    return Images(
        rows,
        name=DSPRITES.name,
        shape=DSPRITES.shape,
        factors=factors,
        factor_names=FACTOR_NAMES,
        factor_sizes=FACTOR_SIZES,
        factor_values=FACTOR_VALUES,
        source=source,
        licence=DSPRITES.licence,
        citation=DSPRITES.citation,
        digest=digest,
    )


def _memory_map(path: Path) -> Bytes | None:
    """The packed images in a .npy file, memory-mapped; None if the file is missing or damaged."""
    try:
        rows = np.lib.format.open_memmap(path, mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    if rows.shape != (N, ROW) or rows.dtype != np.uint8 or path.stat().st_size != rows.offset + rows.nbytes:
        return None
    # The last block of each shape is rendered again: 3 ms in all.
    for shape, last in enumerate(np.arange(1, 4) * (N // 3)):
        if not np.array_equal(rows[last - BLOCK : last], block(shape, 5, 39)):
            return None
    return rows


def _write(path: Path) -> None:
    """Render all images into a .npy file, block by block, so that only one block is in memory."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (N, ROW)}
    with replacing(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for images in blocks():
            file.write(images.tobytes())


DSPRITES = Dataset(
    name="dsprites",
    summary="737,280 white shapes on black: 3 shapes, 6 scales, 40 orientations, 32 x 32 positions; rendered",
    draw=load,
    images=N,
    shape=(1, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home="https://github.com/google-deepmind/dsprites-dataset",
    licence="Apache-2.0",
    citation="L. Matthey, I. Higgins, D. Hassabis and A. Lerchner: dSprites: Disentanglement testing Sprites dataset, "
    "2017, https://github.com/google-deepmind/dsprites-dataset",
)
DATASETS = (DSPRITES,)
