"""Many images in one picture."""

import math
from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image

from equipoise.data.pixels import Bytes

LINE = 2  # pixels between the images
SIDE = 64  # pixels, up to which small images are enlarged
WIDTH = 2000  # pixels of a picture of enlarged images


def png(pixels: Bytes) -> bytes:
    """Return images [N, C, H, W] as one PNG file, row by row in a rectangle that is about square, with white lines.

    One channel is grey, three are colour, and any other number is drawn as the mean of the channels. Images of up to 32
    pixels are enlarged by a whole number, if there are not too many of them.
    """
    if pixels.shape[1] not in (1, 3):
        pixels = np.rint(pixels.mean(axis=1, keepdims=True)).astype(np.uint8)
    columns = math.ceil(math.sqrt(len(pixels)))
    largest = max(pixels.shape[2:])
    times = max(1, min(SIDE // largest, WIDTH // (columns * largest)))
    pixels = pixels.repeat(times, axis=2).repeat(times, axis=3)
    count, channels, height, width = pixels.shape
    rows = -(-count // columns)
    sheet = np.full((rows * columns, channels, height + LINE, width + LINE), 255, np.uint8)
    sheet[:count, :, :height, :width] = pixels
    cells = sheet.reshape(rows, columns, *sheet.shape[1:]).transpose(0, 3, 1, 4, 2)
    whole = cells.reshape(rows * (height + LINE), columns * (width + LINE), channels)[:-LINE, :-LINE]
    file = BytesIO()
    Image.fromarray(whole[..., 0] if channels == 1 else whole).save(file, "png")
    return file.getvalue()


def element(file: bytes) -> str:
    """Return the element of a page that shows a PNG file."""
    return f'<img src="data:image/png;base64,{b64encode(file).decode()}">'
