"""3D Faces: renderings of the Basel Face Model, for those to whom its authors gave them."""

import math
import pickle
from pathlib import Path

import numpy as np
import torch

from equipoise.data import npz, published
from equipoise.data.dataset import Dataset
from equipoise.data.pixels import Bytes
from equipoise.errors import InputError

FACTOR_NAMES = ("identity", "azimuth", "elevation", "lighting")
FACTOR_SIZES = (50, 21, 11, 11)
FILE = "basel_face_renders.pth"


def convert(source: Path, folder: Path, sizes: tuple[int, ...] = FACTOR_SIZES) -> None:
    """Convert basel_face_renders.pth, or a .npy of the same: uint8 [N, 64, 64], [N, 1, 64, 64] or [factors, 64, 64]."""
    path = published.file_of(source, FILE)
    array = _read(path)
    n = math.prod(sizes)
    if array.dtype == np.uint8 and array.ndim in (3, 4) and array.shape[-2:] == (64, 64):
        published.check_number(path, len(array), sizes)
    if array.dtype != np.uint8 or array.shape not in ((n, 64, 64), (n, 1, 64, 64), (*sizes, 64, 64)):
        raise InputError(f"{path}: {array.dtype} {list(array.shape)}, expected uint8 {[n, 64, 64]}; give {FILE}")
    pixels = array.reshape(n, 1, 64, 64)
    published.write(
        FACES3D,
        folder,
        source=path,
        images=n,
        sizes=sizes,
        blocks=published.in_blocks(n, lambda rows: pixels[rows.start : rows.stop]),
    )


def _read(path: Path) -> Bytes:
    """The array in a .npy, memory-mapped, or in a file of torch, of which nothing but tensors is opened."""
    if path.suffix.lower() == ".npy":
        if npz.header(path).dtype.hasobject:
            raise InputError(f"{path} is an array of Python objects, which are never opened; save plain numbers")
        with npz.naming(path):
            mapped: Bytes = np.lib.format.open_memmap(path, mode="r")
        return mapped
    with npz.naming(path):
        try:
            held = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not a tensor saved by torch: {str(error).splitlines()[0]}") from error
    if not isinstance(held, torch.Tensor) or held.dtype != torch.uint8 or held.is_sparse:
        kind = held.dtype if isinstance(held, torch.Tensor) else type(held).__name__
        raise InputError(f"{path} holds {kind}, expected one tensor uint8 [N, 64, 64]; give {FILE}")
    return held.numpy()


FACES3D = Dataset(
    name="faces3d",
    summary="127,050 grey renderings of faces: 50 identities, 21 azimuths, 11 elevations, 11 lights; on request only",
    images=127_050,
    shape=(1, 64, 64),
    factor_names=FACTOR_NAMES,
    factor_sizes=FACTOR_SIZES,
    home="https://faces.dmi.unibas.ch/bfm/",
    licence="that of the Basel Face Model: for research, renderings not to be passed on",
    citation="P. Paysan, R. Knothe, B. Amberg, S. Romdhani and T. Vetter: A 3D Face Model for Pose and Illumination "
    "Invariant Face Recognition, AVSS 2009",
    by_hand="The renderings may not be passed on: ask the authors of beta-TCVAE (Chen et al. 2018) for "
    f"{FILE} under the licence of the Basel Face Model, then give the file with --from.",
    convert=convert,
)
