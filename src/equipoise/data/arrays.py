"""Images from arrays in memory and from .npy and .npz files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise.data import npz
from equipoise.data.images import Images
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

NAMES = ("images", "imgs", "x")  # of the image array in a .npz file, the first that is there

_BLOCK = 1024  # images looked at in one go


def from_array(
    array: npt.NDArray[Any] | torch.Tensor,
    *,
    name: str = "array",
    factors: npt.ArrayLike | None = None,
    factor_names: Sequence[str] | None = None,
    source: str | None = None,
) -> Images:
    """Images from [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3, a NumPy array or a torch tensor.

    uint8 0..255 is used as it is, without a copy (a memory-mapped file stays on disk). Floats run from 0 to 1 and are
    rounded to 8 bits, v -> rint(255 v); bool becomes 0 and 255. Both are held as a uint8 copy. `factors` are codes,
    int [N, K], or continuous, float [N, K]. InputError for any other type, shape or range, for NaN, and where it cannot
    be told which axis is C.
    """
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
    return Images(
        _bytes(_channels_first(array, name), name), name=name, factors=factors, factor_names=factor_names, source=source
    )


def from_npy(path: Path) -> Images:
    """Images from the one array of a .npy file, as `from_array`; uint8 stays on disk, memory-mapped."""
    _plain(path, "it", npz.header(path))
    with npz.naming(path):
        array = np.lib.format.open_memmap(path, mode="r")
    return from_array(array, name=str(path), source=str(path))


def from_npz(path: Path) -> Images:
    """Images from a .npz file, as `from_array`: `images`, `imgs` or `x`, else its only array of three axes or more.

    Optional beside it: `factors` [N, K] and `factor_names`, K strings. Other arrays are left unread.
    """
    header = npz.headers(path)
    found = [name for name in NAMES if name in header][:1] or [name for name in header if len(header[name].shape) > 2]
    if len(found) != 1:
        raise InputError(
            f"{path}: cannot tell which array holds the images among {', '.join(header) or 'none'}; "
            f"name it {', '.join(NAMES[:-1])} or {NAMES[-1]}"
        )
    for name in {found[0], "factors", "factor_names"} & header.keys():
        _plain(path, name, header[name])
    with npz.naming(path), np.load(path, allow_pickle=False) as file:
        array = file[found[0]]
        factors = file["factors"] if "factors" in header else None
        names = [str(name) for name in file["factor_names"].ravel()] if "factor_names" in header else None
    return from_array(array, name=str(path), factors=factors, factor_names=names, source=str(path))


def _plain(path: Path, name: str, header: npz.Header) -> None:
    """Refuse what could only be read by unpickling, and what is empty."""
    if header.dtype.hasobject:
        raise InputError(f"{path}: {name} is an array of Python objects, which are never opened; save plain numbers")
    if 0 in header.shape:
        raise InputError(f"{path}: {name} is empty, an array of shape {list(header.shape)}; give at least one image")


def _channels_first(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The array as [N, C, H, W], a view."""
    shape = list(array.shape)
    expected = "images are [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3"
    if not array.size:
        raise InputError(f"{name}: an array of shape {shape} holds no images; {expected}")
    if array.ndim == 3:
        if shape[2] in (1, 3):
            raise InputError(f"{name}: {shape} may be one colour image or many grey ones; {expected}: add an axis")
        return array[:, None]
    if array.ndim != 4:
        raise InputError(f"{name}: {expected}, not {shape}; reshape it")
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first and last:
        raise InputError(
            f"{name}: in {shape} the channels may be the second axis or the last; give images wider than 3"
        )
    if not first and not last:
        raise InputError(f"{name}: {expected}, not {shape}; drop an alpha channel, or add an axis of length 1 for grey")
    return array if first else np.moveaxis(array, 3, 1)


def _bytes(array: npt.NDArray[Any], name: str) -> Bytes:
    """The array as uint8 0..255."""
    blocks = [slice(first, first + _BLOCK) for first in range(0, len(array), _BLOCK)]
    if array.dtype == np.uint8:
        if all(array[block].max() <= 1 for block in blocks) and array.any():
            raise InputError(f"{name}: uint8 pixels run from 0 to 255, but these are 0 and 1; give them as bool")
        return array
    if array.dtype == bool:
        return array * np.uint8(255)
    if array.dtype.kind != "f":
        raise InputError(
            f"{name}: pixels of type {array.dtype}; images are uint8 0..255, floats 0..1 or bool: convert them"
        )
    whole = np.empty(array.shape, np.uint8)
    for block in blocks:
        low, high = array[block].min(), array[block].max()
        if not (np.isfinite(low) and np.isfinite(high)):
            raise InputError(f"{name}: there is NaN or infinity among the pixels; images of floats run from 0 to 1")
        if low < 0 or high > 1:
            raise InputError(
                f"{name}: pixels from {low:g} to {high:g}; images of floats run from 0 to 1: scale them, "
                "or give 0..255 as uint8"
            )
        whole[block] = np.rint(array[block] * np.float64(255))
    return whole
