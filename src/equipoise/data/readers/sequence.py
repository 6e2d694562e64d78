"""Pictures one by one: lists, torch data sets, data sets of Hugging Face."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image

from equipoise.data import intensity, pictures
from equipoise.data.intensity import Raw
from equipoise.data.pixels import Shape
from equipoise.data.readers import arrays, folder
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError
from equipoise.files import user_path

NAMES = ("image", "img", "pixel_values", "x")  # of the picture in a mapping: the first that is there


@runtime_checkable
class Sequence(Protocol):
    """What torch.utils.data.Dataset, datasets.Dataset of Hugging Face, and lists have in common."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def read(items: Sequence) -> Source:
    """A sequence of pictures, of tuples that begin with one, or of mappings with one among their values.

    A picture is a Pillow image, an array or tensor [H, W], [H, W, C] or [C, H, W], or the path of an image file. Labels
    and other values are not read. The first picture decides whether all become grey or colour. Each item is read once,
    in order; the first one twice. Raises `InputError`, with the number of the item, for anything else.
    """
    kind = type(items).__name__
    if isinstance(items, Mapping):
        raise InputError(f"data is a {kind} of {', '.join(map(str, items)) or 'nothing'}; give one of them")
    n = len(items)
    if not n:
        raise InputError(f"data is a {kind} without items; give at least one image")

    def label(i: int) -> str:
        return f"item {i} of the {kind}"

    def read_one(i: int) -> Raw:
        with pictures.reading(label(i)):
            return _raw_of(items[i], label(i))

    def heads() -> Iterator[tuple[str, Shape]]:
        for i in range(n):
            try:
                channels, height, width = read_one(i).values.shape
            except pictures.Damaged:  # it is reported when it is decoded
                continue
            yield label(i), (channels, height, width)
            return

    def read_from(first: int) -> Iterator[Picture]:
        return (partial(read_one, i) for i in range(first, n))

    return Source(kind, n, heads, read_from, label=label, plural="items")


def _raw_of(item: Any, name: str) -> Raw:
    parts = item if isinstance(item, tuple | list) else [item]
    is_vector = all(isinstance(part, int | float) for part in parts)
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
        return intensity.raw(arrays.channels_first(item[None], name)[0])
    if isinstance(item, str | os.PathLike):
        return folder.read_file(user_path(item))
    if not isinstance(item, Image.Image):
        hint = "; pass vectors as one array, numpy.array(data)" if is_vector else ""
        raise InputError(
            f"{name} is a {type(item).__name__}; expected a Pillow image, an array, a tensor or a path, or a tuple or "
            f"mapping with one{hint}"
        )
    return pictures.raw_of(item, name)


def _looks_like_a_picture(value: Any) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim in (2, 3))
