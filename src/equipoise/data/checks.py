"""Whether a set is what it should be, read from its first image to its last."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from equipoise import progress
from equipoise.data import store
from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.errors import InputError

_BLOCK = 1000  # images read at a time


class Check(NamedTuple):
    """What was looked at, whether it is as it should be, and what was found."""

    name: str
    passed: bool
    found: str


def of_dataset(dataset: Dataset) -> Iterator[Check]:
    """Checks of a set by name: its files, whether it is what was published, and what `of_images` looks at.

    InputError when it is not here.
    """
    if dataset.draw is not None:
        images = dataset.draw()
    elif dataset.state == "not here":
        raise dataset.missing()
    else:
        try:
            kept = dataset.load().digest()
            images = store.read(store.set_folder(dataset.name), trusted=False) or dataset.load()
        except InputError as error:  # that its files are damaged is what was asked
            yield Check("files", False, str(error))
            return
        yield Check("files", True, "of the lengths that about.json says")
        found = images.digest()
        said = "as when it was added" if found == kept else f"but {kept} when it was added; delete it and add it again"
        yield Check("digest", found == kept, f"{found}, {said}")
    # Some sets were published twice, with fewer codes the first time: then the grid has to be full all the same.
    number = len(images) == dataset.images or len(images) == math.prod(images.factor_sizes)
    published = f"{dataset.images:,} of {_shape(dataset.shape)} are published"
    yield Check(
        "images", number and images.shape == dataset.shape, f"{len(images):,} of {_shape(images.shape)}; {published}"
    )
    yield Check("names", images.factor_names == dataset.factor_names, ", ".join(images.factor_names) or "no factors")
    yield from of_images(images)


def of_images(images: Images) -> Iterator[Check]:
    """Checks of any images: their pixels, their factors, and that a grid of factors has no row twice."""
    low, high = 255, 0
    with progress.bar("reading", len(images), "images") as advance:
        for first in range(0, len(images), _BLOCK):
            pixels = images.pixels(np.arange(first, min(first + _BLOCK, len(images))))
            low, high = min(low, int(pixels.min())), max(high, int(pixels.max()))
            advance(len(pixels))
    said = f"from {low} to {high}" if low < high else f"all {low}: there is nothing to see"
    yield Check("pixels", low < high, f"{len(images):,} images of {_shape(images.shape)} read, {said}")
    if images.factors is None:
        yield Check("factors", True, "none are known")
        return
    unused = [
        f"{name} {sorted(set(range(size)) - set(np.unique(column).tolist()))}"
        for name, size, column in zip(images.factor_names, images.factor_sizes, images.factors.T, strict=True)
        if size and len(np.unique(column)) < size
    ]
    said = f"; no image has {', '.join(unused)}" if unused else ""
    yield Check("factors", True, f"{len(images):,} rows of {len(images.factor_names)}{said}")
    grid = math.prod(images.factor_sizes) == len(images)
    again = len(images) - len(np.unique(images.factors, axis=0))
    said = "every combination once" if grid and not again else f"{again:,} rows are like an earlier one"
    yield Check("duplicates", not (grid and again), said)


def _shape(shape: tuple[int, int, int]) -> str:
    return " x ".join(map(str, shape))
