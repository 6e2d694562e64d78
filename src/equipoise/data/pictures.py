"""One picture at a time: decoded, and brought to a form: eight bits, cropped, resized, in grey or in colour."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError

from equipoise.data import intensity
from equipoise.data.intensity import Raw
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
        super().__init__(f"{name} cannot be read as an image ({why}); repair or remove it")
        self.name, self.why = name, why

    def __reduce__(self) -> tuple[type["Damaged"], tuple[str, str]]:
        """Pickle the arguments of the constructor; the default would pickle the message."""
        return type(self), (self.name, self.why)


class Form(NamedTuple):
    """The form of the images: the settings data.size, data.crop, data.grey and data.range."""

    size: int | None = None
    crop: int | None = None
    grey: bool = False
    range: intensity.Range | None = None

    def check(self) -> None:
        """Raises `InputError` for sides that are no whole numbers, or too small for every net."""
        for setting in ("size", "crop"):
            side = getattr(self, setting)
            if side is not None and not isinstance(side, int | np.integer):
                raise InputError(f"data.{setting} is {side!r}; expected one whole number of pixels, such as 64")
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
        """Whether bytes of this shape, which are large enough for the crop, stay as they are."""
        has_shape = self.crop in (None, shape[1]) and self.output_shape(shape, "") == shape
        return has_shape and self.range is None

    def prepare(self, raw: Raw, channels: int, name: str) -> Bytes:
        """A picture in this form, uint8 [C, H, W], C = `channels`.

        First the range becomes 0..255, then a centred square is cut out, grey becomes colour or colour grey (ITU-R 601
        luma), and the picture is resized with Pillow's Lanczos filter, which avoids aliasing; pictures that are not
        square are squeezed. Raises `InputError` for a picture smaller than the crop, for values outside of their range,
        and if C is not `channels` and one of them is neither 1 nor 3.
        """
        pixels = intensity.to_bytes(raw, self.range, name)
        if self.crop is not None:
            self.output_shape(pixels.shape, name)  # large enough?
            top, left = (pixels.shape[1] - self.crop) // 2, (pixels.shape[2] - self.crop) // 2
            pixels = pixels[:, top : top + self.crop, left : left + self.crop]
        if len(pixels) != channels:
            if not {len(pixels), channels} <= {1, 3}:
                raise InputError(f"{name} has {len(pixels)} channels, expected {channels}; give all the same channels")
            pixels = _channels_first(np.asarray(image_of(pixels).convert("L" if channels == 1 else "RGB")))
        return pixels if self.size is None else resize(pixels, self.size)


def head(file: Path | BinaryIO, *, name: str) -> Shape:
    """Channels, 1 or 3, and height and width upright, of an image file that is not decoded.

    Raises `Damaged` for other files, and `InputError` for animations and bombs.
    """
    with reading(name), _open(file, name) as image:
        channels = 1 if image.mode in _GREY or _rawmode(image) == "LA;16B" else 3
        width, height = image.size
        if image.format in _PHOTOGRAPHS and image.getexif().get(ExifTags.Base.Orientation) in _SWAPPED:
            width, height = height, width
        return channels, height, width


def read(file: Path | BinaryIO, *, name: str) -> Raw:
    """The picture in an image file: png, jpeg, bmp, gif, webp, tiff or pnm.

    Raises `Damaged` for other and damaged files; and `InputError` for animations, and for images of more than 89
    million pixels, which may be decompression bombs.
    """
    with reading(name):
        if (deep := _sixteen_bits(file, name)) is not None:
            return deep
        with _open(file, name) as image:
            return raw_of(image, name)


def raw_of(image: Image.Image, name: str) -> Raw:
    """The values of a Pillow image, upright: grey or in colour, palettes counting as colour, and without transparency.

    Transparent pictures are laid on black; a photograph that was read from a file is turned as its EXIF tag describes.
    16 bits of grey and floats stay as they are; Pillow keeps 8 of 16 bits of colour.
    """
    _check_tiff(image, name)
    image = ImageOps.exif_transpose(image) if image.format in _PHOTOGRAPHS else image
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)[None]
        return intensity.Raw(values, 1.0 if image.mode == "F" else 65535.0)
    is_grey = image.mode in _GREY
    image.load()  # the file closes after this
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return intensity.raw(_channels_first(np.asarray(image.convert("L" if is_grey else "RGB"))))


def _sixteen_bits(file: Path | BinaryIO, name: str) -> Raw | None:
    """The 16 bits of a PNG in colour or with alpha, of which Pillow keeps the upper 8; None for other files."""
    with _open(file, name) as image:
        rawmode = _rawmode(image)
        if rawmode not in ("RGB;16B", "RGBA;16B", "LA;16B") or "transparency" in image.info:
            return None
        if rawmode == "LA;16B":  # unpacked as four channels of 8 bits
            both = _unpacked(image, "RGBA")
            samples = np.stack([both[:, :, 0] * 256 + both[:, :, 1], both[:, :, 2] * 256 + both[:, :, 3]], axis=2)
        else:
            samples = _unpacked(image, rawmode) * 256
    if rawmode != "LA;16B":
        with _open(file, name) as image:
            samples += _unpacked(image, rawmode.replace("16B", "16L"))
    values = _channels_first(samples)
    return intensity.raw(values) if len(values) == 3 else intensity.raw(values[:-1])._replace(alpha=values[-1] / 65535)


def _rawmode(image: Image.Image) -> str:
    """How Pillow unpacks the samples of a PNG that is not read yet; empty for other images."""
    if isinstance(image, ImageFile.ImageFile) and image.format == "PNG" and image.tile:
        return str(image.tile[0][3])
    return ""


def _unpacked(image: ImageFile.ImageFile, rawmode: str) -> npt.NDArray[np.uint16]:
    """The bytes of a picture that are not read yet, unpacked in this way."""
    image.tile = [(*image.tile[0][:3], rawmode)]  # type: ignore[list-item]  # Pillow 11 has a named tuple
    return np.asarray(image).astype(np.uint16)


def _channels_first(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)


def image_of(pixels: Bytes) -> Image.Image:
    """Pixels uint8 [C, H, W], C = 1 or 3, as a Pillow image."""
    return Image.fromarray(np.ascontiguousarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, 2)))


def resize(pixels: Bytes, size: int) -> Bytes:
    """Pixels uint8 [C, H, W] at size x size, by Pillow's Lanczos filter; not copied if they have this size."""
    if pixels.shape[1:] == (size, size):
        return pixels
    if len(pixels) not in (1, 3):
        return np.concatenate([resize(plane[None], size) for plane in pixels])
    return _channels_first(np.asarray(image_of(pixels).resize((size, size), Image.Resampling.LANCZOS)))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn errors of Pillow into `Damaged`, or into `InputError` for bombs and files without permission."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise bomb(name) from error
    except PermissionError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}); change its permissions") from error
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise Damaged(name, "not an image of a supported format") from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error) as error:
        raise Damaged(name, str(error)) from error


@contextmanager
def _open(file: Path | BinaryIO, name: str) -> Iterator[ImageFile.ImageFile]:
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
