"""Stage "scale": pictures of a reader are decoded, brought to one form, and become `Images`."""

import functools
import json
import math
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from equipoise import progress
from equipoise.data import cache, intensity
from equipoise.data.images import Images
from equipoise.data.intensity import Levels, Range
from equipoise.data.pictures import Damaged, Form
from equipoise.data.pixels import Bytes, Shape
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError
from equipoise.files import write_text

Array = npt.NDArray[Any]

_SAMPLE = 4_000_000  # pixels, at most, whose percentiles are taken
_IN_MESSAGE = 3  # damaged pictures in a message; the record lists all


def scale(source: Source, form: Form, *, skip_damaged: bool = False) -> Images:
    """The pictures of a source in one form, as Images with the factors of the source.

    An array that has the form already is not copied. The pixels of files are decoded once into the cache and
    memory-mapped (`equipoise.data.cache`); other pixels are in memory up to 256 MB. Raises `InputError` for pictures of
    different sizes if the form sets none, for a picture smaller than the crop, and for unreadable pictures unless they
    are to be skipped. Warns if the pixels use few of the 256 levels.
    """
    folder = cache.place(source.key[0], tuple(form)) if source.key else None
    if source.array is not None and _has_form(source, form):
        pixels, record = source.array, Record(levels=_levels_of(source.array))
    elif folder is not None and (cached_pixels := cache.read(folder, source.key)) is not None:
        pixels, record = cached_pixels, Record.read(folder)
    else:
        pixels, record = _decode(source, form, folder)
    damaged = record.damaged
    report = _report(source, damaged, folder)
    if len(damaged) == source.count:
        raise InputError(f"{report}; there is no image left: give some that open in another program")
    if damaged and not skip_damaged:
        them = "it" if len(damaged) == 1 else "them"
        raise InputError(f"{report}; repair or remove {them}, or skip {them} with data.skip_damaged=true")
    intensity.check(record.levels, form.range, source.name)
    values, names, sizes, words = source.factors or (None, None, (), {})
    images = Images(
        pixels,
        name=source.name,
        factors=values,
        factor_names=names,
        factor_sizes=sizes,
        factor_values=words,
        source=f"{source.origin or source.name}; left out: {report}" if damaged else source.origin,
        digest=cache.digest(folder, source.key, values, names),
        files=source.files or None,
        limits=record.limits,
    )
    label = source.label
    if not damaged or label is None:
        return images
    return images.subset([i for i in range(source.count) if label(i) not in damaged])


@dataclass
class Record:
    """The record of decoding the pictures, which is stored beside their pixels in the cache.

    levels: of all pictures so far; None before the first.
    damaged: labels of the damaged pictures, and the reasons.
    limits: the values that became 0 and 255, if `data.range` is set.
    """

    levels: Levels | None = None
    damaged: dict[str, str] = field(default_factory=dict)
    limits: tuple[float, float] | None = None

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """The record in a folder of the cache, empty where there is none."""
        levels, damaged = (
            json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
            for file in (folder / "levels.json", folder / "damaged.json")
        )
        record = cls(damaged=damaged or {})
        if levels:
            record.levels = levels["levels"] and Levels(*levels["levels"])
            record.limits = levels["range"] and tuple(levels["range"])
        return record

    def write(self, folder: Path) -> None:
        """Write levels.json, and damaged.json if a picture is damaged."""
        write_text(folder / "levels.json", json.dumps({"levels": self.levels, "range": self.limits}))
        if self.damaged:
            write_text(folder / "damaged.json", json.dumps(self.damaged, indent=1))


def _has_form(source: Source, form: Form) -> bool:
    """Whether the pictures are in the form already. Raises `InputError` for a picture smaller than the crop."""
    for label, shape in source.heads():
        form.output_shape(shape, label)
        if not form.keeps(shape):
            return False
    return True


def _levels_of(pixels: Bytes) -> Levels:
    """The levels of pixels [N, C, H, W], of the first blocks only if these use enough levels."""
    low, high = 255, 0
    for first in range(0, len(pixels), cache.BLOCK):
        block = pixels[first : first + cache.BLOCK]
        low, high = min(low, int(block.min())), max(high, int(block.max()))
        if high - low >= intensity.FEW:
            break
    return Levels(low, high, 255, low, high)


def _decode(source: Source, form: Form, folder: Path | None) -> tuple[Bytes, Record]:
    """All pictures, uint8 [N, C, H, W], black where one is damaged, and their record."""
    record = Record()

    def read(i: int, picture: Picture) -> tuple[Bytes, Levels | None]:
        label = source.label(i) if source.label else source.name
        name = str(source.folder / label) if source.folder else label
        try:
            raw = picture()
        except Damaged as error:
            record.damaged[label] = error.why
            return np.zeros(shape, np.uint8), None
        if shape[0] == 1 and len(raw.values) == 3 and not form.grey:
            raise InputError(f"{label} is in colour, those before it are grey; set data.grey=true, or convert them")
        pixels = form.prepare(raw, shape[0], name)
        if pixels.shape != shape:
            raise InputError(
                f"{label} has {pixels.shape[2]} x {pixels.shape[1]} pixels, those before it {shape[2]} x {shape[1]}; "
                "bring all to one size with data.size=64"
            )
        return pixels, intensity.levels(raw, pixels)

    def blocks(first: int) -> Iterator[Bytes]:
        if folder is not None and not first:
            (folder / "damaged.json").unlink(missing_ok=True)
        elif folder is not None:
            earlier = Record.read(folder)  # the conversion was interrupted
            record.levels, record.damaged = earlier.levels, earlier.damaged
        with ThreadPoolExecutor() as pool:
            run = pool.map if source.in_threads else map
            for block in source.blocks(first, cache.block(shape)):
                pictures, levels = zip(*run(read, range(first, first + len(block)), block), strict=True)
                first += len(block)
                record.levels = functools.reduce(intensity.join, levels, record.levels)
                if folder is not None:
                    record.write(folder)
                yield np.stack(pictures)

    with warnings.catch_warnings():
        # Set here, since filters of warnings are not safe in threads. Larger pictures are refused anyway.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        shape = _shape(source, form)
        if folder is not None and not cache.is_kept(folder, source.count * math.prod(shape), always=source.in_threads):
            folder = None
        if form.range is not None:
            limits = _percentiles(source, form.range) if form.range.in_percent else form.range
            form = form._replace(range=limits)
            record.limits = limits.low, limits.high
        pixels = cache.gather(source.count, shape, blocks, name=source.name, folder=folder, key=source.key)
    # Another process may have decoded the pictures, while this one waited for it.
    return pixels, record if folder is None else Record.read(folder)


def _percentiles(source: Source, limits: Range) -> Range:
    """The values at two percentiles of the pixels of all pictures, from up to four million pixels spread over them."""
    sample: list[Array] = []
    low, high = math.inf, -math.inf
    most = max(1, _SAMPLE // source.count)  # of one picture
    with progress.bar(f"range of {source.name}", source.count, "images") as advance, ThreadPoolExecutor() as pool:
        run = pool.map if source.in_threads else map
        for block in source.blocks(0, cache.BLOCK):
            for values, darkest, brightest in run(functools.partial(_values, most=most), block):
                sample.append(values)
                low, high = min(low, darkest), max(high, brightest)
            advance(len(block))
    pixels = np.concatenate(sample)
    values = np.percentile(pixels, [limits.low, limits.high]) if pixels.size else np.zeros(2)
    ends = Range(low if limits.low == 0 else float(values[0]), high if limits.high == 100 else float(values[1]))
    if not np.isfinite(pixels).all():
        raise InputError(f"{source.name}: there is NaN or infinity among the pixels; set data.range=LOW:HIGH")
    if not ends.low < ends.high:
        raise InputError(
            f"{source.name}: both percentiles of data.range are {ends.low:g}; set percentiles that are further apart"
        )
    return ends


def _values(picture: Picture, most: int) -> tuple[Array, float, float]:
    """Up to `most` values of a picture, the smallest of all and the largest; no values of a damaged picture."""
    try:
        values = picture().values.ravel()
    except Damaged:
        return np.zeros(0), math.inf, -math.inf
    step = -(-values.size // most)
    return values[::step].copy(), float(values.min()), float(values.max())  # a view would keep the whole picture


def _shape(source: Source, form: Form) -> Shape:
    """Channels, height and width that the images will have: in colour if one of them is."""
    first: tuple[str, Shape] | None = None
    channels = 1
    for label, raw_shape in source.heads():
        shape = form.output_shape(raw_shape, label)
        channels = max(channels, shape[0])
        first = first or (label, shape)
        if shape[0] != first[1][0] and not {shape[0], first[1][0]} <= {1, 3}:
            raise InputError(
                f"{source.name}: images of different channels, {first[0]} {first[1][0]} and {label} {shape[0]}; give "
                "all the same channels"
            )
        if shape[1:] != first[1][1:]:
            (_, high, wide), (_, height, width) = first[1], shape
            raise InputError(
                f"{source.name}: images of different sizes, {first[0]} {wide} x {high} and {label} {width} x {height}; "
                "bring them to one with data.size=64"
            )
    _, height, width = first[1] if first else (1, 1, 1)  # all are damaged, which is reported later
    return channels, height, width


def _report(source: Source, damaged: dict[str, str], folder: Path | None) -> str:
    """`x: 9 of 300 files cannot be read as images: a.png (why), b.png (why), c.png (why) and 6 more, listed in ...`."""
    if not damaged or source.label is None:
        return ""
    if len(damaged) == 1:
        label, reason = next(iter(damaged.items()))
        return f"{source.name}: {label} cannot be read as an image ({reason})"
    labels = [label for i in range(source.count) if (label := source.label(i)) in damaged]  # threads change the order
    first = ", ".join(f"{label} ({damaged[label]})" for label in labels[:_IN_MESSAGE])
    ending = f" and {len(damaged) - _IN_MESSAGE:,} more" if len(damaged) > _IN_MESSAGE else ""
    ending += f", listed in {folder / 'damaged.json'}" if ending and folder is not None else ""
    return (
        f"{source.name}: {len(damaged):,} of {source.count:,} {source.plural} cannot be read as images: {first}{ending}"
    )
