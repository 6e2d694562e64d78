"""Pictures one by one: lists, torch data sets, data sets of Hugging Face."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image

from equipoise.data import pictures
from equipoise.data.pictures import Form
from equipoise.data.pixels import Bytes, Shape
from equipoise.data.readers import arrays
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError

NAMES = ("image", "img", "pixel_values", "x")  # of the picture in a mapping: the first that is there


@runtime_checkable
class Sequence(Protocol):
    """What torch.utils.data.Dataset, datasets.Dataset of Hugging Face, and lists have in common."""

    def __len__(self) -> int:
        """The number of items."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """One item."""
        ...


def read(items: Sequence) -> Source:
    """A sequence of pictures, of tuples that begin with one, or of mappings with one among their values.

    A picture is a Pillow image, or an array or tensor [H, W], [H, W, C] or [C, H, W] with C = 1 or 3: uint8 0..255,
    floats 0..1 or bool. Labels and all else are not read. All come out grey or in colour as the first is. They are read
    in order, once, apart from the first. Raises `InputError`, with the number of the item, for anything else.
    """
    kind = type(items).__name__
    if isinstance(items, Mapping):
        raise InputError(f"data is a {kind} of {', '.join(map(str, items)) or 'nothing'}; give one of them")
    n = len(items)
    if not n:
        raise InputError(f"data is a {kind} without items; give at least one image")

    def label(i: int) -> str:
        return f"item {i} of the {kind}"

    def heads() -> Iterator[tuple[str, Shape]]:
        for i in range(n):
            try:
                with pictures.reading(label(i)):
                    yield label(i), _shape(_image_of(items[i], label(i)))
                    return
            except pictures.Damaged:  # it is reported when it is decoded
                pass

    def read_from(first: int, rows: int) -> Iterator[list[Picture]]:
        largest = 0

        def picture(i: int) -> Picture:
            def decode(form: Form, channels: int) -> Bytes:
                nonlocal largest
                with pictures.reading(label(i)):
                    image = _image_of(items[i], label(i))
                    if channels == 1 and _shape(image)[0] == 3 and not form.grey:
                        raise InputError(
                            f"{label(i)} is in colour, those before it are grey; pass grey=True, or convert them"
                        )
                    pixels = form.prepare(image, channels, label(i))
                largest = max(largest, int(pixels.max()))
                return pixels

            return decode

        for start in range(first, n, rows):
            yield [picture(i) for i in range(start, min(start + rows, n))]
        if largest == 1:
            raise arrays.zeros_and_ones(kind)

    return Source(kind, n, heads, read_from, label=label, plural="items")


def _shape(image: Image.Image) -> Shape:
    head = pictures.head_of(image)
    return 1 if head.grey else 3, head.height, head.width


def _image_of(item: Any, name: str) -> Image.Image:
    if isinstance(item, tuple | list) and item:
        item = item[0]  # a label follows
    if isinstance(item, Mapping):
        columns = [column for column in NAMES if column in item][:1]
        columns = columns or [column for column, value in item.items() if _looks_like_a_picture(value)]
        if len(columns) != 1:
            raise InputError(
                f"{name}: cannot tell which of {', '.join(map(str, item)) or 'no columns'} is the picture; "
                f"name it {NAMES[0]}"
            )
        item = item[columns[0]]
    if isinstance(item, torch.Tensor):
        item = arrays.of_tensor(item)
    if isinstance(item, np.ndarray):
        return pictures.image_of(arrays.eight_bit(arrays.channels_first(item[None], name), name)[0])
    if not isinstance(item, Image.Image):
        raise InputError(
            f"{name} is a {type(item).__name__}; expected a Pillow image, an array or a tensor, or a tuple or mapping "
            "with one"
        )
    return item


def _looks_like_a_picture(value: Any) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim in (2, 3))
