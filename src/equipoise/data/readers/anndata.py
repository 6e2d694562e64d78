"""AnnData files (.h5ad), read with h5py: the matrix X, the names of its columns, and columns of obs as factors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equipoise.data import npz
from equipoise.data.array_files import open_hdf5
from equipoise.data.columns import Values
from equipoise.data.image_names import Row
from equipoise.data.readers.named_arrays import text
from equipoise.errors import InputError

LARGEST = 1 << 29  # values in memory


def read(path: Path, key: str | None) -> tuple[dict[str, Values], list[Row], dict[str, list[str]]]:
    """Return the columns of an array by name, the columns of obs as rows of text, and those and the index by name.

    key: `X`, which is the default, or the path of another array [N, V], such as `layers/counts` or `obsm/X_pca`.
    Columns of X and of layers have the names in var, others are numbered. Sparse arrays are made dense. Everything else
    in the file is not read. Raises `InputError` for a file that is no AnnData, for the path of a group or of text, and
    for more than 4 GB.
    """
    with npz.naming(path), open_hdf5(path) as file:
        name = (key or "X").strip("/")
        item = file.get(name)
        is_sparse = hasattr(item, "keys") and "shape" in item.attrs
        is_array = is_sparse or (hasattr(item, "dtype") and item.dtype.kind in "biuf")
        if not is_array or not {"obs", "var"} <= file.keys():
            reason = "no obs or no var" if is_array else f"no array of numbers {name}"
            raise InputError(f"{path} has {reason}; expected AnnData, and data.key=X, layers/NAME or obsm/NAME")
        shape = [int(side) for side in (item.attrs["shape"] if is_sparse else item.shape)]
        if len(shape) != 2 or shape[0] * shape[1] > LARGEST:
            raise InputError(
                f"{path}: {name} is {shape}; expected [N, V] of up to {LARGEST:,} values: select columns first"
            )
        matrix = _dense(item, shape) if is_sparse else item[()]
        if not all(hasattr(file[each], "keys") for each in ("obs", "var")):
            raise InputError(
                f"{path} has the format of AnnData before 0.7; read it with the package anndata and write it again"
            )
        is_of_var = name == "X" or name.startswith("layers/")
        names = _index(file["var"]) if is_of_var else [str(number) for number in range(shape[1])]
        if len(set(names)) < len(names):
            raise InputError(
                f"{path}: two columns of var have one name; make them unique, as var_names_make_unique does"
            )
        obs = {each: _texts(file["obs"][each]) for each in file["obs"] if not each.startswith("_")}
        obs = {each: texts for each, texts in obs.items() if len(texts) == shape[0]}
        index = file["obs"].attrs.get("_index", "_index")
        cells = {index: _texts(file["obs"][index])} if index in file["obs"] else {}
    rows = [("the header", list(obs))]
    rows += [(f"row {i + 1}", list(cells)) for i, cells in enumerate(zip(*obs.values(), strict=True))]
    return dict(zip(names, matrix.astype(np.float64).T, strict=True)), rows, {**obs, **cells}


def _dense(group: Any, shape: Sequence[int]) -> Any:
    """The array of a sparse group, by rows or by columns."""
    import scipy.sparse  # slow to load

    parts = (group["data"][()], group["indices"][()], group["indptr"][()])
    is_by_rows = "csr" in str(group.attrs.get("encoding-type", "csr"))
    kind = scipy.sparse.csr_matrix if is_by_rows else scipy.sparse.csc_matrix
    return kind(parts, shape=tuple(shape)).toarray()


def _index(group: Any) -> list[str]:
    """The names of the rows of obs or var."""
    name = group.attrs.get("_index", "_index")
    if name not in group:
        raise InputError(f"{group.file.filename} has no names of the columns in var/{name}; write the file again")
    return [text(value) for value in group[name][()]]


def _texts(column: Any) -> list[str]:
    """A column of obs as text, empty where a value is missing; nothing for a column of another encoding."""
    if hasattr(column, "keys"):
        if {"categories", "codes"} <= column.keys():
            categories = [*map(text, column["categories"][()].tolist()), ""]
            return [categories[code] for code in column["codes"][()].tolist()]  # the code of a missing one is -1
        if {"values", "mask"} <= column.keys():
            pairs = zip(column["values"][()].tolist(), column["mask"][()].tolist(), strict=True)
            return ["" if is_missing else text(value) for value, is_missing in pairs]
        return []
    return [text(value) for value in column[()].tolist()]
