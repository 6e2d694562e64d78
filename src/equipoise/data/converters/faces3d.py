"""3D Faces: renderings of the Basel Face Model, which its authors give on request."""

import math
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import torch

from equipoise.data import npz
from equipoise.data.converters import published
from equipoise.data.dataset import Dataset
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FILE = "basel_face_renders.pth"


def convert(dataset: Dataset, source: Path, folder: Path) -> None:
    """Convert basel_face_renders.pth, or a .npy of the same: uint8 [N, 64, 64], [N, 1, 64, 64] or [factors, 64, 64].

    Raises `InputError` for other files.
    """
    path, sizes = published.file_of(source, FILE), dataset.factor_sizes
    array = _read(path)
    n = math.prod(sizes)
    if array.dtype == np.uint8 and array.ndim in (3, 4) and array.shape[-2:] == (64, 64):
        published.check_number(path, len(array), sizes)
    if array.dtype != np.uint8 or array.shape not in ((n, 64, 64), (n, 1, 64, 64), (*sizes, 64, 64)):
        raise InputError(f"{path}: {array.dtype} {list(array.shape)}, expected uint8 {[n, 64, 64]}; give {FILE}")
    pixels = array.reshape(n, 1, 64, 64)
    published.write(dataset, folder, source=path, blocks=partial(published.in_blocks, pixels))


def _read(path: Path) -> Bytes:
    """The array in a .npy, memory-mapped, or in a file of torch, from which only tensors are loaded."""
    if path.suffix.lower() == ".npy":
        return npz.memory_map(path)
    with npz.naming(path):
        try:
            tensor = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not a tensor saved by torch: {str(error).splitlines()[0]}") from error
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.uint8 or tensor.is_sparse:
        kind = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise InputError(f"{path} contains {kind}, expected one tensor uint8 [N, 64, 64]; give {FILE}")
    return tensor.numpy()
