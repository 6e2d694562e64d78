"""Stage "scale": pictures of a reader are decoded, brought to one form, and become `Images`."""

import json
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from equipoise.data import cache
from equipoise.data.images import Images
from equipoise.data.pictures import Damaged, Form
from equipoise.data.pixels import Bytes, Shape
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError
from equipoise.files import write_text

_NAMED = 3  # damaged pictures in a message; the record lists all


def scale(source: Source, form: Form, *, skip_damaged: bool = False) -> Images:
    """The pictures of a source in one form, as Images with the factors of the source.

    An array that has the form already is not copied. Other pixels are in memory up to 256 MB; more are converted once
    into the cache and memory-mapped (`equipoise.data.cache`). Raises `InputError` for pictures of different sizes if
    the form sets none, for a picture smaller than the crop, and for unreadable pictures unless they are to be skipped.
    """
    folder = cache.place(source.key[0], tuple(form), *source.key[1:]) if source.key else None
    damaged: dict[str, str] = {}
    if source.array is not None and _has_form(source, form):
        pixels = source.array
    elif folder is not None and (cached := cache.read(folder)) is not None:
        pixels, damaged = cached, _recorded(folder)
    else:
        pixels = _decode(source, form, folder, damaged)
    report = _report(source, damaged, folder)
    if len(damaged) == source.count:
        raise InputError(f"{report}; there is no image left: give some that open in another program")
    if damaged and not skip_damaged:
        them = "it" if len(damaged) == 1 else "them"
        raise InputError(f"{report}; mend or remove {them}, or skip {them} with data.skip_damaged=true")
    values, names, sizes = source.factors or (None, None, ())
    images = Images(
        pixels,
        name=source.name,
        factors=values,
        factor_names=names,
        factor_sizes=sizes,
        source=f"{source.origin or source.name}; left out: {report}" if damaged else source.origin,
        digest=cache.digest(folder, values, names),
    )
    label = source.label
    if not damaged or label is None:
        return images
    return images.subset([i for i in range(source.count) if label(i) not in damaged])


def _has_form(source: Source, form: Form) -> bool:
    """Whether the pictures are in the form already. Raises `InputError` for a picture smaller than the crop."""
    for label, shape in source.heads():
        form.output_shape(shape, label)
        if not form.keeps(shape):
            return False
    return True


def _decode(source: Source, form: Form, folder: Path | None, damaged: dict[str, str]) -> Bytes:
    """All pictures, uint8 [N, C, H, W], black where one is damaged; `damaged` gets their labels and the reasons."""

    def read(i: int, picture: Picture) -> Bytes:
        label = source.label(i) if source.label else source.name
        try:
            pixels = picture(form, shape[0])
        except Damaged as error:
            damaged[label] = error.why
            return np.zeros(shape, np.uint8)
        if pixels.shape != shape:
            raise InputError(
                f"{label} has {pixels.shape[2]} x {pixels.shape[1]} pixels, those before it {shape[2]} x {shape[1]}; "
                "bring all to one size with size=64"
            )
        return pixels

    def blocks(first: int) -> Iterator[Bytes]:
        if folder is not None and not first:
            (folder / "damaged.json").unlink(missing_ok=True)
        elif folder is not None:
            damaged.update(_recorded(folder))  # before the conversion was interrupted
        with ThreadPoolExecutor() as pool:
            run = pool.map if source.in_threads else map
            for some in source.read(first, cache.block(shape)):
                block = np.stack(list(run(read, range(first, first + len(some)), some)))
                first += len(some)
                if damaged and folder is not None:
                    write_text(folder / "damaged.json", json.dumps(damaged, indent=1))
                yield block

    with warnings.catch_warnings():
        # Set here, since filters of warnings are not safe in threads. Larger pictures are refused anyway.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        shape = _shape(source, form)
        return cache.gather(source.count, shape, blocks, name=source.name, folder=folder)


def _shape(source: Source, form: Form) -> Shape:
    """Channels, height and width that the images will have: in colour if one of them is."""
    first: tuple[str, Shape] | None = None
    channels = 1
    for label, stored in source.heads():
        shape = form.output_shape(stored, label)
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


def _recorded(folder: Path) -> dict[str, str]:
    """The damaged pictures and the reasons, from when the pixels in the cache were converted."""
    if not (folder / "damaged.json").exists():
        return {}
    damaged: dict[str, str] = json.loads((folder / "damaged.json").read_text(encoding="utf-8"))
    return damaged


def _report(source: Source, damaged: dict[str, str], folder: Path | None) -> str:
    """`x: 9 of 300 files cannot be read as images: a.png (why), b.png (why), c.png (why) and 6 more, listed in ...`."""
    if not damaged or source.label is None:
        return ""
    if len(damaged) == 1:
        label, why = next(iter(damaged.items()))
        return f"{source.name}: {label} cannot be read as an image ({why})"
    labels = [label for i in range(source.count) if (label := source.label(i)) in damaged]  # threads change the order
    first = ", ".join(f"{label} ({damaged[label]})" for label in labels[:_NAMED])
    more = f" and {len(damaged) - _NAMED:,} more" if len(damaged) > _NAMED else ""
    more += f", listed in {folder / 'damaged.json'}" if more and folder is not None else ""
    return (
        f"{source.name}: {len(damaged):,} of {source.count:,} {source.plural} cannot be read as images: {first}{more}"
    )
