"""Data: where images come from."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from equipoise.data import (
    arrays,
    cars3d,
    celeba,
    chairs3d,
    dsprites,
    dsprites_file,
    dsprites_variants,
    faces3d,
    factor_table,
    falcor3d,
    folder,
    isaac3d,
    mpi3d,
    rooms3d,
    sequence,
    shapes3d,
    smallnorb,
)
from equipoise.data.dataset import Dataset
from equipoise.data.images import Images
from equipoise.data.pictures import Form
from equipoise.data.sequence import Sequence
from equipoise.errors import InputError, nearest

__all__ = ["DATASETS", "Dataset", "Images", "load_data"]

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        dsprites.DSPRITES,
        dsprites_variants.COLOR,
        dsprites_variants.NOISY,
        dsprites_variants.SCREAM,
        dsprites_variants.NOSHAPE,
        rooms3d.ROOMS3D,
        *mpi3d.DATASETS.values(),
        falcor3d.FALCOR3D,
        isaac3d.ISAAC3D,
        shapes3d.SHAPES3D,
        cars3d.CARS3D,
        smallnorb.SMALLNORB,
        celeba.CELEBA,
        chairs3d.CHAIRS3D,
        faces3d.FACES3D,
    )
}


def load_data(
    source: str | os.PathLike[str] | npt.NDArray[Any] | torch.Tensor | Sequence | Images,
    *,
    size: int | None = None,
    crop: int | None = None,
    grey: bool = False,
    factors: str | os.PathLike[str] | None = None,
    skip_damaged: bool = False,
) -> Images:
    """Images from the name of a data set, a path, an array or tensor, a sequence of pictures, or Images, given back.

    A path is a folder of images, a .npy or .npz file of them, or the published dSprites file, .npz or .hdf5. A name in
    DATASETS goes before a path; "./dsprites" is always a path. A sequence is a list, a torch data set, a data set of
    Hugging Face, or anything else with a length and numbered items.

    size: the side that every image is resized to, in pixels. Images of one's own are resized by Lanczos' filter as they
    are read; a data set by name, the published dSprites file and Images are resized when a batch is read, by block
    means where their side is a multiple of `size` (`equipoise.data.scale`).

    The other settings are for images of one's own. crop, grey: what every image is brought to, see
    `equipoise.data.pictures.prepared`. factors: a table of factors, .csv or .parquet, or "folders"; see
    `equipoise.data.folder.from_folder`, and `equipoise.data.factor_table.read` for a table without a folder.
    skip_damaged: leave out what cannot be read as an image. InputError for whatever cannot be used.
    """
    form = Form(size, crop, grey)
    form.check()
    said = {"crop": crop, "grey": grey, "factors": factors, "skip_damaged": skip_damaged}
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    factors = None if factors is None else os.fspath(factors)
    if isinstance(source, Images) or (isinstance(source, str) and source in DATASETS):
        _refuse(said, "images of your own")
        images = source if isinstance(source, Images) else DATASETS[source].load()
        return images if size is None else images.resize(size)
    path = Path(source).expanduser() if isinstance(source, str) else None
    if path is not None and path.is_dir():
        return folder.from_folder(path, form, factors=factors, skip_damaged=skip_damaged)
    if factors == factor_table.FOLDERS:
        raise InputError("data.factors=folders is for a folder of images; give the path of a table instead")
    table = None if factors is None else Path(factors).expanduser()
    if path is not None or isinstance(source, np.ndarray | torch.Tensor):
        _refuse({"skip_damaged": skip_damaged}, "pictures that are read one by one")
    if path is not None:
        return _from_file(path, form, table, said)
    if isinstance(source, np.ndarray | torch.Tensor):
        return arrays.from_array(source, factors=table, form=form)
    if isinstance(source, Sequence):
        return sequence.from_sequence(source, form, factors=table, skip_damaged=skip_damaged)
    raise InputError(
        f"data is a {type(source).__name__}; expected a name, a path, an array, a tensor, Images, or a sequence of "
        "pictures with a length and numbered items"
    )


def _from_file(path: Path, form: Form, table: Path | None, said: Mapping[str, object]) -> Images:
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
        return arrays.from_npy(path, form, factors=table)
    if kind == ".npz" and not dsprites_file.in_npz(path):
        return arrays.from_npz(path, form, factors=table)
    if kind in (".npz", ".hdf5", ".h5"):
        _refuse(said, "images of your own")
        images = dsprites_file.read_npz(path) if kind == ".npz" else dsprites_file.read_hdf5(path)
        return images if form.size is None else images.resize(form.size)
    raise InputError(f"data: {path} is not a kind of file that is read; give a folder of images, a .npy, .npz or .hdf5")


def _refuse(said: Mapping[str, object], why: str) -> None:
    given = [f"data.{name}" for name, value in said.items() if value not in (None, False)]
    if given:
        raise InputError(f"{', '.join(given)}: only for {why}; leave {'it' if len(given) == 1 else 'them'} out here")
