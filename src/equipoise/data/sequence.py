"""Images from what gives them one by one: lists, torch data sets, data sets of Hugging Face."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image

from equipoise.data import arrays, factor_table, kept, pictures
from equipoise.data.images import Images
from equipoise.data.pictures import AS_IT_IS, Form
from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError

NAMES = ("image", "img", "pixel_values", "x")  # of the picture in a mapping, the first that is there
_NAMED = 3  # damaged items in a message


@runtime_checkable
class Sequence(Protocol):
    """What torch.utils.data.Dataset, datasets.Dataset of Hugging Face, and lists have in common."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def from_sequence(
    items: Sequence, form: Form = AS_IT_IS, *, factors: Path | None = None, skip_damaged: bool = False
) -> Images:
    """Images from a sequence of pictures, of tuples that begin with one, or of mappings with one among their values.

    A picture is a Pillow image, or an array or tensor [H, W], [H, W, C] or [C, H, W] with C = 1 or 3: uint8 0..255,
    floats 0..1 or bool. Labels and all else are not read. Every picture is brought to the `form`; all come out grey or
    in colour as the first is. They are read in order, once; more than 256 MB of pixels lie on the disk and vanish with
    the process. factors: the path of a table with a row for each item (`equipoise.data.factor_table.read`).

    InputError, with the number of the item, for what is no picture, for pictures of different sizes, and for colour
    after grey. A damaged picture is left out if `skip_damaged` is set; if not, the InputError says all of them.
    """
    kind = type(items).__name__
    if isinstance(items, Mapping):
        raise InputError(f"data is a {kind} of {', '.join(map(str, items)) or 'nothing'}; give one of them")
    n = len(items)
    if not n:
        raise InputError(f"data is a {kind} without items; give at least one image")
    values, factor_names, sizes = factor_table.read(factors, n) if factors else (None, None, ())
    damaged: dict[int, str] = {}
    read = (_picture(items, i, form, None, damaged) for i in range(n))
    first = next((picture for picture in read if picture is not None), None)
    if first is None:
        raise InputError(f"{_said(kind, damaged, n)}; there is no image left: give some that open elsewhere")
    shape: Shape = (first.shape[0], first.shape[1], first.shape[2])
    largest = 0

    def blocks(begin: int) -> Iterator[Bytes]:
        nonlocal largest
        step = kept.block(shape)
        for start in range(begin, n, step):
            block = np.zeros((min(step, n - start), *shape), np.uint8)
            for i in range(len(block)):
                picture = _picture(items, start + i, form, shape, damaged)
                if picture is not None:
                    block[i] = picture
            largest = max(largest, int(block.max()))
            yield block

    pixels = kept.gathered(n, shape, blocks, name=kind)
    if damaged and not skip_damaged:
        raise InputError(f"{_said(kind, damaged, n)}; mend or remove them, or pass skip_damaged=True")
    if largest == 1:
        raise arrays.zeros_and_ones(kind)
    images = Images(
        pixels,
        name=kind,
        factors=values,
        factor_names=factor_names,
        factor_sizes=sizes,
        source=f"left out: {_said(kind, damaged, n)}" if damaged else None,
    )
    return images.subset([i for i in range(n) if i not in damaged]) if damaged else images


def _picture(items: Sequence, i: int, form: Form, expected: Shape | None, damaged: dict[int, str]) -> Bytes | None:
    """The picture of an item in its form; None where it is damaged, which is written down."""
    name = f"item {i} of the {type(items).__name__}"
    try:
        with pictures.reading(name):
            image = _image_of(items[i], name)
            head = pictures.head_of(image)
            shape = form.of((1 if head.grey else 3, head.height, head.width), name)
            channels, height, width = expected or shape
            if shape[1:] != (height, width):
                raise InputError(
                    f"{name} has {shape[2]} x {shape[1]} pixels, those before it {width} x {height}; bring all to one "
                    "size with size=64"
                )
            if shape[0] > channels:
                raise InputError(f"{name} is in colour, those before it are grey; pass grey=True, or convert them")
            return pictures.prepared(image, channels=channels, crop=form.crop, size=form.size, name=name)
    except pictures.Damaged as error:
        damaged[i] = error.why
        return None


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
            "that holds one"
        )
    return item


def _looks_like_a_picture(value: Any) -> bool:
    return isinstance(value, Image.Image) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim in (2, 3))


def _said(kind: str, damaged: dict[int, str], items: int) -> str:
    named = ", ".join(f"item {i} ({why})" for i, why in list(damaged.items())[:_NAMED])
    more = f" and {len(damaged) - _NAMED:,} more" if len(damaged) > _NAMED else ""
    return f"{len(damaged):,} of {items:,} items of the {kind} cannot be read as images: {named}{more}"
