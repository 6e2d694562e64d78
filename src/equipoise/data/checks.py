"""Checks of a data set or of images, which read all of them."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from equipoise import progress
from equipoise.data import store
from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.data.pixels import blocks
from equipoise.errors import InputError


class Check(NamedTuple):
    """The subject of a check, whether it passed, and its result in words."""

    name: str
    passed: bool
    result: str


def of_dataset(dataset: Dataset) -> Iterator[Check]:
    """Checks of a set by name: its files, whether it equals what was published, and the checks of `of_images`.

    Raises `InputError` if it is not available locally.
    """
    if dataset.draw is not None:
        images = dataset.draw()
    elif dataset.state == "not here":
        raise dataset.missing()
    else:
        try:
            record = dataset.load().digest()
            images = store.read(store.set_folder(dataset.name), is_trusted=False) or dataset.load()
        except InputError as error:  # damaged files are a result
            yield Check("files", False, str(error))
            return
        yield Check("files", True, "of the lengths in about.json")
        digest = images.digest()
        is_equal = digest == record
        comparison = (
            "as when it was added" if is_equal else f"but {record} when it was added; delete it and add it again"
        )
        yield Check("digest", is_equal, f"{digest}, {comparison}")
    # Some sets were published twice, with fewer codes the first time, but with a full grid each time.
    number = len(images) == dataset.images or len(images) == math.prod(images.factor_sizes)
    published = f"{dataset.images:,} of {_shape(dataset.shape)} are published"
    yield Check(
        "images", number and images.shape == dataset.shape, f"{len(images):,} of {_shape(images.shape)}; {published}"
    )
    yield Check("names", images.factor_names == dataset.factor_names, ", ".join(images.factor_names) or "no factors")
    yield from of_images(images)


def of_images(images: Images) -> Iterator[Check]:
    """Checks of any images: their pixels, their factors, and that a grid of factors has every row once.

    Vectors were checked when they were read.
    """
    if images.scaling is not None:
        yield Check("vectors", True, f"{len(images):,} rows of {images.shape[2]} columns of finite numbers that vary")
    else:
        yield _of_pixels(images)
    if images.factors is None:
        yield Check("factors", True, "none are known")
        return
    unused_codes = [
        f"{name} {sorted(set(range(size)) - set(np.unique(column).tolist()))}"
        for name, size, column in zip(images.factor_names, images.factor_sizes, images.factors.T, strict=True)
        if size and len(np.unique(column)) < size
    ]
    missing_codes = f"; no image has {', '.join(unused_codes)}" if unused_codes else ""
    yield Check("factors", True, f"{len(images):,} rows of {len(images.factor_names)}{missing_codes}")
    grid = math.prod(images.factor_sizes) == len(images)
    duplicates = len(images) - len(np.unique(images.factors, axis=0))
    result = "every combination once" if grid and not duplicates else f"{duplicates:,} rows equal an earlier one"
    yield Check("duplicates", not (grid and duplicates), result)


def _of_pixels(images: Images) -> Check:
    low, high = 255, 0
    with progress.bar("reading", len(images), "images") as advance:
        for _, pixels in blocks(images.pixels, len(images)):
            low, high = min(low, int(pixels.min())), max(high, int(pixels.max()))
            advance(len(pixels))
    values = f"from {low} to {high}" if low < high else f"all {low}: the images are empty"
    return Check("pixels", low < high, f"{len(images):,} images of {_shape(images.shape)} read, {values}")


def _shape(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
