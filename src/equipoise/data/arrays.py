"""Images from arrays in memory and from .npy and .npz files."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise.data import factor_table, kept, npz
from equipoise.data.images import Images
from equipoise.data.pictures import AS_IT_IS, Form
from equipoise.data.pixels import Bytes, Shape
from equipoise.errors import InputError

NAMES = ("images", "imgs", "x")  # of the image array in a .npz file, the first that is there

Array = npt.NDArray[Any]
Read = Callable[[int, int], Iterator[Array]]
"""Given the number of an image and a length, the array [N, C, H, W] from that image on, up to so many at a time."""


def from_array(
    array: Array | torch.Tensor,
    *,
    name: str = "array",
    factors: npt.ArrayLike | Path | None = None,
    factor_names: Sequence[str] | None = None,
    source: str | None = None,
    form: Form = AS_IT_IS,
    folder: Path | None = None,
) -> Images:
    """Images from [N, H, W], [N, H, W, C] or [N, C, H, W] with C = 1 or 3, a NumPy array or a torch tensor.

    uint8 0..255 is used as it is, without a copy (a memory-mapped file stays on disk). Floats run from 0 to 1 and are
    rounded to 8 bits, v -> rint(255 v); bool becomes 0 and 255. What has to be converted or brought to a `form` is held
    as a uint8 copy, by `equipoise.data.kept.gathered`. `factors` are codes, int [N, K], or continuous, float [N, K], or
    the path of a table with a row for each image (`equipoise.data.factor_table.read`). InputError for any other type,
    shape or range, for NaN, and where it cannot be told which axis is C.
    """
    whole = channels_first(of_tensor(array) if isinstance(array, torch.Tensor) else array, name)

    sizes: Sequence[int] = ()
    if isinstance(factors, Path):
        factors, factor_names, sizes = factor_table.read(factors, len(whole))

    def read(begin: int, rows: int) -> Iterator[Array]:
        return (whole[first : first + rows] for first in range(begin, len(whole), rows))

    _check_bytes(whole.dtype, read, name)
    shape = form.of(whole.shape[1:], name)
    if whole.dtype == np.uint8 and form.keeps(whole.shape[1:]):
        pixels = whole
    else:
        pixels = kept.gathered(len(whole), shape, _blocks(read, shape, form, name), name=name, folder=folder)
    return Images(
        pixels,
        name=name,
        factors=factors,
        factor_names=factor_names,
        factor_sizes=sizes,
        source=source,
        digest=kept.digest(folder, factors, factor_names),
    )


def from_npy(path: Path, form: Form = AS_IT_IS, *, factors: Path | None = None) -> Images:
    """Images from the one array of a .npy file, as `from_array`; uint8 stays on disk, memory-mapped."""
    _plain(path, "it", npz.header(path))
    with npz.naming(path):
        array = np.lib.format.open_memmap(path, mode="r")
    return from_array(array, name=str(path), factors=factors, source=str(path), form=form, folder=_folder(path, form))


def from_npz(path: Path, form: Form = AS_IT_IS, *, factors: Path | None = None) -> Images:
    """Images from a .npz file, as `from_array`: `images`, `imgs` or `x`, else its only array of three axes or more.

    Optional beside it: `factors` [N, K] and `factor_names`, K strings; a table given by its path goes before them.
    Other arrays are left unread. More than 256 MB are unpacked once and kept in the cache.
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
    of_images = header[found[0]]
    large = math.prod(of_images.shape) * of_images.dtype.itemsize > kept.LIMIT
    with npz.naming(path), np.load(path, allow_pickle=False) as file:
        array = None if large else file[found[0]]
        beside = file["factors"] if "factors" in header else None
        names = [str(name) for name in file["factor_names"].ravel()] if "factor_names" in header else None
    folder = _folder(path, form)
    if array is None:
        array = _unpacked(path, found[0], of_images, form, folder)
        form = AS_IT_IS
    factors = beside if factors is None else factors
    return from_array(
        array, name=str(path), factors=factors, factor_names=names, source=str(path), form=form, folder=folder
    )


def _unpacked(path: Path, member: str, header: npz.Header, form: Form, folder: Path) -> Bytes:
    """The images of an archive that are too many for the memory, as they are to be, memory-mapped."""
    name = str(path)
    stand_in = np.broadcast_to(np.zeros((), header.dtype), header.shape)  # takes no memory
    images, *of_one = channels_first(stand_in, name).shape
    shape = form.of((of_one[0], of_one[1], of_one[2]), name)

    def read(begin: int, rows: int) -> Iterator[Array]:
        return (channels_first(slab, name) for slab in npz.slabs(path, member, rows, begin))

    _check_bytes(header.dtype, read, name)
    return kept.gathered(images, shape, _blocks(read, shape, form, name), name=name, folder=folder)


def _folder(path: Path, form: Form) -> Path:
    """Where the images of a file are kept in a form."""
    with npz.naming(path):
        about = path.stat()
    return kept.place(str(path.resolve()), tuple(form), about.st_size, about.st_mtime_ns)


def _blocks(read: Read, shape: Shape, form: Form, name: str) -> Callable[[int], Iterator[Bytes]]:
    def blocks(begin: int) -> Iterator[Bytes]:
        for some in read(begin, kept.block(shape)):
            pixels = eight_bit(some, name)
            kept_as_they_are = form.keeps(pixels.shape[1:])
            yield pixels if kept_as_they_are else np.stack([form.apply(picture, name) for picture in pixels])

    return blocks


def _plain(path: Path, name: str, header: npz.Header) -> None:
    """Refuse what could only be read by unpickling, and what is empty."""
    if header.dtype.hasobject:
        raise InputError(f"{path}: {name} is an array of Python objects, which are never opened; save plain numbers")
    if 0 in header.shape:
        raise InputError(f"{path}: {name} is empty, an array of shape {list(header.shape)}; give at least one image")


def of_tensor(tensor: torch.Tensor) -> Array:
    """The tensor as an array; bfloat16 and float16, which may lack some operations of NumPy, as float32."""
    tensor = tensor.detach().cpu()
    array: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return array


def channels_first(array: Array, name: str) -> Array:
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


def eight_bit(array: Array, name: str) -> Bytes:
    """The array as uint8 0..255: bytes as they are, bool as 0 and 255, floats 0..1 rounded; InputError for all else."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array * np.uint8(255)
    if array.dtype.kind != "f":
        raise InputError(
            f"{name}: pixels of type {array.dtype}; images are uint8 0..255, floats 0..1 or bool: convert them"
        )
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name}: there is NaN or infinity among the pixels; images of floats run from 0 to 1")
    if low < 0 or high > 1:
        raise InputError(
            f"{name}: pixels from {low:g} to {high:g}; images of floats run from 0 to 1: scale them, "
            "or give 0..255 as uint8"
        )
    return np.rint(array * np.float64(255)).astype(np.uint8)


def zeros_and_ones(name: str) -> InputError:
    return InputError(f"{name}: uint8 pixels run from 0 to 255, but these are 0 and 1; give them as bool")


def _check_bytes(dtype: np.dtype[Any], read: Read, name: str) -> None:
    """Refuse bytes of 0 and 1 alone, which are black and white, and which no net would see as such."""
    if dtype == np.uint8:
        largest = 0
        for some in read(0, kept.BLOCK):
            largest = max(largest, int(some.max()))
            if largest > 1:
                return
        if largest == 1:
            raise zeros_and_ones(name)
