"""Images from a folder of image files."""

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from equipoise.data.images import Images
from equipoise.errors import InputError

KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")  # whatever their names say, no other decoder is tried
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes of one channel
# Where EXIF tags are heeded: a png must be decoded to know of any, and Pillow turns a tif by itself.
_PHOTOGRAPHS = ("JPEG", "MPO", "WEBP")
_SWAPPED = range(5, 9)  # EXIF orientations that swap width and height


def from_folder(path: Path, *, size: int | None = None, crop: int | None = None, grey: bool = False) -> Images:
    """Images of a folder and its sub-folders, in the natural order of their names: frame2 before frame10.

    Read are png, jpg, bmp, gif, webp and tif; other and hidden files are passed over. The images come out grey (C = 1)
    if all are grey or `grey` is set (ITU-R 601 luma), in colour (C = 3) otherwise; palettes count as colour. What is
    transparent is laid on black; 16-bit grey is rounded to 8 bits, 16-bit colour loses its lower 8; photographs are
    turned as their EXIF tag says. `crop`: first cut a centred square of that many pixels a side. `size`: then resize to
    size x size, with Lanczos' filter widened against aliasing as Pillow does it; what is not square is squeezed.

    InputError, before any pixel is decoded, for a folder without images, mixed sizes without `size`, an image smaller
    than `crop`, animations, images of more than 89 million pixels (Pillow's limit against decompression bombs), and
    files that are no images; a file whose pixels are damaged is named when it is reached.
    """
    for setting, side in (("size", size), ("crop", crop)):
        if side is not None and side < 8:
            raise InputError(f"data.{setting}={side} is too small; give 8 pixels or more, such as 64")
    files = sorted(
        (file for file in path.rglob("*") if file.suffix.lower() in KINDS and _shown(file, path) and file.is_file()),
        key=lambda file: _natural(file.relative_to(path)),
    )
    if not files:
        raise InputError(
            f"{path}: there are no images in this folder; expected {', '.join(k[1:] for k in KINDS)} files"
        )
    heads = [_head(file) for file in files]
    sizes = [(width, height) for width, height, _ in heads]
    if crop is not None:
        for file, (width, height) in zip(files, sizes, strict=True):
            if min(width, height) < crop:
                raise InputError(f"{file} is {width} x {height}, too small for data.crop={crop}; lower data.crop")
        sizes = [(crop, crop)] * len(files)
    if size is None and (other := next((i for i, each in enumerate(sizes) if each != sizes[0]), None)) is not None:
        raise InputError(
            f"{path}: images of different sizes, {files[0].name} {sizes[0][0]} x {sizes[0][1]} and {files[other].name} "
            f"{sizes[other][0]} x {sizes[other][1]}; bring them to one with data.size=64"
        )
    width, height = (size, size) if size else sizes[0]
    channels = 1 if grey or all(head[2] for head in heads) else 3
    pixels = np.empty((len(files), channels, height, width), np.uint8)
    for i, file in enumerate(files):
        pixels[i] = _pixels(file, channels, crop, size)
    return Images(pixels, name=str(path), source=str(path))


def _shown(file: Path, folder: Path) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in file.relative_to(folder).parts)


def _natural(path: Path) -> tuple[Any, ...]:
    """Sorts runs of digits by their number; upper and lower case together; the plain path decides what is left."""
    # Splitting at digits gives text, number, text, ...: like is compared with like.
    parts = [re.split(r"(\d+)", part.casefold()) for part in path.parts]
    return [[int(word) if i % 2 else word for i, word in enumerate(part)] for part in parts], str(path)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """An image whose header is read and whose pixels are not; errors name the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # A stream and not its name: Pillow 13 garbles a turned tif that it maps into memory.
            with open(file, "rb") as stream, Image.open(stream, formats=_FORMATS) as image:
                yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{file} is refused as a decompression bomb ({error}); make it smaller") from error
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise InputError(f"{file} cannot be read as an image ({error}); mend or remove it") from error


def _head(file: Path) -> tuple[int, int, bool]:
    """Width, height, and whether the image is grey, from the header alone."""
    with _opened(file) as image:
        if getattr(image, "is_animated", False) and image.format != "MPO":  # an MPO is a photograph with a preview
            raise InputError(f"{file} holds several pictures; save each to a file of its own")
        width, height = image.size
        if image.format in _PHOTOGRAPHS and image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED:
            width, height = height, width
        return width, height, image.mode in _GREY


def _pixels(file: Path, channels: int, crop: int | None, size: int | None) -> npt.NDArray[np.uint8]:
    """Pixels of a file, [C, H, W]."""
    with _opened(file) as source:
        image = ImageOps.exif_transpose(source) if source.format in _PHOTOGRAPHS else source
        image = _eight_bit(image, file)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if crop is not None:
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def _eight_bit(image: Image.Image, file: Path) -> Image.Image:
    """Grey of 16 bits or of floats in [0, 1] as 8 bits; any other image as it is."""
    if not image.mode.startswith(("I", "F")):
        image.load()  # the file closes after this
        return image
    values = np.asarray(image).astype(np.float64)
    top = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= top):
        raise InputError(
            f"{file} has pixels from {values.min():g} to {values.max():g}, expected 0..{top}; save it with 8 or 16 bits"
        )
    return Image.fromarray(np.rint(values * 255 / top).astype(np.uint8))
