"""TIFF files, read with tifffile: any layout and byte order, 8 and 16 bits, floats, up to 16 channels."""

import logging
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from equipoise.data import intensity, pictures
from equipoise.data.intensity import MOST_CHANNELS, Raw
from equipoise.data.pixels import Shape
from equipoise.errors import InputError

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB = 0, 1, 2  # the photometric interpretations that tifffile's arrays represent
_ASSOCIATED, _UNASSOCIATED = 1, 2  # kinds of an extra sample that is an alpha channel
_SEPARATE = 2  # the planar configuration in which each channel is stored on its own

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its warnings about unusual tags are not printed

Array = npt.NDArray[Any]


def is_tiff(file: Path) -> bool:
    """Whether a file begins like a TIFF, whatever its suffix."""
    with open(file, "rb") as stream:
        return stream.read(4) in _SIGNATURES


def has_several_pages(file: Path) -> bool:
    """Whether a file is a TIFF with a second page. Reads the header only, since tifffile takes a millisecond a file."""
    with open(file, "rb") as stream:
        start = stream.read(16)
        if start[:4] not in _SIGNATURES:
            return False
        order, is_big = "<" if start[:1] == b"I" else ">", start[2:4] in (b"+\0", b"\0+")
        try:
            (first,) = struct.unpack_from(order + ("Q" if is_big else "I"), start, 8 if is_big else 4)
            stream.seek(first)
            (tags,) = struct.unpack(order + ("Q" if is_big else "H"), stream.read(8 if is_big else 2))
            stream.seek(tags * (20 if is_big else 12), os.SEEK_CUR)
        except (struct.error, OSError, OverflowError):  # reported when it is decoded
            return False
        return bool(stream.read(8 if is_big else 4).strip(b"\0"))


def stack(file: Path, name: str) -> list[Shape]:
    """The shapes of the pictures in a TIFF of several pages; empty if it holds one.

    Raises `Damaged` for a damaged file, and `InputError` for kinds that are not read.
    """
    with _open(file, name) as tiff:
        groups = _pictures(tiff, name)
        if len(groups) > 1 and _is_for_pillow(groups[0][0], name):
            raise _several_pictures(tiff, name)
        return [_shape(pages, name) for pages in groups] if len(groups) > 1 else []


def read_stack(file: Path, name: str, first: int) -> Iterator[Raw | pictures.Damaged]:
    """The pictures in a TIFF of several pages from picture `first` on; the error where one is damaged."""
    with _open(file, name) as tiff:
        for pages in _pictures(tiff, name)[first:]:
            picture: Raw | pictures.Damaged
            try:
                with _naming(name):
                    picture = _raw(pages, name)
            except pictures.Damaged as error:
                picture = error
            yield picture


def head(file: Path, name: str) -> Shape | None:
    """Channels, height and width of a TIFF; None if Pillow reads it: palettes, 1 to 4 bits, CMYK and JPEG.

    Raises `Damaged` for a damaged file, and `InputError` for several pictures and for kinds that are not read.
    """
    with _open(file, name) as tiff:
        pages = _only_picture(tiff, name)
        return None if _is_for_pillow(pages[0], name) else _shape(pages, name)


def read(file: Path, name: str) -> Raw | None:
    """The picture in a TIFF, [C, H, W] with C up to 16; None if Pillow reads it, see `head`.

    Raises the errors of `head`.
    """
    with _open(file, name) as tiff:
        pages = _only_picture(tiff, name)
        return None if _is_for_pillow(pages[0], name) else _raw(pages, name)


def _shape(pages: list[Any], name: str) -> Shape:
    _check_kind(pages, name)
    page = pages[0]
    channels = _samples(pages) - bool(_alpha(page))
    height, width = page.imagelength, page.imagewidth
    return (channels, width, height) if _orientation(page) >= 5 else (channels, height, width)


def _raw(pages: list[Any], name: str) -> Raw:
    _check_kind(pages, name)
    arrays = [each.asarray(maxworkers=1) for each in pages]
    page, samples = pages[0], np.stack(arrays) if len(pages) > 1 else arrays[0]
    if page.axes == "YX":
        samples = samples.reshape(-1, *samples.shape[-2:])
    elif page.axes == "YXS":
        samples = np.moveaxis(samples, 2, 0)
    samples = _turn_upright(samples, _orientation(page))
    kind = _alpha(page)
    picture = intensity.raw(samples[:-1] if kind else samples, page.bitspersample)
    alpha = samples[-1] / (picture.white or 1) if kind == _UNASSOCIATED else None
    return picture._replace(is_inverted=page.photometric == _MIN_IS_WHITE, alpha=alpha)


@contextmanager
def _open(file: Path, name: str) -> Iterator[tifffile.TiffFile]:
    """An open TIFF; errors while it is open become those of `_naming`."""
    with _naming(name):
        try:
            tiff = tifffile.TiffFile(file)
        except MemoryError as error:  # a damaged header may ask for any length
            raise pictures.Damaged(name, str(error) or "MemoryError") from error
        with tiff:
            yield tiff


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn errors of tifffile into `Damaged`, or into `InputError` for a file without permission."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except PermissionError as error:
        raise InputError(f"{name} cannot be read ({error.strerror}); change its permissions") from error
    except Exception as error:  # a damaged file can raise almost any error in tifffile
        raise pictures.Damaged(name, str(error) or type(error).__name__) from error


def _pictures(tiff: tifffile.TiffFile, name: str) -> list[list[Any]]:
    """The pages of each picture: one, or those of its channels if the file names an axis C. Thumbnails are left out."""
    pages: list[Any] = list(tiff.pages)
    if not pages:
        raise pictures.Damaged(name, "no page")
    pages = [page for page in pages if not (page.is_reduced or page.is_mask)] or pages[:1]
    for page in pages:
        if min(page.imagewidth, page.imagelength, page.samplesperpixel) < 1:
            raise pictures.Damaged(name, "no pixels")
        if page.imagewidth * page.imagelength > pictures.LARGEST:
            raise pictures.bomb(name)
    if len(pages) == 1 and not (tiff.is_imagej or tiff.is_shaped):
        return [pages]
    series, axes = tiff.series[0], pages[0].axes
    shape = series.shape[: len(series.axes) - len(axes)]
    if len(tiff.series) > 1 or math.prod(shape) != len(pages):
        if len(pages) == 1:  # a single page whose metadata describe a stack
            raise _several_pictures(tiff, name)
        return [[page] for page in pages]
    order, channels = np.arange(len(pages)).reshape(shape), 1
    if axes == "YX" and (axis := series.axes.find("C")) >= 0:
        order, channels = np.moveaxis(order, axis, -1), shape[axis]
    return [[pages[i] for i in picture] for picture in order.reshape(-1, channels)]


def _only_picture(tiff: tifffile.TiffFile, name: str) -> list[Any]:
    """The pages of the one picture in a file. Raises `InputError` if it holds several."""
    groups = _pictures(tiff, name)
    if len(groups) > 1:
        raise _several_pictures(tiff, name)
    return groups[0]


def _several_pictures(tiff: tifffile.TiffFile, name: str) -> InputError:
    axes = ", axes " + tiff.series[0].axes if len(tiff.series) == 1 else ""
    description = f"{len(tiff.pages):,} pages{axes}"
    return InputError(f"{name} holds several pictures ({description}); save each to a file of its own")


def _is_for_pillow(page: Any, name: str) -> bool:
    """Whether Pillow is to read a page and reads it right. Raises `InputError` if nothing here reads it."""
    bits, samples = page.bitspersample, page.samplesperpixel
    is_planar = samples > 1 and page.planarconfig == _SEPARATE
    if page.photometric not in (_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB) or bits < 8:
        if bits <= 8 or not is_planar:
            return True
        photometric = getattr(page.photometric, "name", page.photometric)
        raise InputError(f"{name} has {bits} bits in separate planes of {photometric}; save it as RGB or grey")
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
    for each in pages:
        size = each.parent.filehandle.size
        segments = list(zip(each.dataoffsets, each.databytecounts, strict=True))
        # tifffile fills segments that are missing with zeros.
        if len(segments) != math.prod(each.chunked) or any(
            start <= 0 or count <= 0 or start + count > size for start, count in segments
        ):
            raise pictures.Damaged(name, "the file is shorter than its pixels")
        if each.compression == 1 and sum(count for _, count in segments) * 8 < each.size * each.bitspersample:
            raise pictures.Damaged(name, "the file has fewer pixels than its header declares")


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


def _turn_upright(pixels: Array, orientation: int) -> Array:
    """The pixels upright, as the tag of the orientation describes them."""
    if orientation >= 5:
        pixels = pixels.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels)
