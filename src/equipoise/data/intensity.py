"""Values of pixels as they are stored, and the range of them that becomes 0..255."""

import re
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from equipoise.data.pixels import Bytes
from equipoise.errors import InputError, short

WHITE = {"b": 1.0, "f": 1.0, "uint8": 255.0, "uint16": 65535.0}  # what becomes 255, by the kind or name of a type
MOST_CHANNELS = 16  # of images of your own
_ROUNDING = 1e-5  # of the range, by which floats may exceed it
FEW = 32  # of the 256 levels; images of your own that use fewer are reported

_RANGE = re.compile(r"\s*([^\s:%]+)\s*(%?)\s*:\s*([^\s:%]+)\s*(%?)\s*")


class Range(NamedTuple):
    """The values that become 0 and 255; values outside of them are clipped.

    in_percent: `low` and `high` are percentiles of the pixels of all images.
    """

    low: float
    high: float
    in_percent: bool = False


class Raw(NamedTuple):
    """One picture as it is stored.

    values: [C, H, W], of any type of numbers.
    white: the value that becomes 255 if no range is set; None if the type of the values does not determine it.
    is_inverted: whether the largest value is black.
    alpha: its opacity [H, W], 0..1, if the picture is still to be laid on black.
    """

    values: npt.NDArray[Any]
    white: float | None
    is_inverted: bool = False
    alpha: npt.NDArray[np.float64] | None = None


class Levels(NamedTuple):
    """The extremes of pictures: of their values, and of the bytes these became; and the white of their type."""

    low: float
    high: float
    white: float | None
    darkest: int
    brightest: int


def raw(values: npt.NDArray[Any], bits: int | None = None) -> Raw:
    """Values [C, H, W] with the white of their type; `bits` if a file has fewer bits than the type."""
    if bits is not None and bits <= 16 and values.dtype.kind == "u":
        return Raw(values, 2.0**bits - 1)
    return Raw(values, WHITE.get(values.dtype.kind, WHITE.get(values.dtype.name)))


def parse(setting: "str | tuple[float, float] | None") -> Range | None:
    """The range that `data.range` sets. Raises `InputError` for other texts, and unless LOW < HIGH."""
    if setting is None:
        return None
    text = (
        ":".join(map(str, setting)) if isinstance(setting, Iterable) and not isinstance(setting, str) else str(setting)
    )
    match = _RANGE.fullmatch(text)
    try:
        if match is None or match[2] != match[4]:
            raise ValueError
        limits = Range(float(match[1]), float(match[3]), match[2] == "%")
    except ValueError:
        limits = Range(0, 0)
    bounds = (0, 100) if limits.in_percent else (-np.inf, np.inf)
    if not bounds[0] <= limits.low < limits.high <= bounds[1] or not np.isfinite(limits.high - limits.low):
        raise InputError(
            f"data.range is {short(text)}; expected LOW:HIGH, two values of the pixels such as 0:4095, or two "
            "percentiles such as 0.1%:99.9%"
        )
    return limits


def to_bytes(picture: Raw, limits: Range | None, name: str) -> Bytes:
    """The values as uint8 0..255, [C, H, W], rounded and laid on black.

    limits: the values that become 0 and 255; by default 0 and the white of the picture. Raises `InputError` for values
    outside of the default range, for NaN, and for types without a default range.
    """
    values, white, is_inverted, alpha = picture
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name}: pixels of type {values.dtype}; expected whole numbers, floats or bool: convert them")
    if values.dtype == np.uint8 and white == 255 and limits is None:
        pixels = values
    elif values.dtype.kind == "b" and limits is None:
        pixels = values * np.uint8(255)
    else:
        pixels = _scale(values, white, limits, name)
    pixels = np.uint8(255) - pixels if is_inverted else pixels
    return pixels if alpha is None else np.rint(pixels * alpha).astype(np.uint8)


def _scale(values: npt.NDArray[Any], white: float | None, limits: Range | None, name: str) -> Bytes:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name}: there is NaN or infinity among the pixels; replace these values")
    if limits is None:
        remedy = "set data.range=LOW:HIGH, or data.range=0%:100% for all values there are, scale them to 0..1"
        if white is None:
            raise InputError(
                f"{name}: pixels of type {values.dtype} from {low:g} to {high:g}, whose range is not known; {remedy}, "
                "or give uint8"
            )
        slack = _ROUNDING * white if values.dtype.kind == "f" else 0
        if low < -slack or high > white + slack:
            raise InputError(f"{name}: pixels from {low:g} to {high:g}, expected 0..{white:g}; {remedy}, or give uint8")
        limits = Range(0, white)
    scaled = (values.astype(np.float64) - limits.low) * 255 / (limits.high - limits.low)
    pixels: Bytes = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return pixels


def levels(picture: Raw, pixels: Bytes) -> Levels:
    """The levels of a picture that became these bytes."""
    values = picture.values
    return Levels(float(values.min()), float(values.max()), picture.white, int(pixels.min()), int(pixels.max()))


def join(first: Levels | None, second: Levels | None) -> Levels | None:
    """The levels of two sets of pictures; None is that of no picture."""
    if first is None or second is None:
        return first or second
    low, darkest = min(first.low, second.low), min(first.darkest, second.darkest)
    high, brightest = max(first.high, second.high), max(first.brightest, second.brightest)
    return Levels(low, high, first.white if first.white == second.white else None, darkest, brightest)


def check(extremes: Levels | None, limits: Range | None, name: str) -> None:
    """Warns if the pixels use few levels. Raises `InputError` for bytes of 0 and 1, which would be nearly black."""
    if extremes is None:
        return
    low, high, white, darkest, brightest = extremes
    if limits is None and white == 255 and (low, high) == (0, 1):
        raise InputError(
            f"{name}: uint8 pixels run from 0 to 255, but these are 0 and 1; give them as bool, or set data.range=0:1"
        )
    if 0 < brightest - darkest < FEW:
        warnings.warn(
            f"{name} uses only the levels {darkest} to {brightest} of 0..255, so a model has little to learn from. The "
            f"values in the files run from {low:g} to {high:g}: set data.range={low:g}:{high:g}, or percentiles such "
            "as data.range=0.1%:99.9%",
            stacklevel=4,
        )
