"""TIFF files, read with tifffile: any layout and byte order, 8 and 16 bits, floats, up to 16 channels."""

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from equipoise.data import pictures
from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError

MOST_CHANNELS = 16

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2  # the photometric interpretations that tifffile's arrays represent
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of an extra sample that is an alpha channel
_SEPARATE = 2  # the planar configuration in which each channel is stored on its own

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its remarks on odd tags stay off the terminal

Array = npt.NDArray[Any]


def is_tiff(file: Path) -> bool:
    """Whether a file begins like a TIFF, whatever its suffix."""
    with open(file, "rb") as stream:
        return stream.read(4) in _SIGNATURES


def head(file: Path, name: str) -> Shape | None:
    """Channels, height and width of a TIFF; None if Pillow reads it: palettes, 1 to 4 bits, CMYK and JPEG.

    Raises `Damaged` for a damaged file, and `InputError` for several pages and for kinds that are not read.
    """
    with _File(file, name) as tiff:
        pages = _pages(tiff, name)
        if _is_for_pillow(pages[0], name):
            return None
        _check_kind(pages, name)
        page = pages[0]
        channels = _samples(pages) - bool(_alpha(page))
        height, width = page.imagelength, page.imagewidth
        return (channels, width, height) if _orientation(page) >= 5 else (channels, height, width)


def read(file: Path, name: str) -> Bytes | None:
    """The picture in a TIFF, uint8 [C, H, W] with C up to 16; None if Pillow reads it, see `head`.

    16 bits are rounded to 8, and floats run from 0 to 1. Min-is-white pictures are inverted, so that white is 255. An
    alpha channel lays the picture on black. Raises the errors of `head`, and `InputError` for floats outside of their
    range.
    """
    with _File(file, name) as tiff:
        pages = _pages(tiff, name)
        page = pages[0]
        if _is_for_pillow(page, name):
            return None
        _check_kind(pages, name)
        arrays = [each.asarray(maxworkers=1) for each in pages]
    samples = np.stack(arrays) if len(pages) > 1 else arrays[0]
    if page.axes == "YX":
        samples = samples.reshape(-1, *samples.shape[-2:])
    elif page.axes == "YXS":
        samples = np.moveaxis(samples, 2, 0)
    pixels = _eight_bit(samples, page.bitspersample, name)
    if page.photometric == _MIN_IS_WHITE:
        pixels = 255 - pixels
    return _turned(_on_black(pixels, _alpha(page)), _orientation(page))


class _File:
    """An open TIFF; every error of tifffile while it is open becomes `Damaged`."""

    def __init__(self, file: Path, name: str) -> None:
        self.path, self.name = file, name

    def __enter__(self) -> tifffile.TiffFile:
        try:
            self.tiff = tifffile.TiffFile(self.path)
        except Exception as error:
            raise self._damaged(error) from error
        return self.tiff

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.tiff.close()
        # A damaged file can raise almost any error in tifffile.
        if isinstance(error, Exception) and not isinstance(error, InputError | MemoryError):
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        if isinstance(error, PermissionError):
            return InputError(f"{self.name} may not be read by you ({error.strerror}); change its permissions")
        return pictures.Damaged(self.name, str(error) or type(error).__name__)


def _pages(tiff: tifffile.TiffFile, name: str) -> list[Any]:
    """The page of the picture, or the pages of its channels if the file names them so. Raises for other pages."""
    pages: list[Any] = [tiff.pages[i] for i in range(min(len(tiff.pages), 1000))]
    if not pages:
        raise pictures.Damaged(name, "no page")
    pages = [page for page in pages if not (page.is_reduced or page.is_mask)] or pages[:1]  # no thumbnails
    page = pages[0]
    if min(page.imagewidth, page.imagelength, page.samplesperpixel) < 1:
        raise pictures.Damaged(name, "no pixels")
    if page.imagewidth * page.imagelength > pictures.LARGEST:
        raise pictures.bomb(name)
    if len(pages) == 1:
        return pages
    axes = tiff.series[0].axes if len(tiff.series) == 1 else ""
    alike = len({(each.shape, each.dtype, each.photometric) for each in pages}) == 1
    if axes == "CYX" and page.axes == "YX" and alike and len(pages) == len(tiff.pages):
        return pages
    about = f"{len(pages):,} pages" + (f", axes {axes}" if axes else "")
    raise InputError(f"{name} holds several pictures ({about}); save each to a file of its own")


def _is_for_pillow(page: Any, name: str) -> bool:
    """Whether Pillow is to read a page and reads it right. Raises `InputError` if nothing here reads it."""
    bits, samples = page.bitspersample, page.samplesperpixel
    is_planar = samples > 1 and page.planarconfig == _SEPARATE
    if page.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB) or bits < 8:
        if bits <= 8 or not is_planar:
            return True
        raise InputError(f"{name} has {bits} bits in separate planes of {_kind(page)}; save it as RGB or grey")
    try:
        _ = tifffile.TIFF.DECOMPRESSORS[page.compression], tifffile.TIFF.UNPREDICTORS[page.predictor]
    except KeyError:  # needs imagecodecs
        is_eight = bits == 8 and (samples in (1, 3) or bool(_alpha(page)))
        is_grey = samples == 1 and page.photometric == _MIN_IS_BLACK and str(page.dtype) in ("uint16", "float32")
        is_colour = str(page.dtype) == "uint16" and samples == 3 and not is_planar
        if is_eight or is_grey or is_colour:
            return True
        compression = getattr(page.compression, "name", page.compression)
        raise InputError(
            f"{name} is compressed with {compression}, which needs another package for {page.dtype} in {samples} "
            "channels; pip install imagecodecs, or save it without compression"
        ) from None
    return False


def _check_kind(pages: list[Any], name: str) -> None:
    """Raise `InputError` for too many channels and for other types, `Damaged` for pixels that are not in the file."""
    page, samples = pages[0], _samples(pages)
    if samples > MOST_CHANNELS:
        raise InputError(f"{name} has {samples} channels, and at most {MOST_CHANNELS} are read; leave some out")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise InputError(f"{name} has the axes {page.axes}; expected height, width and channels: save flat pictures")
    if page.photometric == _RGB and samples < 3:
        raise pictures.Damaged(name, f"{samples} channels for a picture in RGB")
    if str(page.dtype) not in ("uint8", "uint16", "float16", "float32", "float64"):
        raise InputError(f"{name} has pixels of type {page.dtype}; save it with 8 or 16 bits, or as floats from 0 to 1")
    for each in pages:
        size = each.parent.filehandle.size
        segments = list(zip(each.dataoffsets, each.databytecounts, strict=True))
        # tifffile fills segments that are missing with zeros.
        if len(segments) != math.prod(each.chunked) or any(
            start <= 0 or count <= 0 or start + count > size for start, count in segments
        ):
            raise pictures.Damaged(name, "the file is shorter than its pixels")
        if each.compression == 1 and sum(count for _, count in segments) * 8 < each.size * each.bitspersample:
            raise pictures.Damaged(name, "the file has fewer pixels than its head announces")


def _samples(pages: list[Any]) -> int:
    return int(pages[0].samplesperpixel) if len(pages) == 1 else len(pages)


def _alpha(page: Any) -> int:
    """The kind of the alpha channel, which is the last sample; 0 if there is none."""
    colours = 3 if page.photometric == _RGB else 1
    extra = tuple(page.extrasamples)
    if page.samplesperpixel != colours + 1:
        return 0
    if not extra:  # Pillow, too, takes the fourth sample of such a file as alpha
        return _UNASSOCIATED if colours == 3 else 0
    return int(extra[0]) if extra[0] in (_ASSOCIATED, _UNASSOCIATED) else 0


def _orientation(page: Any) -> int:
    tag = page.tags.get(274)
    return int(tag.value) if tag is not None and tag.value in range(1, 9) else 1


def _kind(page: Any) -> str:
    return str(getattr(page.photometric, "name", page.photometric))


def _eight_bit(samples: Array, bits: int, name: str) -> Bytes:
    if samples.dtype == np.uint8:
        return samples
    low, high = samples.min(), samples.max()
    top = 1 if samples.dtype.kind == "f" else 2**bits - 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} has NaN or infinity among its pixels, expected 0..1; save it with 8 or 16 bits")
    if low < 0 or high > top:
        raise InputError(f"{name} has pixels from {low:g} to {high:g}, expected 0..{top}; save it with 8 or 16 bits")
    return np.rint(samples.astype(np.float64) * 255 / top).astype(np.uint8)


def _on_black(pixels: Bytes, alpha: int) -> Bytes:
    """The pixels [C + 1, H, W] without their alpha channel, laid on black as `pictures.prepare` does it."""
    if not alpha:
        return pixels
    colours = pixels[:-1]
    if alpha == _ASSOCIATED:  # they are multiplied with alpha already
        return colours
    planes = np.concatenate([np.broadcast_to(colours, (3, *colours.shape[1:])), pixels[-1:]])
    image = Image.fromarray(np.ascontiguousarray(np.moveaxis(planes, 0, 2)))
    image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.moveaxis(np.asarray(image), 2, 0)[: len(colours)]


def _turned(pixels: Bytes, orientation: int) -> Bytes:
    """The pixels upright, as the tag of the orientation describes them."""
    if orientation >= 5:
        pixels = pixels.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels)
