"""Arrays: in memory, and in .npy and .npz files."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise.data import intensity, npz
from equipoise.data.factor_table import Table
from equipoise.data.intensity import MOST_CHANNELS
from equipoise.data.source import Picture, Source
from equipoise.errors import InputError

Array = npt.NDArray[Any]


def read(array: Array | torch.Tensor, name: str = "array") -> Source:
    """Images [N, H, W], [N, H, W, C] or [N, C, H, W] with C up to 16, a NumPy array or a torch tensor.

    uint8 0..255 is used as it is, without a copy (a memory-mapped file stays on disk). Raises `InputError` for any
    other shape, for masked pixels, and if it is ambiguous which axis is C.
    """
    whole = channels_first(of_tensor(array) if isinstance(array, torch.Tensor) else array, name)
    source = of_slabs(name, whole, lambda first: iter([whole[first:]]))
    return replace(source, array=whole) if whole.dtype == np.uint8 else source


def read_npy(path: Path) -> Source:
    """Images in the one array of a .npy file, as `read`; uint8 stays on disk, memory-mapped."""
    return of_file(read(npz.memory_map(path), str(path)), path)


def of_slabs(name: str, whole: Array, slabs: Callable[[int], Iterator[Array]]) -> Source:
    """Images [N, C, H, W] that `slabs` yields from a first image on; `whole` has their shape and type."""

    def read_from(first: int) -> Iterator[Picture]:
        return (partial(intensity.raw, pixels) for slab in slabs(first) for pixels in slab)

    shape = (whole.shape[1], whole.shape[2], whole.shape[3])
    return Source(name, len(whole), lambda: iter([(name, shape)]), read_from)


def of_file(source: Source, path: Path, factors: Table | None = None, key: str = "") -> Source:
    """The source with what identifies its file; `key` is the name of its array there."""
    with npz.naming(path):
        status = path.stat()
    place = (str(path.resolve()), key)
    return replace(source, key=(place, status.st_size, status.st_mtime_ns), factors=factors, origin=str(path))


def of_tensor(tensor: torch.Tensor) -> Array:
    """The tensor as an array; floats of any precision as float32, since NumPy has no bfloat16."""
    tensor = tensor.detach().cpu().to_dense()
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


def without_mask(array: Array, name: str, values: str) -> Array:
    """The array as a plain one. Raises `InputError` for masked values, which `values` names."""
    if np.ma.is_masked(array):
        raise InputError(f"{name}: {np.ma.getmaskarray(array).sum():,} {values} are masked; fill them: array.filled(0)")
    return np.asarray(array)


def channels_first(array: Array, name: str) -> Array:
    """The array as [N, C, H, W], a view. Raises `InputError` for other shapes, and if the axis C is ambiguous."""
    shape = list(array.shape)
    expected = f"images are [N, H, W], [N, H, W, C] or [N, C, H, W] with C up to {MOST_CHANNELS}"
    array = without_mask(array, name, "pixels")
    if array.dtype.names:
        fields = ", ".join(array.dtype.names)
        raise InputError(f"{name}: an array with the fields {fields}; give a data frame of it, pandas.DataFrame(array)")
    if not array.size:
        raise InputError(f"{name}: an array of shape {shape} has no images; {expected}")
    if array.ndim == 3:
        if shape[2] in (1, 3):
            raise InputError(f"{name}: {shape} may be one colour image or many grey ones; {expected}: add an axis")
        return array[:, None]
    if array.ndim != 4:
        vectors = ", or give vectors as floats" if array.ndim == 2 else ""
        raise InputError(f"{name}: {expected}, not {shape}; reshape it{vectors}")
    axes = [axis for axis in (1, 3) if shape[axis] <= MOST_CHANNELS]
    if not axes:
        raise InputError(f"{name}: {expected}, not {shape}; leave channels out, or add an axis of length 1 for grey")
    if len(axes) == 2:  # grey or colour beside a small side; else the side that differs from two equal ones
        usual_axes = [axis for axis in axes if shape[axis] in (1, 3)]
        odd_axes = [axis for axis, other in ((1, 3), (3, 1)) if shape[2] == shape[other] != shape[axis]]
        axes = usual_axes if len(usual_axes) == 1 else odd_axes if not usual_axes else axes
    if len(axes) != 1:
        raise InputError(
            f"{name}: in {shape} the channels may be the second axis or the last; give images of more than "
            f"{MOST_CHANNELS} pixels a side, square ones, or [N, H, W]"
        )
    return array if axes == [1] else np.moveaxis(array, 3, 1)
