"""One picture at a time: decoded, brought to eight bits, cropped, resized, in grey or in colour."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError

KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no other decoder is tried, whatever the suffix
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes of one channel
# Formats whose EXIF orientation is applied: a png must be decoded to read its tags, and Pillow turns a tif itself.
_PHOTOGRAPHS = ("JPEG", "MPO", "WEBP")
_SWAPPED = range(5, 9)  # EXIF orientations that swap width and height
LARGEST = 89_478_485  # pixels; Pillow's own limit against decompression bombs, a quarter of a gigabyte in colour


class Damaged(InputError):
    """A picture whose file is damaged or not an image; `why` is the reason without the name."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} cannot be read as an image ({why}); mend or remove it")
        self.why = why


class Head(NamedTuple):
    """Properties of a picture before it is decoded: its size upright, in pixels, and whether it is grey."""

    width: int
    height: int
    grey: bool


class Form(NamedTuple):
    """The form of the images: the settings data.size, data.crop and data.grey; see `prepare`."""

    size: int | None = None
    crop: int | None = None
    grey: bool = False

    def check(self) -> None:
        """Raises `InputError` for sides that are too small for every net."""
        for setting in ("size", "crop"):
            side = getattr(self, setting)
            if side is not None and side < 8:
                raise InputError(f"data.{setting}={side} is too small; give 8 pixels or more, such as 64")

    def output_shape(self, shape: Shape, name: str) -> Shape:
        """The shape of a picture of this shape in this form. Raises `InputError` for one smaller than the crop."""
        channels, height, width = shape
        if self.crop is not None:
            if min(width, height) < self.crop:
                raise InputError(f"{name} is {width} x {height}, too small for data.crop={self.crop}; lower data.crop")
            height = width = self.crop
        if self.grey and channels not in (1, 3):
            raise InputError(f"{name} has {channels} channels, and data.grey is for colour pictures; remove data.grey")
        return (1 if self.grey else channels), self.size or height, self.size or width

    def keeps(self, shape: Shape) -> bool:
        """Whether pictures of this shape, which are large enough for the crop, stay as they are."""
        return self.crop in (None, shape[1]) and self.output_shape(shape, "") == shape

    def prepare(self, image: Image.Image, channels: int, name: str) -> Bytes:
        """A picture in this form with 1 or 3 channels, uint8 [C, H, W]."""
        return prepare(image, channels=channels, crop=self.crop, size=self.size, name=name)

    def prepare_pixels(self, pixels: Bytes, channels: int, name: str) -> Bytes:
        """Pixels uint8 [C, H, W] in this form; with `channels` other than 1 and 3, each channel as if it were grey.

        Raises `InputError` if C is not `channels` and one of them is neither 1 nor 3.
        """
        if len(pixels) in (1, 3) and channels in (1, 3):
            return self.prepare(image_of(pixels), channels, name)
        if len(pixels) != channels:
            raise InputError(f"{name} has {len(pixels)} channels, expected {channels}; give all the same channels")
        return np.concatenate([self.prepare(image_of(plane[None]), 1, name) for plane in pixels])


def head(file: Path | BinaryIO, *, name: str) -> Head:
    """The head of an image file. Raises `Damaged` for other files; `InputError` for animations and bombs."""
    with reading(name), _open(file, name) as image:
        return head_of(image)


def decode(
    file: Path | BinaryIO,
    *,
    channels: int | None = None,
    crop: int | None = None,
    size: int | None = None,
    name: str,
) -> Bytes:
    """The picture in an image file, uint8 [C, H, W]; see `prepare`.

    Formats are png, jpeg, bmp, gif, webp, tiff and pnm. Raises `Damaged` for other and damaged files; and `InputError`
    for animations, and for images of more than 89 million pixels, which may be decompression bombs.
    """
    with reading(name), _open(file, name) as image:
        return prepare(image, channels=channels, crop=crop, size=size, name=name)


def prepare(
    image: Image.Image, *, channels: int | None = None, crop: int | None = None, size: int | None = None, name: str
) -> Bytes:
    """Pixels of a Pillow image, uint8 [C, H, W].

    channels: 1 is grey (ITU-R 601 luma), 3 is colour; by default as the picture is, palettes counting as colour.
    crop: first cut out a centred square of that many pixels a side. size: then resize to size x size with Pillow's
    Lanczos filter, which avoids aliasing; pictures that are not square are squeezed.

    Transparent pictures are laid on black; 16-bit grey is rounded to 8 bits, 16-bit colour loses its lower 8; a
    photograph that was read from a file is turned as its EXIF tag says. Raises `InputError` for a picture smaller than
    the crop, and for pixels outside of their range.
    """
    if channels is None:
        channels = 1 if image.mode in _GREY else 3
    _check_tiff(image, name)
    image = ImageOps.exif_transpose(image) if image.format in _PHOTOGRAPHS else image
    image = _eight_bit(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if crop is not None:
        Form(crop=crop).output_shape((channels, image.height, image.width), name)  # large enough?
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def image_of(pixels: Bytes) -> Image.Image:
    """Pixels uint8 [C, H, W], C = 1 or 3, as a Pillow image."""
    return Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)))


def resize(array: Bytes, size: int) -> Bytes:
    """Pixels uint8 [H, W] or [H, W, C] resized to size x size as `prepare` does it; the same axes."""
    if array.ndim == 3:
        return np.stack([resize(np.ascontiguousarray(plane), size) for plane in np.moveaxis(array, 2, 0)], axis=2)
    return np.asarray(Image.fromarray(array).resize((size, size), Image.Resampling.LANCZOS))


def head_of(image: Image.Image) -> Head:
    """The head of a Pillow image whose pixels need not have been read."""
    width, height = image.size
    if image.format in _PHOTOGRAPHS and image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED:
        width, height = height, width
    return Head(width, height, image.mode in _GREY)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn errors of Pillow into `Damaged`, or into `InputError` for bombs and files without permission."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise bomb(name) from error
    except PermissionError as error:
        raise InputError(f"{name} may not be read by you ({error.strerror}); change its permissions") from error
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise Damaged(name, "not an image of a supported format") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise Damaged(name, str(error)) from error


@contextmanager
def _open(file: Path | BinaryIO, name: str) -> Iterator[Image.Image]:
    """An image of which only the header is read."""
    if isinstance(file, Path):
        # Opened as a stream: Pillow 13 decodes a turned tif wrongly if it maps the file into memory.
        with open(file, "rb") as stream, _open(stream, name) as image:
            yield image
        return
    with Image.open(file, formats=_FORMATS) as image:
        if not image.width * image.height:
            raise Damaged(name, "no pixels")
        # Pillow only warns below twice the limit, and filters of warnings are not safe in threads.
        if image.width * image.height > LARGEST:
            raise bomb(name)
        if getattr(image, "is_animated", False) and image.format != "MPO":  # an MPO is a photograph with a preview
            raise InputError(f"{name} holds several pictures; save each to a file of its own")
        yield image


def bomb(name: str) -> InputError:
    """The error for a picture of more than `LARGEST` pixels."""
    return InputError(f"{name} is refused as a decompression bomb (more than {LARGEST:,} pixels); make it smaller")


def _check_tiff(image: Image.Image, name: str) -> None:
    """Raises `InputError` for an open TIFF whose pixels Pillow reads wrongly; `readers.tiff` reads such files."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = image.tag_v2
    bits = max(tags.get(ExifTags.Base.BitsPerSample, (1,)))
    samples, is_planar = tags.get(ExifTags.Base.SamplesPerPixel, 1), tags.get(ExifTags.Base.PlanarConfiguration) == 2
    is_inverted = tags.get(ExifTags.Base.PhotometricInterpretation) == 0
    is_dropped = samples > len(image.getbands()) and image.mode not in ("RGB", "P")
    if is_dropped or (bits > 8 and (is_inverted or (is_planar and samples > 1))):
        raise InputError(f"{name} is a kind of TIFF that Pillow misreads; give the folder of the file as data instead")


def _eight_bit(image: Image.Image, name: str) -> Image.Image:
    """Grey of 16 bits or of floats in [0, 1] as 8 bits; any other image as it is."""
    if not image.mode.startswith(("I", "F")):
        image.load()  # the file closes after this
        return image
    values = np.asarray(image).astype(np.float64)
    top = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= top):
        raise InputError(
            f"{name} has pixels from {values.min():g} to {values.max():g}, expected 0..{top}; save it with 8 or 16 bits"
        )
    return Image.fromarray(np.rint(values * 255 / top).astype(np.uint8))
