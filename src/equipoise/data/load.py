"""Reading images, stage by stage: find, read, factor table, scale."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equipoise.data import array_files, factor_table, intensity
from equipoise.data.columns import Scaling
from equipoise.data.find import find
from equipoise.data.images import Images
from equipoise.data.pictures import Form
from equipoise.data.pixels import Bytes, ComputedPixels, Indices, Shape
from equipoise.data.readers import READERS, vectors
from equipoise.data.scale import scale
from equipoise.data.settings import Data
from equipoise.data.source import Source
from equipoise.errors import InputError
from equipoise.files import user_path

_WITH_KEY = (*array_files.KINDS, "hub", "rows")  # kinds of sources with several arrays or columns


def load_data(
    source: Any,
    *,
    size: int | None = None,
    crop: int | None = None,
    grey: bool = False,
    range: str | tuple[float, float] | None = None,
    key: str | None = None,
    factors: factor_table.Setting = None,
    skip_damaged: bool = False,
    scaling: str | Scaling | None = None,
) -> Images:
    """Load images: a data set by name, a folder, a file, an array, or a sequence of pictures. Or load vectors.

    The settings other than `size` are for images of your own. Vectors have the settings `key`, `factors` and `scaling`.

    Args:
        source: The name of a data set in `equipoise.data.DATASETS`; the path of a folder of images, of an image file,
            or of a .npy, .npz or HDF5 file ("./dsprites" is always a path); a list of paths; a data frame with a column
            of paths, whose other columns are factors; hf:owner/name, a data set of the Hugging Face hub in Parquet
            files, whose other columns are factors; an array or tensor [N, H, W], [N, H, W, C] or [N, C, H, W] with C
            up to 16, uint8, uint16, floats 0..1 or bool; a list, a torch data set or a data set of Hugging Face with
            pictures; or `Images`. Vectors are a .csv, .tsv, .parquet or .h5ad file, a data frame of numbers, or an
            array of numbers [N, V], also in an .npy, .npz or HDF5 file.
        size: Resize every image to this many pixels a side, 8 or more. Images of your own are resized with Lanczos'
            filter as they are read. Data sets by name and `Images` are resized batch by batch: by block means if their
            sides are multiples of `size`, otherwise with Lanczos' filter.
        crop: First cut out a centred square of this many pixels a side.
        grey: Convert the images to grey (ITU-R 601).
        range: LOW:HIGH, the values in the files that become 0 and 255, such as "0:4095" or (0, 4095); others are
            clipped. "0.1%:99.9%" takes these percentiles of the pixels of all images. By default 0 and the largest
            value of the type for 8 and 16 bits, 0 and 1 for floats.
        key: The name of the array of the images in a .npz or HDF5 file, or of the column of the pictures in a Parquet
            file, if it is not clear.
        factors: A table of factors, .csv, .tsv or .parquet, or a data frame, with a row for each image; or "folders"
            for a folder of images: the first sub-folder of each image is its one factor; or the names of the columns
            that are factors, after the path of the table if it is not that in the folder. By default factors.csv, .tsv
            or .parquet in the folder, if there is one.
        skip_damaged: Leave out pictures that cannot be read.
        scaling: Of each column of vectors: `standardize`, which is the default, to mean 0 and standard deviation 1;
            `minmax`, to 0..1; `none`; or the scaling of other vectors, whose columns are then taken by name.

    Returns:
        The images, uint8, with their factors where these are known; vectors as images of one row, float32.

    Raises:
        InputError: The source is of no kind that is read, is damaged, or does not fit the settings.

    Example:
        >>> import numpy as np
        >>> import equipoise as eq
        >>> images = eq.load_data(np.zeros((10, 64, 64), np.uint8), size=32)
        >>> len(images), images.shape
        (10, (1, 32, 32))
    """
    form = Form(size, crop, grey, intensity.parse(range))
    form.check()
    form_settings = {"crop": crop, "grey": grey, "range": range}
    settings = {**form_settings, "key": key, "factors": factors, "skip_damaged": skip_damaged}
    if vectors.are_in(source, key) and not (isinstance(source, Images) and scaling is None):
        _refuse({"size": size, **form_settings, "skip_damaged": skip_damaged}, "images")
        return vectors.read(source, scaling=scaling, key=key, factors=factors)
    _refuse({"scaling": scaling}, "vectors, such as a table")

    kind, item = find(source)
    if kind in ("set", "images"):
        _refuse(settings, "images of your own")  # before a set is rendered
    pictures = _read(kind, item, key)
    if isinstance(pictures, Images):
        _refuse(settings, "images of your own")
        return pictures if size is None else pictures.resize(size)
    if pictures.label is None:
        _refuse({"skip_damaged": skip_damaged}, "pictures that are read one by one")

    title = "the data frame" if kind == "frame" else pictures.name
    table = factor_table.choose(factors, pictures.count, pictures.folder, pictures.files, pictures.frame, title)
    return scale(replace(pictures, factors=table or pictures.factors), form, skip_damaged=skip_damaged)


def load_like(
    source: Any, data: Data, shape: Shape, limits: list[float] | None, scaling: Scaling | None = None
) -> Images:
    """Load images as those of a run were loaded. Raises `InputError` if they cannot have its shape (C, H, W).

    source: as for `load_data`, or one array [H, W], [H, W, C] or [C, H, W], or [V] for vectors; the path of the run's
    own data has the factors that `data.factors` chose. limits: the range that `data.range` became. scaling: that of a
    run of vectors.
    """
    is_own = isinstance(source, str | Path) and user_path(source) == user_path(data.name)
    factors = data.factors if is_own else None
    if scaling is not None:
        row = source[None] if isinstance(source, np.ndarray | torch.Tensor) and source.ndim == 1 else source
        has_key = isinstance(row, str | Path) and Path(row).suffix.lower() in (*array_files.KINDS, vectors.ANNDATA)
        key = data.key if has_key else None
        if not vectors.are_in(row, key):
            array = f" in the array {key}" if key else ""
            raise InputError(f"the run was trained on vectors{array}; give a table, or an array of numbers [N, V]")
        return load_data(row, scaling=scaling, factors=factors, key=key)
    channels, height, width = shape
    side = height if height == width else None
    kind, _ = find(source)
    key = data.key if kind in _WITH_KEY else None
    if kind == "array" and tuple(source.shape) in (shape[1:], shape, (height, width, channels)):
        source = [source]
    if vectors.are_in(source, key):
        raise InputError(f"a table or an array [N, V] was given; the run was trained on images of shape {shape}")
    if kind in ("set", "images"):
        images = load_data(source, size=side)
    else:
        is_array = kind in ("array", ".npy", *array_files.KINDS)
        images = load_data(
            source,
            size=data.size if is_array else side,
            crop=data.crop,
            grey=data.grey if is_array else channels == 1,
            range=None if limits is None else (limits[0], limits[1]),
            key=key,
            factors=factors,
        )
    if (channels, images.shape) == (3, (1, height, width)):
        images = _in_colour(images)
    if images.shape != shape:
        raise InputError(
            f"{images.name} has images of shape {images.shape}, the run was trained on {shape}; give images of that "
            "shape"
        )
    return images


def _in_colour(images: Images) -> Images:
    """The same grey images with three equal channels, as in a folder in which others are in colour."""
    return Images(
        ComputedPixels(len(images), (3, *images.shape[1:]), partial(_repeated, images)),
        name=images.name,
        factors=images.factors,
        factor_names=images.factor_names,
        factor_sizes=images.factor_sizes,
        factor_values=images.factor_values,
        source=images.source,
        files=images.files,
        limits=images.limits,
    )


def _repeated(images: Images, rows: Indices) -> Bytes:
    return np.repeat(images.pixels(rows), 3, axis=1)


def stored_shapes(
    source: Any, *, crop: int | None = None, grey: bool = False, key: str | None = None
) -> Iterator[tuple[int, int, int]]:
    """Shapes (C, H, W) that images would have without `size`: of each picture, or of one if all must be alike.

    The arguments are those of `load_data`. No picture is decoded. Raises `InputError` as `load_data` does.
    """
    if vectors.are_in(source, key) and not isinstance(source, Images):
        yield vectors.read(source, key=key).shape
        return
    kind, item = find(source)
    pictures = item if kind in ("set", "images") else _read(kind, item, key)
    if not isinstance(pictures, Source):
        yield pictures.shape
        return
    form = Form(None, crop, grey)
    for label, shape in pictures.heads():
        yield form.output_shape(shape, label)


def _read(kind: str, item: Any, key: str | None) -> Source | Images:
    if kind in _WITH_KEY and key is not None:
        return READERS[kind](item, key)
    _refuse({"key": key}, ".npz and HDF5 files and pictures in Parquet files")
    return READERS[kind](item)


def _refuse(settings: Mapping[str, object], use: str) -> None:
    """Raises `InputError` for settings that are set although they have no effect here."""
    names = [f"data.{name}" for name, value in settings.items() if value is not None and value is not False]
    if names:
        raise InputError(f"{', '.join(names)}: only for {use}; remove {'it' if len(names) == 1 else 'them'}")
