"""One picture at a time: decoded, brought to eight bits, cut, resized, in grey or in colour."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError

KINDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # whatever their names say, no other decoder is tried
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes of one channel
# Where EXIF tags are heeded: a png must be decoded to know of any, and Pillow turns a tif by itself.
_PHOTOGRAPHS = ("JPEG", "MPO", "WEBP")
_SWAPPED = range(5, 9)  # EXIF orientations that swap width and height
_LARGEST = 89_478_485  # pixels; Pillow's own limit against decompression bombs, a quarter of a gigabyte in colour


class Damaged(InputError):
    """A picture that cannot be read because its file is torn, or is no image at all; `why` is the reason alone."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} cannot be read as an image ({why}); mend or remove it")
        self.why = why


class Head(NamedTuple):
    """What is known of a picture before it is decoded: its size upright, in pixels, and whether it is grey."""

    width: int
    height: int
    grey: bool


class Form(NamedTuple):
    """What pictures are to be brought to: the settings data.size, data.crop and data.grey; see `prepared`."""

    size: int | None = None
    crop: int | None = None
    grey: bool = False

    def check(self) -> None:
        """InputError for sides that no net takes."""
        for setting in ("size", "crop"):
            side = getattr(self, setting)
            if side is not None and side < 8:
                raise InputError(f"data.{setting}={side} is too small; give 8 pixels or more, such as 64")

    def of(self, shape: Shape, name: str) -> Shape:
        """What becomes of the shape of a picture. InputError for one too small to be cut."""
        channels, height, width = shape
        if self.crop is not None:
            if min(width, height) < self.crop:
                raise InputError(f"{name} is {width} x {height}, too small for data.crop={self.crop}; lower data.crop")
            height = width = self.crop
        return (1 if self.grey else channels), self.size or height, self.size or width

    def keeps(self, shape: Shape) -> bool:
        """Whether pictures of this shape, which are not too small to be cut, stay as they are."""
        return self.crop in (None, shape[1]) and self.of(shape, "") == shape

    def apply(self, pixels: Bytes, name: str) -> Bytes:
        """Pixels uint8 [C, H, W], C = 1 or 3, brought to this form."""
        channels = 1 if self.grey else len(pixels)
        return prepared(image_of(pixels), channels=channels, crop=self.crop, size=self.size, name=name)


AS_IT_IS = Form()


def head(file: Path | BinaryIO, *, name: str) -> Head:
    """The head of an image file. `Damaged` for a file that is none; InputError for animations and bombs."""
    with reading(name), _opened(file, name) as image:
        return head_of(image)


def decode(
    file: Path | BinaryIO,
    *,
    channels: int | None = None,
    crop: int | None = None,
    size: int | None = None,
    name: str,
) -> Bytes:
    """The picture in an image file, uint8 [C, H, W]; see `prepared`.

    Read are png, jpeg, bmp, gif, webp, tiff and pnm. `Damaged` for a file that is none of these, or torn; InputError,
    with the `name`, for animations, and for images of more than 89 million pixels, which may be decompression bombs.
    """
    with reading(name), _opened(file, name) as image:
        return prepared(image, channels=channels, crop=crop, size=size, name=name)


def prepared(
    image: Image.Image, *, channels: int | None = None, crop: int | None = None, size: int | None = None, name: str
) -> Bytes:
    """Pixels of a Pillow image, uint8 [C, H, W].

    channels: 1 is grey (ITU-R 601 luma), 3 is colour; by default as the picture is, palettes counting as colour.
    crop: first cut a centred square of that many pixels a side. size: then resize to size x size with Lanczos' filter,
    widened against aliasing as Pillow does it; what is not square is squeezed.

    What is transparent is laid on black; 16-bit grey is rounded to 8 bits, 16-bit colour loses its lower 8; a
    photograph that was read from a file is turned as its EXIF tag says.
    """
    if channels is None:
        channels = 1 if image.mode in _GREY else 3
    image = ImageOps.exif_transpose(image) if image.format in _PHOTOGRAPHS else image
    image = _eight_bit(image, name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    image = image.convert("L" if channels == 1 else "RGB")
    if crop is not None:
        Form(crop=crop).of((channels, image.height, image.width), name)  # large enough?
        left, top = (image.width - crop) // 2, (image.height - crop) // 2
        image = image.crop((left, top, left + crop, top + crop))
    if size is not None and image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else np.moveaxis(pixels, 2, 0)


def image_of(pixels: Bytes) -> Image.Image:
    """Pixels uint8 [C, H, W], C = 1 or 3, as a Pillow image."""
    return Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)))


def resized(array: Bytes, size: int) -> Bytes:
    """Pixels uint8 [H, W] or [H, W, C] resized to size x size as `prepared` does it; the same axes."""
    if array.ndim == 3:
        return np.stack([resized(np.ascontiguousarray(plane), size) for plane in np.moveaxis(array, 2, 0)], axis=2)
    return np.asarray(Image.fromarray(array).resize((size, size), Image.Resampling.LANCZOS))


def head_of(image: Image.Image) -> Head:
    """The head of a Pillow image whose pixels need not have been read."""
    width, height = image.size
    if image.format in _PHOTOGRAPHS and image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED:
        width, height = height, width
    return Head(width, height, image.mode in _GREY)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What Pillow raises for a torn file or no image becomes `Damaged`; for bombs and locked files InputError."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _bomb(name) from error
    except PermissionError as error:
        raise InputError(f"{name} may not be read by you ({error.strerror}); change its permissions") from error
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise Damaged(name, "no image of a kind that is read") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise Damaged(name, str(error)) from error


@contextmanager
def _opened(file: Path | BinaryIO, name: str) -> Iterator[Image.Image]:
    """An image whose header is read and whose pixels are not."""
    if isinstance(file, Path):
        # A stream and not its name: Pillow 13 garbles a turned tif that it maps into memory.
        with open(file, "rb") as stream, _opened(stream, name) as image:
            yield image
        return
    with Image.open(file, formats=_FORMATS) as image:
        # Pillow only warns of what is less than twice the limit, and filters of warnings are not safe among threads.
        if image.width * image.height > _LARGEST:
            raise _bomb(name)
        if getattr(image, "is_animated", False) and image.format != "MPO":  # an MPO is a photograph with a preview
            raise InputError(f"{name} holds several pictures; save each to a file of its own")
        yield image


def _bomb(name: str) -> InputError:
    return InputError(f"{name} is refused as a decompression bomb (more than {_LARGEST:,} pixels); make it smaller")


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
