"""Data: where images come from."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise.data import arrays, dsprites, dsprites_file, folder
from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.errors import InputError, nearest

__all__ = ["DATASETS", "Dataset", "Images", "load_data"]

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (dsprites.DSPRITES,)}


def load_data(
    source: str | os.PathLike[str] | npt.NDArray[Any] | torch.Tensor | Images,
    *,
    size: int | None = None,
    crop: int | None = None,
    grey: bool = False,
) -> Images:
    """Images from the name of a data set, a path, an array or tensor, or Images, which are given back.

    A path is a folder of images, a .npy or .npz file of them, or the published dSprites file, .npz or .hdf5. A name in
    DATASETS goes before a path; "./dsprites" is always a path. `size`, `crop` and `grey` are for folders, see
    `equipoise.data.folder.from_folder`; for arrays see `equipoise.data.arrays.from_array`. InputError for all else.
    """
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    path = Path(source).expanduser() if isinstance(source, str) and source not in DATASETS else None
    if path is not None and path.is_dir():
        return folder.from_folder(path, size=size, crop=crop, grey=grey)
    if size is not None or crop is not None or grey:
        raise InputError("data.size, data.crop and data.grey are for folders of images; leave them out here")
    if isinstance(source, Images):
        return source
    if isinstance(source, np.ndarray | torch.Tensor):
        return arrays.from_array(source)
    if path is not None:
        return _from_file(path)
    if isinstance(source, str):
        return DATASETS[source].load()
    raise InputError(
        f"data is a {type(source).__name__}; expected a name, a path, a NumPy array, a torch tensor or Images"
    )


def _from_file(path: Path) -> Images:
    if not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise InputError(
                f"data: the path {path} does not exist; check it, or name a data set: {', '.join(DATASETS)}"
            )
        raise InputError(
            f"data: no data set and no file or folder is called {str(path)!r}; {nearest(str(path).lower(), DATASETS)}"
        )
    kind = path.suffix.lower()
    if kind == ".npy":
        return arrays.from_npy(path)
    if kind == ".npz":
        return dsprites_file.read_npz(path) if dsprites_file.in_npz(path) else arrays.from_npz(path)
    if kind in (".hdf5", ".h5"):
        return dsprites_file.read_hdf5(path)
    raise InputError(f"data: {path} is not a kind of file that is read; give a folder of images, a .npy, .npz or .hdf5")
