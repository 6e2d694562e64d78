"""Stage "find": what a source of images is, and so which reader reads it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equipoise.data.images import Images
from equipoise.data.readers import READERS
from equipoise.data.readers.sequence import Sequence
from equipoise.data.sets import DATASETS
from equipoise.errors import InputError, nearest


def find(source: Any) -> tuple[str, Any]:
    """The kind of a source, "set", "images" or a key of READERS, and the `Dataset`, `Images` or path to read.

    Raises `InputError` for a path that does not exist, and for a source of no kind that is read.
    """
    if isinstance(source, str | os.PathLike):
        return _find_path(os.fspath(source), is_name=isinstance(source, str))
    if isinstance(source, Images):
        return "images", source
    if isinstance(source, np.ndarray | torch.Tensor):
        return "array", source
    if isinstance(source, Sequence):
        return "sequence", source
    raise InputError(
        f"data is a {type(source).__name__}; expected a name, a path, an array, a tensor, Images, or a sequence of "
        "pictures with a length and numbered items"
    )


def _find_path(text: str, is_name: bool) -> tuple[str, Any]:
    if text in DATASETS and is_name:
        return "set", DATASETS[text]
    path = Path(text).expanduser()
    if path.is_dir():
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
    if kind not in READERS:
        kinds = ", ".join(kind for kind in READERS if kind.startswith("."))
        raise InputError(
            f"data: {path} is not a kind of file that is read; give a folder of images, or a file of the kind {kinds}"
        )
    return kind, path
