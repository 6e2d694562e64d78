"""Reading images, stage by stage: find, read, factor table, scale."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy.typing as npt
import torch

from equipoise.data import factor_table
from equipoise.data.find import find
from equipoise.data.images import Images
from equipoise.data.pictures import Form
from equipoise.data.readers import READERS
from equipoise.data.readers.sequence import Sequence
from equipoise.data.scale import scale
from equipoise.errors import InputError


def load_data(
    source: str | os.PathLike[str] | npt.NDArray[Any] | torch.Tensor | Sequence | Images,
    *,
    size: int | None = None,
    crop: int | None = None,
    grey: bool = False,
    factors: str | os.PathLike[str] | None = None,
    skip_damaged: bool = False,
) -> Images:
    """Load images: a data set by name, a folder, a file, an array, or a sequence of pictures.

    The settings other than `size` are for images of your own.

    Args:
        source: The name of a data set in `equipoise.data.DATASETS`; the path of a folder of images, of a .npy or .npz
            file, or of the published dSprites file, .npz or .hdf5 ("./dsprites" is always a path); an array or tensor
            [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3, uint8 0..255, floats 0..1 or bool; a list, a torch
            data set or a data set of Hugging Face with pictures; or `Images`.
        size: Resize every image to this many pixels a side, 8 or more. Images of your own are resized with Lanczos'
            filter as they are read. Data sets by name and `Images` are resized batch by batch: by block means if their
            sides are multiples of `size`, otherwise with Lanczos' filter.
        crop: First cut out a centred square of this many pixels a side.
        grey: Convert the images to grey (ITU-R 601).
        factors: A table of factors, .csv or .parquet, with a row for each image; or "folders" for a folder of images:
            the first sub-folder of each image is its one factor. By default factors.csv or factors.parquet in the
            folder, if there is one.
        skip_damaged: Leave out pictures that cannot be read.

    Returns:
        The images, uint8, with their factors where these are known.

    Raises:
        InputError: The source is of no kind that is read, is damaged, or does not fit the settings.

    Example:
        >>> import numpy as np
        >>> import equipoise as eq
        >>> images = eq.load_data(np.zeros((10, 64, 64), np.uint8), size=32)
        >>> len(images), images.shape
        (10, (1, 32, 32))
    """
    form = Form(size, crop, grey)
    form.check()
    settings = {"crop": crop, "grey": grey, "factors": factors, "skip_damaged": skip_damaged}

    kind, what = find(source)
    if kind in ("set", "images"):
        _refuse(settings, "images of your own")
        images: Images = what.load() if kind == "set" else what
        return images if size is None else images.resize(size)

    pictures = READERS[kind](what)
    if isinstance(pictures, Images):  # a published file
        _refuse(settings, "images of your own")
        return pictures if size is None else pictures.resize(size)
    if pictures.label is None:
        _refuse({"skip_damaged": skip_damaged}, "pictures that are read one by one")

    setting = None if factors is None else os.fspath(factors)
    table = factor_table.choose(setting, pictures.count, pictures.folder, pictures.files)
    return scale(replace(pictures, factors=table or pictures.factors), form, skip_damaged=skip_damaged)


def _refuse(settings: Mapping[str, object], use: str) -> None:
    """Raises `InputError` for settings that are set although they have no effect here."""
    names = [f"data.{name}" for name, value in settings.items() if value not in (None, False)]
    if names:
        raise InputError(f"{', '.join(names)}: only for {use}; remove {'it' if len(names) == 1 else 'them'}")
