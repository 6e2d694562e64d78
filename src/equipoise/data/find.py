"""Stage "find": what a source of images is, and so which reader reads it."""

import os
from typing import Any

import numpy as np
import torch
from PIL import Image

from equipoise.data.images import Images
from equipoise.data.pictures import KINDS
from equipoise.data.readers import READERS
from equipoise.data.readers.parquet import holds_pictures
from equipoise.data.readers.sequence import Sequence
from equipoise.data.sets import DATASETS
from equipoise.data.tables import is_frame
from equipoise.errors import InputError, nearest
from equipoise.files import user_path
from equipoise.hub import HUB

# How to bring other files of arrays to a kind that is read.
_INSTEAD = {
    ".zarr": 'np.save("images.npy", zarr.open("FILE")[:])',
    ".mat": 'np.save("images.npy", scipy.io.loadmat("FILE")["NAME"])',
    ".pt": 'np.save("images.npy", torch.load("FILE", weights_only=True).numpy())',
    ".pkl": "unpickling can run code: load it in a program that you trust, and np.save the images",
}
_INSTEAD |= {".pth": _INSTEAD[".pt"], ".pickle": _INSTEAD[".pkl"]}


def find(source: Any) -> tuple[str, Any]:
    """The kind of a source, a key of READERS, and the `Dataset`, `Images`, path or other object to read.

    Raises `InputError` for a path that does not exist, and for a source of no kind that is read.
    """
    if isinstance(source, str | os.PathLike):
        return _find_path(os.fspath(source), is_name=isinstance(source, str))
    if isinstance(source, Images):
        return "images", source
    if isinstance(source, np.ndarray) and source.ndim == 1 and source.dtype.kind in "UO":
        source = source.tolist()
    if is_frame(source):
        return "frame", source
    if hasattr(source, "iloc"):
        source = source.tolist()  # a series of pandas, in its order and not by its labels
    if isinstance(source, np.ndarray | torch.Tensor):
        return "array", source
    if isinstance(source, list | tuple) and source and all(isinstance(item, str | os.PathLike) for item in source):
        return "paths", source
    if isinstance(source, Image.Image):
        return "sequence", [source]
    if hasattr(source, "toarray"):
        raise InputError(f"data is a {type(source).__name__}, which is not dense; give its .toarray()")
    if isinstance(source, Sequence):
        return "sequence", source
    raise InputError(
        f"data is a {type(source).__name__}; expected a name, a path, an array, a tensor, Images, or a sequence of "
        "pictures with a length and numbered items"
    )


def _find_path(text: str, is_name: bool) -> tuple[str, Any]:
    if text in DATASETS and is_name:
        return "set", DATASETS[text]
    if text.startswith(HUB):
        return "hub", text.removeprefix(HUB)
    path = user_path(text)
    if path.is_dir():
        if any((path / name).exists() for name in (".zarray", ".zgroup", "zarr.json")):
            raise InputError(
                f"data: {path} is a Zarr array, which is not read; {_INSTEAD['.zarr']}, and give images.npy"
            )
        return "folder", path
    if not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise InputError(
                f"data: the path {path} does not exist; check it, or name a data set: {', '.join(DATASETS)}"
            )
        raise InputError(
            f"data: no data set and no file or folder is called {text!r}; {nearest(text.lower(), DATASETS)}"
        )
    kind = path.suffix.lower()
    if kind in KINDS:
        return "image", path
    if kind == ".parquet" and holds_pictures(path):
        return "rows", path
    if kind not in READERS:
        kinds = ", ".join(kind for kind in READERS if kind.startswith("."))
        instead = f"; {_INSTEAD[kind]}" if kind in _INSTEAD else ""
        raise InputError(
            f"data: {path} is not a kind of file that is read{instead}; give a folder of images, an image, or a file "
            f"of the kind {kinds}"
        )
    return kind, path
