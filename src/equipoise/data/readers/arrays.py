"""Arrays: in memory, and in .npy and .npz files."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise.data import cache, intensity, npz
from equipoise.data.factor_table import Table
from equipoise.data.images import Images
from equipoise.data.intensity import MOST_CHANNELS
from equipoise.data.readers import dsprites_file
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError

NAMES = ("images", "imgs", "x")  # of the image array in a .npz file: the first that is there

Array = npt.NDArray[Any]
Slabs = Callable[[int, int], Iterator[Array]]
"""From an image on, arrays [N, C, H, W] of up to so many images at a time."""


def read(array: Array | torch.Tensor, name: str = "array") -> Source:
    """Images [N, H, W], [N, H, W, C] or [N, C, H, W] with C up to 16, a NumPy array or a torch tensor.

    uint8 0..255 is used as it is, without a copy (a memory-mapped file stays on disk). Raises `InputError` for any
    other shape, for masked pixels, and if it is ambiguous which axis is C.
    """
    whole = channels_first(of_tensor(array) if isinstance(array, torch.Tensor) else array, name)

    def slabs(first: int, rows: int) -> Iterator[Array]:
        return (whole[start : start + rows] for start in range(first, len(whole), rows))

    return _source(name, whole, slabs)


def read_npy(path: Path) -> Source:
    """Images in the one array of a .npy file, as `read`; uint8 stays on disk, memory-mapped."""
    return _of_file(read(npz.memory_map(path), str(path)), path)


def read_npz(path: Path) -> Source | Images:
    """Images in a .npz file, as `read`: the array `images`, `imgs` or `x`, else the only one of three axes or more.

    Optional arrays are `factors` [N, K] and `factor_names`, K strings. Other arrays are not read. Arrays of more than
    256 MB are read in slabs. The published dSprites file is returned as `Images`. Raises `InputError` if the array of
    the images is ambiguous, empty or of Python objects.
    """
    if dsprites_file.in_npz(path):
        return dsprites_file.read_npz(path)
    headers = npz.headers(path)
    names = [name for name in NAMES if name in headers][:1] or [
        name for name in headers if len(headers[name].shape) > 2
    ]
    if len(names) != 1:
        raise InputError(
            f"{path}: cannot tell which array has the images among {', '.join(headers) or 'none'}; "
            f"name it {', '.join(NAMES[:-1])} or {NAMES[-1]}"
        )
    for name in {names[0], "factors", "factor_names"} & headers.keys():
        npz.check(path, name, headers[name])
    header = headers[names[0]]
    is_large = math.prod(header.shape) * header.dtype.itemsize > cache.LIMIT
    with npz.naming(path), np.load(path, allow_pickle=False) as file:
        array = None if is_large else file[names[0]]
        factors = file["factors"] if "factors" in headers else None
        columns = [str(name) for name in file["factor_names"].ravel()] if "factor_names" in headers else None
    table = None if factors is None else Table(factors, columns, ())
    if array is not None:
        return _of_file(read(array, str(path)), path, table)
    whole = channels_first(np.broadcast_to(np.zeros((), header.dtype), header.shape), str(path))  # takes no memory

    def slabs(first: int, rows: int) -> Iterator[Array]:
        return (channels_first(slab, str(path)) for slab in npz.slabs(path, names[0], rows, first))

    return _of_file(replace(_source(str(path), whole, slabs), array=None), path, table)


def _source(name: str, whole: Array, slabs: Slabs) -> Source:
    def read_from(first: int, rows: int) -> Iterator[list[Picture]]:
        for slab in slabs(first, rows):
            yield [partial(intensity.raw, pixels) for pixels in slab]

    array = whole if whole.dtype == np.uint8 else None
    shape = (whole.shape[1], whole.shape[2], whole.shape[3])
    return Source(name, len(whole), lambda: iter([(name, shape)]), read_from, array=array)


def _of_file(source: Source, path: Path, factors: Table | None = None) -> Source:
    with npz.naming(path):
        about = path.stat()
    key = (str(path.resolve()), about.st_size, about.st_mtime_ns)
    return replace(source, key=key, factors=factors, origin=str(path))


def of_tensor(tensor: torch.Tensor) -> Array:
    """The tensor as an array; floats of any precision as float32, since NumPy has no bfloat16."""
    tensor = tensor.detach().cpu()
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


def channels_first(array: Array, name: str) -> Array:
    """The array as [N, C, H, W], a view. Raises `InputError` for other shapes, and if the axis C is ambiguous."""
    shape = list(array.shape)
    expected = f"images are [N, H, W], [N, H, W, C] or [N, C, H, W] with C up to {MOST_CHANNELS}"
    if isinstance(array, np.ma.MaskedArray):
        if np.ma.is_masked(array):
            raise InputError(
                f"{name}: {np.ma.getmaskarray(array).sum():,} pixels are masked; fill them: array.filled(0)"
            )
        array = array.data
    if not array.size:
        raise InputError(f"{name}: an array of shape {shape} has no images; {expected}")
    if array.ndim == 3:
        if shape[2] in (1, 3):
            raise InputError(f"{name}: {shape} may be one colour image or many grey ones; {expected}: add an axis")
        return array[:, None]
    if array.ndim != 4:
        raise InputError(f"{name}: {expected}, not {shape}; reshape it")
    axes = [axis for axis in (1, 3) if shape[axis] <= MOST_CHANNELS]
    if not axes:
        raise InputError(f"{name}: {expected}, not {shape}; leave channels out, or add an axis of length 1 for grey")
    if len(axes) == 2:  # grey or colour beside a small side; else the side that differs from two equal ones
        usual = [axis for axis in axes if shape[axis] in (1, 3)]
        odd = [axis for axis, other in ((1, 3), (3, 1)) if shape[2] == shape[other] != shape[axis]]
        axes = usual if len(usual) == 1 else odd if not usual else axes
    if len(axes) != 1:
        raise InputError(
            f"{name}: in {shape} the channels may be the second axis or the last; give images of more than "
            f"{MOST_CHANNELS} pixels a side, square ones, or [N, H, W]"
        )
    return array if axes == [1] else np.moveaxis(array, 3, 1)
